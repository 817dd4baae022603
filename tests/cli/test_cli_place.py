"""`build --place`: sections named on the command line end up in the C, and in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_sections_reach_the_code_and_the_report(run: Callable[..., object], model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "placed"
    place = "weights=.ext_flash,arena=.dtcm"
    done = run("build", model, "--target", "cortex-m4", "--place", place, "--output", folder, "--json")
    report = done.record  # type: ignore[attr-defined]
    assert report["options"]["place"] == {"arena": ".dtcm", "weights": ".ext_flash"}
    texts = {path.name: path.read_text() for path in (folder / "src").glob("*.[ch]")}
    assert 'section(".ext_flash")' in texts[f"{report['name']}_weights.c"]
    assert 'section(".dtcm")' in texts[f"{report['name']}.h"]
    assert report["flash"]["weights"] >= report["constants"]


def test_a_place_without_a_section_is_a_usage_error(run: Callable[..., object], model: Path) -> None:
    done = run("build", model, "--place", "weights", code=2)
    assert "weights=.flash,arena=.dtcm" in done.stderr  # type: ignore[attr-defined]


def test_an_unknown_part_is_refused_with_those_that_exist(refuse: Callable[..., object], model: Path) -> None:
    refuse(model, "--place", "stack=.dtcm", parts=["'stack' is not a part of a model", "weights or arena"])

"""Options from mcugen.toml: the same names and values as on the command line, which wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Done

from mcugen.config import BuildOptions, parse_count, parse_shape, parse_size

Run = Callable[..., Done]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


FULL = """
[build]
target = "cortex-m0"
calibrate = "calib.npz"
observer = "minmax"
flash = "64K"
ram = 20000
layers = true
outputs = ["logits"]
prune = 0.25
"""


def test_options_beside_the_model(run: Run, model: Path, tmp_path: Path) -> None:
    write(tmp_path / "mcugen.toml", FULL)
    done = run("build", model, "--output", tmp_path / "out", "--observer", "mse", "--json")
    record = done.record
    assert "note: options from" in done.stderr and "warning" not in done.stderr
    assert record["target"] == "cortex-m0" and record["calibration"]["synthetic"] is False
    assert record["options"] == {
        "arithmetic": "default",
        "calibrate": "calib.npz",
        "effort": "default",
        "flash": 65536,
        "observer": "mse",
        "optimize": "balanced",
        "outputs": ["logits"],
        "prune": 0.25,
        "prune-scope": "global",
        "ram": 20000,
        "target": "cortex-m0",
    }
    assert record["verification"]["layers_compared"] > 0


def test_options_in_the_current_folder_or_by_name(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    write(here / "mcugen.toml", '[build]\nname = "here"\n')
    assert run("build", model, "--json").record["folder"] == str(Path("build/here"))
    other = write(tmp_path / "other.toml", '[build]\nname = "named"\noutput = "place"\n')
    assert run("build", model, "--config", other, "--json").record["folder"] == str(tmp_path / "place")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[build]\ntarged = "cortex-m4"\n', ["key 'targed' in [build]", "did you mean 'target'?", "prune-channels"]),
        ("[build]\njson = true\n", ["key 'json'"]),
        ('target = "cortex-m4"\n[tool]\nx = 1\n', ["'target'", "'tool'"]),
        ('[build]\nflash = "much"\n', ["'flash'", "'much' is not a size"]),
        ('[build]\nprune = "half"\n', ["'prune'", "half"]),
        ('[build]\nlayers = "yes"\n', ["'layers'", "true or false"]),
        ("[build\n", ["not a readable TOML file"]),
        ("build = 3\n", ["must be a table"]),
    ],
)
def test_faults_are_named(refuse: Run, model: Path, tmp_path: Path, text: str, parts: list[str]) -> None:
    path = write(tmp_path / "mcugen.toml", text)
    refuse(model, parts=[str(path), *parts])


def test_a_named_file_must_exist(refuse: Run, model: Path, tmp_path: Path) -> None:
    refuse(model, "--config", tmp_path / "none.toml", parts=["none.toml", "no such file"])


@pytest.mark.parametrize(("text", "value"), [("20000", 20000), ("32K", 32768), ("1.5M", 1572864), ("64 KiB", 65536)])
def test_sizes(text: str, value: int) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize(("text", "value"), [("5M", 5_000_000), ("2.5k", 2500), ("800000", 800000)])
def test_counts(text: str, value: int) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize("text", ["", "K", "-5", "1e9", "five"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_shapes() -> None:
    assert parse_shape("input=1,3,32,32") == ("input", (1, 3, 32, 32))
    assert parse_shape("a=b=1x6") == ("a=b", (1, 6))
    for wrong in ("1,3", "input=", "=1", "input=1,?"):
        with pytest.raises(ValueError, match="is not a shape"):
            parse_shape(wrong)


def test_the_report_holds_no_places() -> None:
    options = BuildOptions(
        calibrate=Path("/home/someone/data/calib.npz"), target="./targets/mine.toml", compiler="/opt/gcc"
    )
    assert options.for_report()["calibrate"] == "calib.npz"
    assert options.for_report()["target"] == "mine.toml"
    assert options.for_report()["compiler"] == "gcc"
    assert BuildOptions(calibrate={"x": [1.0]}).for_report()["calibrate"] == "arrays"

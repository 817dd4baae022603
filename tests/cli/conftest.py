"""Running commands as a user does, and what every failed command must leave behind: a message, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from click.testing import CliRunner

from mcugen.cli import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    stdout: str
    stderr: str

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.stdout)


@pytest.fixture(scope="session")
def run() -> Callable[..., Done]:
    """A function that runs a command; it must end with `code` (None: any)."""

    def call(*arguments: object, code: int | None = 0) -> Done:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        done = Done(result.exit_code, result.stdout, result.stderr)
        assert code is None or done.code == code, (
            f"exit {done.code}\n{done.stdout}\n{done.stderr}\n{result.exception!r}"
        )
        return done

    return call


@pytest.fixture
def refuse(run: Callable[..., Done], tmp_path: Path) -> Callable[..., Done]:
    """A function that runs a build which must fail: the message holds all `parts`, and nothing is written."""

    def call(*arguments: object, parts: Sequence[str], code: int = 1) -> Done:
        place = tmp_path / "out" / "model"
        output = () if "--output" in arguments else ("--output", place)
        done = run("build", *arguments, *output, code=code)
        assert done.stderr.count("error: ") == 1
        for part in (*parts, "  hint: "):
            assert part in done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        assert done.stdout == ""
        assert not place.exists() and not place.parent.exists()
        return done

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A sound small model with its calibration data beside it."""
    np.savez(tmp_path / "calib.npz", x=small_models.samples())
    return small_models.classifier(tmp_path / "net.onnx")


@pytest.fixture(scope="session")
def examples(run: Callable[..., Done], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Done]]:
    """The three examples built: folder and what the build printed, by name."""
    place = tmp_path_factory.mktemp("examples")
    built = {}
    for name in ("digits", "motion", "tabular"):
        source = ROOT / "examples" / name
        folder = place / name
        data = ("--calibrate", source / "calib.npz", "--target", "cortex-m4", "--output", folder)
        built[name] = (folder, run("build", source / f"{name}.onnx", *data, "--json"))
    return built

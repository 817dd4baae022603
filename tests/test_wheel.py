"""The package as users get it: a wheel, installed in a fresh environment elsewhere, compiles a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1"}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=os.environ | PURE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


def test_wheel_holds_templates_and_runtime(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [f"mcugen/templates/{p.relative_to(ROOT / 'templates')}" for p in (ROOT / "templates").rglob("*.j2")]
    wanted += [f"mcugen/runtime_c/{p.relative_to(ROOT / 'runtime_c')}" for p in (ROOT / "runtime_c").rglob("*.[hc]")]
    wanted += [f"mcugen/{p.relative_to(ROOT / 'mcugen')}" for p in (ROOT / "mcugen").rglob("*.toml")]
    assert len(wanted) > 20
    assert set(wanted) <= names


def test_installed_wheel_builds_a_model(wheel: Path, tmp_path: Path) -> None:
    # the dependencies are this environment's; the package itself must come from the wheel alone
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    model, data = ROOT / "examples/tabular/tabular.onnx", ROOT / "examples/tabular/calib.npz"
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import mcugen.cli; print(mcugen.__file__); mcugen.cli.main()"
    )
    done = run(
        *(sys.executable, "-c", program, site, "build", model, "--calibrate", data, "--target", "host", "--json"),
        cwd=tmp_path,
    )
    where, _, text = done.stdout.partition("\n")
    assert Path(where).is_relative_to(site)
    assert json.loads(text)["verified"] is True
    assert (tmp_path / "build/tabular/src/tabular.c").is_file()

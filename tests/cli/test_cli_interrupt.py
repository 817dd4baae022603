"""Ctrl-C while the command line is still importing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
    "from mcugen.entry import main; main()"
)
INTERRUPT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"


@pytest.mark.parametrize("source", [INTERRUPT, f"exec({INTERRUPT!r})\n"], ids=["import", "exec"])
@pytest.mark.parametrize("module", ["click", "onnx"])
def test_an_interrupt_during_imports(module: str, source: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(source)
    model = tmp_path / "net.onnx"
    model.write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "inspect", str(model)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.split()) == (1, "", ["Aborted!"])

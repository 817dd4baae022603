"""Runs kernel calls on an emulated Cortex-M55, with its vector instructions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from running import RUNTIME, WARNINGS, Case, source

QEMU = shutil.which("qemu-system-arm")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-system-arm is not installed")

MAIN = """
int failed(int index) { return index % 250 + 1; }
int main(void) { return run_all(); }
"""
STARTUP = [RUNTIME / "baremetal" / name for name in ("startup_arm.c", "memory.c")]
COMMANDS = {
    "gcc": ("arm-none-eabi-gcc", "-mcpu=cortex-m55", "-mfloat-abi=hard", "-mthumb", "-nostdlib"),
    "zig": (
        *(sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf"),
        # clang cannot select code for its own vectors of the loops that compare outputs
        *("-fno-vectorize", "-fno-slp-vectorize", "-mcpu=cortex_m55+mve_fp+fp_armv8d16"),
        *("-fomit-frame-pointer", "-fno-sanitize=all", "-fno-unwind-tables"),
    ),
}


def run_on_m55(cases: Iterable[Case], folder: Path, *, compiler: str) -> None:
    """Compile for Cortex-M55, run in QEMU; fails on any difference."""
    listed = list(cases)
    path, elf = folder / "m55.c", folder / "m55.elf"
    path.write_text(source(listed, MAIN))
    folders = [f"-I{RUNTIME}", f"-I{RUNTIME / 'baremetal'}"]
    options = ["-std=gnu99", "-O2", "-g", "-ffreestanding", "-ffunction-sections", "-Wl,--gc-sections"]
    options += ["-Wl,-e,Reset_Handler", "-T", str(RUNTIME / "baremetal" / "mps3-an547.ld")]
    paths = [str(path), *map(str, STARTUP), "-o", str(elf)]
    libraries = ["-lgcc"] if compiler == "gcc" else []
    command = [*COMMANDS[compiler], *options, *WARNINGS, *folders, *paths, *libraries]
    subprocess.run(command, check=True, cwd=RUNTIME / "baremetal")
    assert QEMU is not None
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(
        [QEMU, "-M", "mps3-an547", "-nodefaults", "-display", "none", *semihosting, "-kernel", str(elf)],
        check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"status {done.returncode} (case index % 250 + 1, 99: also a fault) {done.stderr}"

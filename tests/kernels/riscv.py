"""Runs kernel calls on an emulated RV32IMC core, where an unaligned access is a fault."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packed import Case, pack
from running import ALIGNED_EDGES, build_for_device, emulate


def run_on_riscv(cases: Iterable[Case], folder: Path) -> None:
    """Compile with zig and run in Unicorn; fails on any difference, and on any access outside an operand."""
    from unicorn import UC_ARCH_RISCV, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MODE_RISCV32, Uc, riscv_const

    listed = list(cases)
    packed = pack(listed)
    zig = f"{sys.executable} -m ziglang cc -target riscv32-freestanding-none -mcpu=generic_rv32+m+c -fno-sanitize=all"
    program = build_for_device(packed.code, folder, zig.split(), ["-O2"])
    registers = (riscv_const.UC_RISCV_REG_SP, riscv_const.UC_RISCV_REG_A0)
    uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    unaligned: list[int] = []

    def on_access(engine: Any, kind: int, address: int, size: int, value: int, _: object) -> None:
        if address % size:
            unaligned.append(address)
            engine.emu_stop()

    uc.hook_add(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_access)
    emulate(uc, program, packed.cases, listed, registers=registers, edges=ALIGNED_EDGES)
    assert not unaligned, f"accesses {unaligned[0]:#x} unaligned"

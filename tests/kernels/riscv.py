"""Runs kernel calls on an emulated RV32IMC core, where an unaligned access is a fault."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from subprocess import run
from typing import Any

from running import RUNTIME, WARNINGS, Case, source

MAIN = """
void *memcpy(void *to, const void *from, size_t n)
{ char *t = to; const char *f = from; while (n--) { *t++ = *f++; __asm__ volatile(""); } return to; }
void *memset(void *to, int value, size_t n)
{ char *t = to; while (n--) { *t++ = (char)value; __asm__ volatile(""); } return to; }
int failed(int index) { return index + 1; }
void finished(int code);
__attribute__((noinline)) void finished(int code) { (void)code; __asm__ volatile(""); }
void start(void);
void start(void) { finished(run_all()); for (;;) { } }
"""
LINKER_SCRIPT = """ENTRY(start)
SECTIONS { . = 0x80000000; .text : { *(.text*) *(.rodata*) *(.srodata*) } .data : { *(.data*) *(.sdata*) }
  .bss : { *(.sbss*) *(.bss*) *(COMMON) } }
"""
STACK = 0x80800000


def run_on_riscv(cases: Iterable[Case], folder: Path) -> None:
    """Compile with zig and run in Unicorn; fails on any difference."""
    listed = list(cases)
    path, script, elf = folder / "riscv.c", folder / "riscv.ld", folder / "riscv.elf"
    path.write_text(source(listed, MAIN))
    script.write_text(LINKER_SCRIPT)
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c"]
    options = [
        "-std=gnu99",
        "-g",
        "-O2",
        "-Wl,-e,start",
        "-ffreestanding",
        "-fno-sanitize=all",
        *WARNINGS,
        f"-I{RUNTIME}",
    ]
    run([*command, *options, "-T", str(script), str(path), "-o", str(elf)], check=True)
    code = emulate(elf)
    assert code == 0, f"case {code - 1} differs: {listed[code - 1].call.function} {dict(listed[code - 1].call.params)}"


def emulate(path: Path) -> int:
    """What the program hands to `finished`."""
    from elftools.elf.elffile import ELFFile
    from unicorn import UC_ARCH_RISCV, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MODE_RISCV32, Uc, riscv_const

    uc: Any = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    uc.mem_map(0x80000000, STACK - 0x80000000)
    with path.open("rb") as file:
        image = ELFFile(file)
        for segment in image.iter_segments():
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                uc.mem_write(segment["p_paddr"], segment.data())
        end = image.get_section_by_name(".symtab").get_symbol_by_name("finished")[0]["st_value"]
        entry = image["e_entry"]

    def on_access(engine: Any, kind: int, address: int, size: int, value: int, _: object) -> None:
        if address % size:
            engine.emu_stop()

    uc.hook_add(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_access)
    uc.reg_write(riscv_const.UC_RISCV_REG_SP, STACK - 16)
    uc.emu_start(entry, end, timeout=60_000_000)
    stopped = uc.reg_read(riscv_const.UC_RISCV_REG_PC)
    assert stopped == end, f"no end: stopped at {stopped:#x}"
    return int(uc.reg_read(riscv_const.UC_RISCV_REG_A0))

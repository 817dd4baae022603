"""Runs kernel calls as compiled C, each operand in a buffer of its exact size beside memory that faults: on the host under
the sanitizers, and on an emulated Cortex-M with its own instructions."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packed import DRIVER, RUNTIME, SPECIALIZED, Case, pack
from strict import SANITIZERS, WARNINGS

__all__ = ["RUNTIME", "SANITIZERS", "WARNINGS", "Case", "device_compilers", "run_on_device", "run_on_host"]

INCLUDES = [f"-I{RUNTIME}", f"-I{DRIVER}"]
EDGES = 3
"""Runs of each case: its buffers end at memory's end, in whole words; begin at its beginning; and end there to the byte."""
ALIGNED_EDGES = 2
CASES_AT, ISLANDS, ISLAND, ISLAND_STRIDE, ISLAND_COUNT = 0x60000000, 0x61000000, 0x10000, 0x20000, 13
STACK = 0x20400000

HOST_MAIN = """
#include <stdio.h>
#include <stdlib.h>
static uint8_t *place(int number, size_t size, int edge)
{
    static uint8_t *buffers[13];
    (void)edge;
    free(buffers[number]);
    return buffers[number] = malloc(size); /* the sanitizer watches both ends */
}
int main(int count, char **arguments)
{
    FILE *file = fopen(arguments[count - 1], "rb");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    int32_t *cases = malloc(size);
    rewind(file);
    if (fread(cases, 1, size, file) != size) { return 2; }
    int code = run_all(cases, 1);
    free(cases);
    fclose(file);
    if (code != 0) { printf("case %d differs\\n", code - 1); }
    return code != 0;
}
"""

PLACE = f"""
#define ISLAND_COUNT {ISLAND_COUNT}
#define ISLAND_BYTES {ISLAND}u
#define ISLAND_AT(number) ({ISLANDS}u + (uint32_t)(number) * {ISLAND_STRIDE}u)
static uint8_t *place(int number, size_t size, int edge)
{{
    uint8_t *island = (uint8_t *)ISLAND_AT(number);
    return edge == 1 ? island : island + ISLAND_BYTES - (edge == 0 ? (size + 3) / 4 * 4 : size);
}}
"""
"""Each operand in an island of its own, which is all that is mapped there."""

MEMORY = """
void *memcpy(void *to, const void *from, size_t n)
{ char *t = to; const char *f = from; while (n--) { *t++ = *f++; __asm__ volatile(""); } return to; }
void *memset(void *to, int value, size_t n)
{ char *t = to; while (n--) { *t++ = (char)value; __asm__ volatile(""); } return to; }
"""

DEVICE_MAIN = f"""
void finished(int code);
__attribute__((noinline, used)) void finished(int code) {{ __asm__ volatile("" : : "r"(code)); }}
void start(int edges);
void start(int edges)
{{
    finished(run_all((const int32_t *){CASES_AT}u, edges));
    for (;;) {{ }}
}}
"""

LINKER_SCRIPT = """ENTRY(start)
SECTIONS { . = 0x1000; .text : { *(.text*) *(.rodata*) *(.srodata*) }
  /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) }
  . = 0x20000000; .data : { *(.data*) *(.sdata*) } .bss : { *(.sbss*) *(.bss*) *(COMMON) } }
"""


def _failure(cases: Sequence[Case], index: int, what: str) -> str:
    call = cases[index].call
    return f"case {index} {what}: {call.function} {dict(call.params)}"


@functools.cache
def _compiled(command: tuple[str, ...], code: str, folder: Path, scripts: Path | None) -> Path:
    """The program of a C text, compiled once a session."""
    name = hashlib.sha256("\0".join([*command, code]).encode()).hexdigest()[:16]
    path, program = folder / f"{name}.c", folder / f"{name}.elf"
    path.write_text(code)
    libraries = ["-lgcc"] if command[0] == "arm-none-eabi-gcc" else []
    subprocess.run([*command, str(path), "-o", str(program), *libraries], check=True, cwd=scripts)
    return program


def compiled(command: Sequence[str], code: str, folder: Path, *, scripts: Path | None = None) -> Path:
    """The program that a command line makes of a C text, once for the same text, in a folder beside the tests'.

    `scripts` is where the linker's scripts look for each other.
    """
    shared = folder.parent / "compiled"
    shared.mkdir(exist_ok=True)
    return _compiled(tuple(command), code, shared, scripts)


def run_on_host(
    cases: Iterable[Case],
    folder: Path,
    *,
    compiler: str = "gcc",
    flags: Sequence[str] = (),
    specialized: int = 4 * SPECIALIZED,
    beside: Sequence[Case] = (),
) -> None:
    """Compile with all warnings as errors, address and undefined-behaviour sanitizers, and run; fails on any
    difference.  The program also has the kernels of `beside`, so that many runs can share one."""
    listed = list(cases)
    packed = pack(listed, specialized=specialized, beside=beside)
    options = ["-std=gnu99", "-O1", "-g1", *WARNINGS, *SANITIZERS, *flags, *INCLUDES]
    program = compiled([compiler, *options], packed.code + HOST_MAIN, folder)
    (folder / "cases.bin").write_bytes(packed.cases)
    done = subprocess.run([str(program), str(folder / "cases.bin")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def device_compilers() -> list[str]:
    """The cross compilers found here: zig comes with the test requirements, gcc where it is installed."""
    return ["zig", *(["gcc"] if shutil.which("arm-none-eabi-gcc") else [])]


def _device_command(compiler: str, core: str) -> list[str]:
    if compiler == "gcc":
        return ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", "-nostdlib"]
    cpu = core.replace("-", "_")
    zig = f"{sys.executable} -m ziglang cc -target thumb-freestanding-eabi -mcpu={cpu} -fomit-frame-pointer"
    return [*zig.split(), "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]


def build_for_device(code: str, folder: Path, command: Sequence[str], flags: Sequence[str]) -> Path:
    """A program for `emulate` of packed cases' C text."""
    script = folder.parent / "kernels.ld"
    script.write_text(LINKER_SCRIPT)
    options = ["-std=gnu99", "-g1", "-ffreestanding", "-ffunction-sections", "-Wl,--gc-sections", "-Wl,-e,start"]
    everything = [*command, *options, *WARNINGS, *flags, *INCLUDES, "-DGUARDED", "-T", str(script)]
    return compiled(everything, code + MEMORY + PLACE + DEVICE_MAIN, folder)


def run_on_device(
    cases: Iterable[Case],
    folder: Path,
    *,
    compiler: str,
    flags: Sequence[str] = ("-O2",),
    core: str = "cortex-m4",
    specialized: int = SPECIALIZED,
    beside: Sequence[Case] = (),
) -> None:
    """Run the cases on an emulated Cortex-M, with the kernels' own instructions; fails on any difference, and on any access
    outside an operand."""
    from unicorn import UC_ARCH_ARM, UC_MODE_THUMB, Uc, arm_const

    listed = list(cases)
    packed = pack(listed, specialized=specialized, beside=beside)
    program = build_for_device(packed.code, folder, _device_command(compiler, core), flags)
    uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB)
    # the Armv6-M model faults by itself on an unaligned access
    edges = ALIGNED_EDGES if core == "cortex-m0" else EDGES
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0 if core == "cortex-m0" else arm_const.UC_CPU_ARM_CORTEX_M4)
    registers = (arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_R0)
    emulate(uc, program, packed.cases, listed, registers=registers, edges=edges)


def emulate(
    uc: Any, program: Path, packed: bytes, cases: Sequence[Case], *, registers: tuple[int, int], edges: int
) -> None:
    """Run packed cases, with nothing mapped beside their operands; `registers` are the stack pointer and the first argument."""
    from elftools.elf.elffile import ELFFile
    from unicorn import UC_HOOK_INTR, UcError

    uc.mem_map(0, 4 << 20)
    uc.mem_map(0x20000000, STACK - 0x20000000)
    uc.mem_map(CASES_AT, -(-len(packed) // 4096) * 4096)
    uc.mem_write(CASES_AT, packed)
    for number in range(ISLAND_COUNT):
        uc.mem_map(ISLANDS + number * ISLAND_STRIDE, ISLAND)
    with program.open("rb") as file:
        image = ELFFile(file)
        for segment in image.iter_segments():
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                uc.mem_write(segment["p_paddr"], segment.data())
        symbols = image.get_section_by_name(".symtab")
        entry, end, state = (symbols.get_symbol_by_name(n)[0]["st_value"] for n in ("start", "finished", "state"))
    faults: list[str] = []

    def on_interrupt(engine: Any, number: int, _: object) -> None:
        faults.append(f"faults (exception {number})")
        engine.emu_stop()

    uc.hook_add(UC_HOOK_INTR, on_interrupt)
    uc.reg_write(registers[0], STACK - 16)
    uc.reg_write(registers[1], edges)
    try:
        uc.emu_start(entry, end & ~1, timeout=60_000_000)
    except UcError as error:
        faults.append(f"faults ({error})")
    index, edge = (int.from_bytes(uc.mem_read(state + 4 * i, 4), "little") for i in (0, 1))
    assert not faults, _failure(cases, index, f"{faults[0]} at edge {edge}")
    code = int(uc.reg_read(registers[1]))
    assert index == len(cases) - 1 and code == 0, _failure(cases, index, f"differs at edge {edge}")

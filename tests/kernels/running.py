"""Runs kernel calls as compiled C: on the host under the sanitizers, and on an emulated Cortex-M with its own
instructions."""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.program import KernelCall

RUNTIME = Path(__file__).parents[2] / "runtime_c"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual",
            "-Wstrict-prototypes", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
GUARD = 0x5A
SPECIALIZED = 6
"""Every so many-th case is compiled for its layer alone; the others share one copy, which knows no field in advance."""

C_TYPES = {name: f"{name}_t" for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")}

PROLOGUE = """#include <stdint.h>
#include <stddef.h>
%(includes)s
#define ALIGNED __attribute__((aligned(4)))
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int failed(int index);
"""

HOST_MAIN = """
#include <stdio.h>
int failed(int index) { printf("case %d differs\\n", index); return 1; }
int main(void) { return run_all(); }
"""

DEVICE_MAIN = """
void *memcpy(void *to, const void *from, size_t n)
{ char *t = to; const char *f = from; while (n--) { *t++ = *f++; __asm__ volatile(""); } return to; }
void *memset(void *to, int value, size_t n)
{ char *t = to; while (n--) { *t++ = (char)value; __asm__ volatile(""); } return to; }
int failed(int index) { return index + 1; }
__attribute__((noreturn, used)) static void leave(int code)
{
    volatile uint32_t block[2] = {0x20026, (uint32_t)code};
    register int op __asm__("r0") = 0x20;
    register volatile uint32_t *argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : : "r"(op), "r"(argument) : "memory");
    for (;;) { }
}
extern uint32_t image_data, data_start, data_end, bss_start, bss_end;
__attribute__((noreturn, used)) void Reset_Handler(void)
{
    memcpy(&data_start, &image_data, (size_t)((char *)&data_end - (char *)&data_start));
    memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
    leave(run_all());
}
__attribute__((section(".vectors"), used)) static const struct { uintptr_t stack; void (*reset)(void); } vectors = {
    0x20400000, Reset_Handler,
};
"""

LINKER_SCRIPT = """ENTRY(Reset_Handler)
MEMORY { FLASH (rx): ORIGIN = 0, LENGTH = 4M  RAM (rwx): ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(8); } > FLASH
  /DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) }
  image_data = .;
  .data : AT(image_data) { data_start = .; *(.data*) . = ALIGN(8); data_end = .; } > RAM
  .bss (NOLOAD) : { bss_start = .; *(.bss*) *(COMMON) . = ALIGN(8); bss_end = .; } > RAM
}
"""


@dataclass(frozen=True)
class Case:
    """A kernel call, what it reads, and the exact bytes that it must write.

    With a `distance`, the output begins that many bytes (rounded up to words) before input `reader` and may overwrite it.
    """

    call: KernelCall
    inputs: tuple[npt.NDArray[np.int8], ...]
    expected: npt.NDArray[np.int8]
    distance: int | None = None
    reader: int = 0


def _numbers(array: npt.NDArray[np.generic]) -> str:
    suffix = "u" if array.dtype.kind == "u" else ""
    texts = [f"{v}{suffix}" if v != -(2**31) else "(-2147483647 - 1)" for v in array.reshape(-1).tolist()]
    return "{" + ",".join(texts) + "}"


def _case_code(index: int, case: Case) -> str:
    call = case.call
    lines = []
    for name, array in call.constants.items():
        lines.append(f"static const {C_TYPES[str(array.dtype)]} c{index}_{name}[{array.size}] = {_numbers(array)};")
    for number, x in enumerate(case.inputs):
        room = x.size + call.over_read.get(number, 0)
        lines.append(f"static int8_t x{index}_{number}[{room}] __attribute__((aligned(4))) = {_numbers(x)};")
    size = case.expected.size
    lines.append(f"static const int8_t e{index}[{size}] = {_numbers(case.expected)};")
    fields = [f".{name} = {value}" for name, value in call.params.items()]
    fields += [f".{name} = c{index}_{name}" for name in call.constants]
    lines.append(f"static const struct {call.struct} p{index} = {{{', '.join(fields)}}};")
    inputs = [f"x{index}_{number}" for number in range(len(case.inputs))]
    out, arena, place = 0, size, ""
    if case.distance is not None:
        first = (max(case.distance, 0) + 3) // 4 * 4
        out = first - (case.distance + 3) // 4 * 4
        read = case.inputs[case.reader].size
        arena = max(first + read + call.over_read.get(case.reader, 0), out + size)
        place = f"\n    memcpy(out{index}.data + {first}, {inputs[case.reader]}, {read});"
        inputs[case.reader] = f"out{index}.data + {first}"
    words = (call.scratch + 3) // 4
    function, params = call.function, f"&p{index}"
    if index % SPECIALIZED:
        lines.append(f"static const struct {call.struct} *volatile q{index} = &p{index};")
        function, params = "shared_" + call.function, f"q{index}"
    lines.append(f"""static struct {{ int8_t before[8], data[{arena}], after[8]; }} out{index} ALIGNED;
static uint32_t s{index}[{words + 2}];
static int __attribute__((noinline)) run{index}(void)
{{
    memset(&out{index}, {GUARD}, sizeof out{index});
    memset(s{index}, {GUARD}, sizeof s{index});{place}
    {function}({params}, {", ".join(inputs)}, out{index}.data + {out}, s{index} + 1);
    int good = s{index}[0] == 0x5a5a5a5au && s{index}[{words + 1}] == 0x5a5a5a5au;
    for (int i = 0; i < 8; ++i) {{
        good &= out{index}.before[i] == {GUARD} && out{index}.after[i] == {GUARD};
    }}
    for (int i = 0; i < {size}; ++i) {{
        good &= out{index}.data[{out} + i] == e{index}[i];
    }}
    return good ? 0 : failed({index});
}}""")
    return "\n".join(lines)


def _shared_copy(case: Case) -> str:
    function = case.call.function
    inputs = [f"const int8_t *x{number}" for number in range(len(case.inputs))]
    names = [f"x{number}" for number in range(len(case.inputs))]
    arguments = [f"const struct {case.call.struct} *p", *inputs, "int8_t *out", "void *scratch"]
    head = f"void shared_{function}({', '.join(arguments)})"
    return f"""{head};
__attribute__((noinline)) {head}
{{
    {function}(p, {", ".join(names)}, out, scratch);
}}"""


def source(cases: Sequence[Case], main: str) -> str:
    """A C file that runs all cases and returns 0, or what `failed` makes of the first that differs."""
    headers = sorted({header for case in cases for header in case.call.headers})
    prologue = PROLOGUE % {"includes": "\n".join(f'#include "{header}"' for header in headers)}
    shared = "\n".join(sorted({_shared_copy(case) for case in cases}))
    calls = "\n".join(f"    if ((code = run{i}()) != 0) {{ return code; }}" for i in range(len(cases)))
    runner = f"static int run_all(void)\n{{\n    int code;\n{calls}\n    return 0;\n}}\n"
    return "\n".join([prologue, shared, *(_case_code(i, case) for i, case in enumerate(cases)), runner, main])


def run_on_host(cases: Iterable[Case], folder: Path, *, compiler: str = "gcc", flags: Sequence[str] = ()) -> None:
    """Compile with all warnings as errors, address and undefined-behaviour sanitizers, and run; fails on any
    difference."""
    listed = list(cases)
    path = folder / "host.c"
    path.write_text(source(listed, HOST_MAIN))
    options = ["-std=gnu99", "-O1", "-g", *WARNINGS, *SANITIZERS, *flags, f"-I{RUNTIME}"]
    subprocess.run([compiler, *options, str(path), "-o", str(folder / "host")], check=True)
    done = subprocess.run([str(folder / "host")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def device_compilers() -> list[str]:
    """The cross compilers found here: zig comes with the test requirements, gcc where it is installed."""
    return ["zig", *(["gcc"] if shutil.which("arm-none-eabi-gcc") else [])]


@functools.cache
def _device_command(compiler: str, core: str) -> tuple[str, ...]:
    if compiler == "gcc":
        return ("arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", "-nostdlib")
    cpu = core.replace("-", "_")
    zig = f"{sys.executable} -m ziglang cc -target thumb-freestanding-eabi -mcpu={cpu} -fomit-frame-pointer"
    return (*zig.split(), "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")


def build_for_device(
    code: str, folder: Path, *, compiler: str, flags: Sequence[str] = ("-O2",), core: str = "cortex-m4"
) -> Path:
    """A bare-metal Cortex-M ELF of one C file."""
    path, script, elf = folder / "device.c", folder / "device.ld", folder / "device.elf"
    path.write_text(code)
    script.write_text(LINKER_SCRIPT)
    options = ["-std=gnu99", "-g", "-ffreestanding", "-ffunction-sections", "-Wl,--gc-sections", "-Wl,-e,Reset_Handler"]
    paths = [f"-I{RUNTIME}", "-T", str(script), str(path), "-o", str(elf)]
    libraries = ["-lgcc"] if compiler == "gcc" else []
    subprocess.run([*_device_command(compiler, core), *options, *WARNINGS, *flags, *paths, *libraries], check=True)
    return elf


def run_on_device(
    cases: Iterable[Case], folder: Path, *, compiler: str, flags: Sequence[str] = ("-O2",), core: str = "cortex-m4"
) -> None:
    """Run the cases on an emulated Cortex-M, with the kernels' own instructions; fails on any difference."""
    listed = list(cases)
    elf = build_for_device(source(listed, DEVICE_MAIN), folder, compiler=compiler, flags=flags, core=core)
    code = emulate(elf, aligned=core in ("cortex-m0", "cortex-m0plus"))
    assert code == 0, f"case {code - 1} differs: {listed[code - 1].call.function} {dict(listed[code - 1].call.params)}"


def emulate(elf_path: Path, *, aligned: bool = False) -> int:
    """The exit code of a bare-metal ELF; raises AssertionError on a fault or where it does not end.

    With `aligned`, an unaligned access is a fault, as on Armv6-M.
    """
    from elftools.elf.elffile import ELFFile
    from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE, UC_MODE_THUMB, Uc, arm_const

    uc: Any = Uc(UC_ARCH_ARM, UC_MODE_THUMB)
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    uc.mem_map(0, 4 << 20)
    uc.mem_map(0x20000000, 4 << 20)
    with elf_path.open("rb") as file:
        for segment in ELFFile(file).iter_segments():
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                uc.mem_write(segment["p_paddr"], segment.data())
    exit_code: list[int] = []

    def on_interrupt(engine: Any, number: int, _: object) -> None:
        if number == 7 and engine.reg_read(arm_const.UC_ARM_REG_R0) == 0x20:
            block = engine.mem_read(engine.reg_read(arm_const.UC_ARM_REG_R1), 8)
            exit_code.append(struct.unpack("<II", block)[1])
        engine.emu_stop()

    def on_access(engine: Any, kind: int, address: int, size: int, value: int, _: object) -> None:
        if address % size:
            engine.emu_stop()

    uc.hook_add(UC_HOOK_INTR, on_interrupt)
    if aligned:
        uc.hook_add(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_access)
    stack, reset = struct.unpack("<II", uc.mem_read(0, 8))
    uc.reg_write(arm_const.UC_ARM_REG_SP, stack)
    uc.emu_start(reset | 1, 0xFFFFFFFE, timeout=60_000_000)
    assert exit_code, f"no exit: stopped at {uc.reg_read(arm_const.UC_ARM_REG_PC):#x}"
    return exit_code[0]

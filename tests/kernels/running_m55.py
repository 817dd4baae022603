"""Runs kernel calls on an emulated Cortex-M55, with its vector instructions; its memory protection unit watches their operands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from packed import SPECIALIZED, Case, pack
from running import CASES_AT, EDGES, INCLUDES, PLACE, RUNTIME, WARNINGS, compiled

QEMU = shutil.which("qemu-system-arm")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-system-arm is not installed")

MAIN = f"""
#include "baremetal.h"
extern uint32_t __bss_end[], __stack_top[];
#define REGISTER(address) (*(volatile uint32_t *)(address))

static void allow(uint32_t region, uint32_t first, uint32_t size)
{{
    REGISTER(0xE000ED98) = region;                           /* MPU_RNR */
    REGISTER(0xE000ED9C) = first | 1u << 1;                  /* MPU_RBAR: readable and writable */
    REGISTER(0xE000EDA0) = (first + size - 32u) | 1u;        /* MPU_RLAR: limit, attributes 0, enabled */
}}

__attribute__((used)) static void fault(void)
{{
    char text[] = "case 000000 faults\\n";
    uint32_t left = (uint32_t)state[0];
    for (int i = 10; i > 4; --i, left /= 10u) {{
        text[i] = (char)('0' + left % 10u);
    }}
    baremetal_print(text);
    baremetal_exit(98);
}}

__attribute__((aligned(512))) static uintptr_t vectors[16];

int main(void)
{{
    for (int i = 0; i < 16; ++i) {{
        vectors[i] = (uintptr_t)fault;
    }}
    REGISTER(0xE000ED08) = (uint32_t)vectors;                /* VTOR */
    REGISTER(0xE000EDC0) = 0x44u;                            /* MPU_MAIR0: normal memory, no cache */
    allow(0, 0x00000000u, 0x80000u);                         /* code */
    allow(1, 0x21000000u, 0x400000u);                        /* data and stack */
    allow(2, {CASES_AT}u, 0x1000000u);
    for (uint32_t i = 0; i < ISLAND_COUNT; ++i) {{
        allow(3u + i, ISLAND_AT(i), ISLAND_BYTES);
    }}
    REGISTER(0xE000ED94) = 1u;                               /* MPU_CTRL: nothing beside the regions */
    __asm__ volatile("dsb\\n isb" ::: "memory");
    int code = run_all((const int32_t *){CASES_AT}u, {EDGES});
    if (code != 0) {{
        fault();
    }}
    return 0;
}}
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


def run_on_m55(
    cases: Iterable[Case], folder: Path, *, compiler: str, specialized: int = SPECIALIZED, beside: Sequence[Case] = ()
) -> None:
    """Compile for Cortex-M55, run in QEMU; fails on any difference, and on any access outside an operand."""
    listed = list(cases)
    packed = pack(listed, specialized=specialized, beside=beside)
    scripts = RUNTIME / "baremetal"
    options = ["-std=gnu99", "-O2", "-g1", "-ffreestanding", "-ffunction-sections", "-Wl,--gc-sections", "-DGUARDED"]
    options += ["-Wl,-e,Reset_Handler", "-T", str(scripts / "mps3-an547.ld"), f"-I{scripts}"]
    command = [*COMMANDS[compiler], *options, *WARNINGS, *INCLUDES, *map(str, STARTUP)]
    program = compiled(command, packed.code + PLACE + MAIN, folder, scripts=scripts)
    data = folder / "cases.bin"
    data.write_bytes(packed.cases)
    assert QEMU is not None
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    loaded = ["-kernel", str(program), "-device", f"loader,file={data},addr={CASES_AT},force-raw=on"]
    done = subprocess.run(
        [QEMU, "-M", "mps3-an547", "-nodefaults", "-display", "none", *semihosting, *loaded],
        check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout} {done.stderr}"

"""How far a block reaches below the stack pointer, read from its instructions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from mcugen import pipeline
from mcugen.pipeline import Quantized
from mcugen.quantize.calibration import load_samples
from mcugen.run.stack import stack_reach
from mcugen.run.toolchain import find_cross_compiler
from mcugen.simulation import core_of, link, simulate_package

EXAMPLES = Path(__file__).parents[2] / "examples"
STACK_LIMIT = 768
LOOSE = 1.4
"""Of what a run reaches: the deepest chain of calls need not be taken."""


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("push {r4, r5, lr}; sub sp, #0x14; bl #0x100", 12 + 20),
        ("push.w {r4-r11, lr}; vpush {d8, d9}; sub.w sp, sp, #0x400", 36 + 16 + 1024),
        ("sub.w sp, sp, #16; movs r0, #0; add.w sp, sp, #16; push {r4}", 16),
        ("str r4, [sp, #-4]!; bl #0x100; ldr r4, [sp], #4", 4),
        ("stmdb sp!, {r4, lr}; ldm sp!, {r4, pc}", 8),
        ("add sp, #8; pop {r4, pc}", 0),
        ("push {r4, lr}; ldr r4, [pc, #8]; add sp, r4", 8),
        ("mov r7, sp; ldr r0, [sp, #4]; add r0, sp, #8; strd r0, r1, [sp, #8]", 0),
        ("c.addi16sp sp, -0x40; c.swsp ra, 0x3c(sp); sw s0, 56(sp)", 64),
        ("addi sp, sp, -16; sw ra, 12(sp); addi sp, sp, 16; ret", 16),
        ("lui t0, 1; sub sp, sp, t0", 0),
    ],
)
def test_stack_reach(text: str, below: int) -> None:
    instructions = [
        (mnemonic, operands) for mnemonic, _, operands in (line.strip().partition(" ") for line in text.split(";"))
    ]
    assert stack_reach(instructions) == below


@cache
def quantized(name: str) -> Quantized:
    graph = pipeline.load(EXAMPLES / name / f"{name}.onnx")
    return pipeline.quantize(graph, load_samples(graph, EXAMPLES / name / "calib.npz"), effort="fast")


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus", "riscv32"])
@pytest.mark.parametrize("name", ["digits", "motion", "tabular"])
def test_the_stack_of_a_build_is_known_and_small(name: str, core: str, tmp_path: Path) -> None:
    target = core_of(core, None)
    package = pipeline.compile_model(quantized(name), target=target).write(tmp_path / "out")
    linked = link(package, target, find_cross_compiler(target))
    reached = simulate_package(package, target, vectors=1).stack
    assert reached <= linked.stack <= min(STACK_LIMIT, LOOSE * reached)
    assert linked.sizes.data + linked.sizes.bss == 0

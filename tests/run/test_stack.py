"""How far a block reaches below the stack pointer, read from its instructions."""

from __future__ import annotations

import pytest

from mcugen.run.stack import stack_reach


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

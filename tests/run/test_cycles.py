"""The cycle tables, on blocks whose cost is counted by hand from the cores' manuals."""

from __future__ import annotations

import dataclasses

import pytest

from mcugen.run.cycles import BlockCost, Instruction, block_cost
from mcugen.targets import load_target


def cost(target: str, text: str) -> BlockCost:
    table = load_target(target).cycles
    assert table is not None
    instructions: list[Instruction] = []
    for line in text.split(";"):
        mnemonic, _, operands = line.strip().partition(" ")
        instructions.append((mnemonic, operands))
    return block_cost(instructions, table)


@pytest.mark.parametrize(
    ("target", "text", "cycles"),
    [
        ("m4", "ldr r0, [r1]", 2),
        ("m4", "ldr r0, [r1]; ldr r2, [r1, #4]; ldrb r3, [r1]", 2 + 1 + 1),
        ("m4", "str r0, [r1]; ldr r2, [r1, #4]", 1 + 1),
        ("m4", "ldr r0, [r1]; add r0, r0, r2; ldr r2, [r1]", 2 + 1 + 2),
        ("m4", "push {r4, r5, r6, r7, lr}", 1 + 5),
        ("m4", "push {r4-r7, lr}", 1 + 5),
        ("m4", "pop {r4, pc}", 1 + 2 + 2),
        ("m4", "ldr pc, [r0]", 2 + 2),
        ("m4", "ldrd r0, r1, [r2]; ldr r3, [r2]", 3 + 2),
        ("m4", "smlad r0, r1, r2, r0; smull r0, r1, r2, r3; mla r0, r1, r2, r3", 3),
        ("m3", "smull r0, r1, r2, r3; mla r0, r1, r2, r3; mul r0, r1, r2", 4 + 2 + 1),
        ("m4", "udiv r0, r1, r2", 7),
        ("m4", "vldr s0, [r0]; vmla.f32 s0, s1, s2; vmul.f32 s0, s1, s2; vdiv.f32 s0, s1, s2", 2 + 3 + 1 + 14),
        ("m4", "tbb [pc, r0]", 2),
        ("m4", "itt eq; ldreq r0, [r1]; streq r0, [r2]", 1 + 2 + 1),
        ("m4", "ldr.w r0, [r1]; ldrsb.w r0, [r1]", 2 + 1),
        ("m0", "ldr r0, [r1]; ldr r2, [r1]; str r0, [r1]; muls r0, r1, r0", 2 + 2 + 2 + 1),
        ("riscv32", "lw a0, 0(a1); addi a0, a0, 1", 1 + 2),
        ("riscv32", "lw a0, 0(a1); addi a2, a1, 1; addi a0, a0, 1", 1 + 1 + 1),
        ("riscv32", "lw a0, 0(a1); addi a0, a1, 1", 1 + 1),
        ("riscv32", "c.lw a0, 0(a1); c.add a0, a2", 1 + 2),
        ("riscv32", "c.lw a0, 0(a1); c.mv a0, a2", 1 + 1),
        ("riscv32", "lw a0, 0(a1); sw a0, 4(a1)", 1 + 2),
        ("riscv32", "mul a0, a1, a2; mulh a0, a1, a2; divu a0, a1, a2", 1 + 5 + 35),
    ],
)
def test_cycles(target: str, text: str, cycles: int) -> None:
    assert cost(target, text).cycles == cycles


def test_a_multiplier_of_many_cycles() -> None:
    table = load_target("m0plus").cycles
    assert table is not None
    slow = dataclasses.replace(table, multiply=32)
    assert block_cost([("muls", "r0, r1, r0"), ("adds", "r0, r0, r2")], slow).cycles == 33


def test_operations_are_counted() -> None:
    block = cost("m4", "ldm r0, {r1-r3}; ldrd r4, r5, [r0]; strd r4, r5, [r0]; vpush {d8}; smlad r0, r1, r2, r0; nop")
    assert (block.instructions, block.loads, block.stores, block.multiplies) == (6, 3 + 2, 2 + 1, 1)


def test_leaving_a_block() -> None:
    assert cost("m4", "bne #0").taken == 2
    assert cost("m0plus", "bne #0").taken == 1
    assert cost("riscv32", "beqz a0, 8").taken == 2
    assert cost("riscv32", "c.j 8").taken == 1

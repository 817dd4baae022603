"""What a straight run of instructions costs: the cycle tables of in-order cores at zero wait states.

Cortex-M follows the instruction timing tables of the cores' Technical Reference Manuals, RISC-V the CV32E40P user
manual; dual issue, flash wait states and caches are not modelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mcugen.targets import CycleTable

_CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
_ARM_LOADS = frozenset(("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "vldr"))
_ARM_STORES = frozenset(("str", "strb", "strh", "vstr"))
_ARM_MULTIPLE_LOADS = ("ldm", "pop", "vldm", "vpop")
_ARM_MULTIPLE_STORES = ("stm", "push", "vstm", "vpush")
_ARM_CONDITIONAL = _ARM_LOADS | _ARM_STORES | {"ldrd", "strd", "mul", "mla"}
_ARM_MULTIPLIES = ("smla", "smul", "smua", "smus", "smls", "umul", "umla", "mul", "mla", "mls", "smm", "vmul")
_ARM_LONG_MULTIPLIES = ("smul", "umul", "smla", "umla")
_ARM_FLOAT_MACS = frozenset(("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls"))
_RISCV_LOADS = frozenset(("lb", "lbu", "lh", "lhu", "lw", "flw", "lwsp", "flwsp"))
_RISCV_STORES = frozenset(("sb", "sh", "sw", "fsw", "swsp", "fswsp"))
_RISCV_JUMPS = frozenset(("j", "jal", "jr", "jalr", "ret"))
_RISCV_COMPRESSED_WRITE_ONLY = frozenset(("c.lw", "c.lwsp", "c.flw", "c.flwsp", "c.mv", "c.li", "c.lui", "c.addi4spn"))

Instruction = tuple[str, str]
"""Mnemonic and operands, as capstone prints them."""


@dataclass(frozen=True)
class BlockCost:
    """One execution of a basic block; `taken` is what leaving it other than by falling through adds to `cycles`."""

    instructions: int
    cycles: int
    taken: int
    loads: int
    stores: int
    multiplies: int


@dataclass(frozen=True)
class _Cost:
    cycles: int = 1
    loads: int = 0
    stores: int = 0
    multiplies: int = 0
    single_access: bool = False
    """A load or store of one register, which the next one may overlap."""


def block_cost(instructions: Iterable[Instruction], table: CycleTable) -> BlockCost:
    """The cost of a basic block's instructions, each executed once; predicated ones count whether they act or not."""
    arm = table.model == "cortex-m"
    costs: list[_Cost] = []
    previous: tuple[Instruction, _Cost] | None = None
    for instruction in instructions:
        cost = _arm_cost(instruction, table, previous) if arm else _riscv_cost(instruction, table, previous)
        costs.append(cost)
        previous = (instruction, cost)
    jumps = not arm and previous is not None and _riscv_stem(previous[0][0]) in _RISCV_JUMPS
    return BlockCost(
        instructions=len(costs),
        cycles=sum(cost.cycles for cost in costs),
        taken=table.jump if jumps else table.taken_branch,
        loads=sum(cost.loads for cost in costs),
        stores=sum(cost.stores for cost in costs),
        multiplies=sum(cost.multiplies for cost in costs),
    )


def _arm_cost(instruction: Instruction, table: CycleTable, previous: tuple[Instruction, _Cost] | None) -> _Cost:
    mnemonic, operands = instruction
    stem = mnemonic.partition(".")[0]
    if stem[-2:] in _CONDITIONS and stem[:-2] in _ARM_CONDITIONAL:
        stem = stem[:-2]
    if stem.startswith(_ARM_MULTIPLE_LOADS):
        count = register_count(operands)
        cost = _Cost(table.multiple_base + count + (table.load_to_pc if "pc" in operands else 0), loads=count)
    elif stem.startswith(_ARM_MULTIPLE_STORES):
        count = register_count(operands)
        cost = _Cost(table.multiple_base + count, stores=count)
    elif stem in _ARM_LOADS:
        cycles = table.load_pipelined if previous is not None and previous[1].single_access else table.load
        into_pc = operands.partition(",")[0].strip() == "pc"
        cost = _Cost(cycles + (table.load_to_pc if into_pc else 0), loads=1, single_access=True)
    elif stem in _ARM_STORES:
        cost = _Cost(table.store, stores=1, single_access=True)
    elif stem == "ldrd":
        cost = _Cost(table.load_pair, loads=2)
    elif stem == "strd":
        cost = _Cost(table.store_pair, stores=2)
    else:
        cost = _arm_arithmetic_cost(stem, table)
    return cost


def _arm_arithmetic_cost(stem: str, table: CycleTable) -> _Cost:
    multiplies = 0
    if stem in _ARM_FLOAT_MACS:
        cycles, multiplies = table.float_multiply_accumulate, 1
    elif stem in ("mul", "muls"):
        cycles, multiplies = table.multiply, 1
    elif stem in ("mla", "mls"):
        cycles, multiplies = table.multiply_accumulate, 1
    elif stem.startswith(_ARM_LONG_MULTIPLIES):
        cycles, multiplies = table.multiply_long, 1
    elif stem.startswith(_ARM_MULTIPLIES):
        cycles, multiplies = 1, 1
    elif stem in ("udiv", "sdiv"):
        cycles = table.divide
    elif stem in ("vdiv", "vsqrt"):
        cycles = table.float_divide
    elif stem in ("tbb", "tbh"):
        cycles = table.table_branch
    else:
        cycles = 1
    return _Cost(cycles, multiplies=multiplies)


def _riscv_cost(instruction: Instruction, table: CycleTable, previous: tuple[Instruction, _Cost] | None) -> _Cost:
    stem = _riscv_stem(instruction[0])
    stall = table.load_use if previous is not None and _uses_loaded_register(instruction, *previous) else 0
    cycles, loads, stores, multiplies = 1, 0, 0, 0
    if stem in _RISCV_LOADS:
        cycles, loads = table.load, 1
    elif stem in _RISCV_STORES:
        cycles, stores = table.store, 1
    elif stem.startswith("mul"):
        cycles, multiplies = table.multiply if stem == "mul" else table.multiply_long, 1
    elif stem.startswith(("div", "rem")):
        cycles = table.divide
    return _Cost(cycles + stall, loads=loads, stores=stores, multiplies=multiplies)


def _riscv_stem(mnemonic: str) -> str:
    return mnemonic.removeprefix("c.")


def _uses_loaded_register(instruction: Instruction, loaded: Instruction, cost: _Cost) -> bool:
    """Whether an instruction reads the register that the one before it loaded."""
    mnemonic, operands = instruction
    reads_all = (
        _riscv_stem(mnemonic) in _RISCV_STORES | _RISCV_JUMPS
        or _riscv_stem(mnemonic).startswith("b")
        or (mnemonic.startswith("c.") and mnemonic not in _RISCV_COMPRESSED_WRITE_ONLY)
    )
    sources = operands if reads_all else operands.partition(",")[2]
    return cost.loads == 1 and loaded[1].partition(",")[0].strip() in re.findall(r"[a-z]+\d*", sources)


def register_count(operands: str) -> int:
    """How many registers a list such as {r4-r7, lr} names, in an instruction's operands."""
    count = 0
    for part in operands[operands.find("{") + 1 : operands.find("}")].split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        count += int(last[1:]) - int(first[1:]) + 1 if dash else 1
    return count

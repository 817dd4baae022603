"""How far a basic block moves the stack pointer, read from its instructions; what a run takes in all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mcugen.run.cycles import Instruction, register_count
from mcugen.run.elf import Image
from mcugen.run.resources import require

_NUMBER = re.compile(r"(?<!\w)#?(-?(?:0x[0-9a-f]+|\d+))")
_PUSHES = ("push", "stmdb", "vpush", "vstmdb")
_POPS = ("pop", "ldm", "vpop", "vldmia")


Placed = tuple[int, str, str]
"""An instruction's address, name and operands."""


def stack_reach(instructions: Iterable[Instruction]) -> int:
    """How many bytes below the stack pointer at its start a block reaches.

    A move by a register's value, which frames too large for an immediate take, is left out: it shows in the stack
    pointer at the start of the next block.
    """
    offset = deepest = 0
    for mnemonic, operands in instructions:
        offset += _change(mnemonic, operands)
        deepest = min(deepest, offset)
    return -deepest


def run_stack(image: Image, model: str, family: str) -> int:
    """Bytes of stack that a run of a linked model takes below its caller, along the deepest chain of calls.

    Read from the machine code, so that functions in assembly count as well; a call through a pointer may reach any step.
    """
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 0  # nothing calls itself
            symbol = image.symbols[name]
            code = _decoded(image, symbol.address, symbol.size, family)
            called = _called(image, code, model) - {name}
            depths[name] = stack_reach((mnemonic, operands) for _, mnemonic, operands in code) + max(map(depth, called), default=0)
        return depths[name]

    return max(depth(name) for name in (f"{model}_run", f"{model}_push_row") if name in image.symbols)


def _decoded(image: Image, address: int, size: int, family: str) -> list[Placed]:
    capstone = require("capstone", purpose="reading how much stack a run takes")
    if family == "arm":
        decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    decoder.skipdata = True
    for start, data in image.segments:
        if start <= address < start + len(data):
            code = data[address - start : address - start + size]
            return [(i.address, i.mnemonic, i.op_str) for i in decoder.disasm(code, address)]
    return []


def _called(image: Image, code: Iterable[Placed], model: str) -> set[str]:
    """The functions that a function calls or goes on to; the disassembler gives targets on Arm, distances on RISC-V."""
    starts = dict(image.functions)
    found: set[str] = set()
    page: int | None = None
    for address, mnemonic, operands in code:
        number = _NUMBER.fullmatch(operands.rpartition(",")[2].strip())
        value = None if number is None else int(number[1], 0)
        target: int | None = None
        if mnemonic == "auipc" and value is not None:
            page = address + (value << 12)
            continue
        if mnemonic in ("jal", "j", "c.jal", "c.j") and value is not None:
            target = address + value
        elif mnemonic == "jalr" and page is not None and value is not None:
            target = (page + value) & 0xFFFFFFFF
        elif mnemonic in ("blx", "jalr", "c.jalr"):
            found |= {function for function in image.symbols if function.startswith(f"{model}_step_")}
        elif mnemonic.startswith("b"):
            target = value
        page = None
        found |= {starts[target]} if target in starts else set()
    return found


def _change(mnemonic: str, operands: str) -> int:
    """What an instruction adds to the stack pointer."""
    stem = mnemonic.partition(".")[0]
    if "{" in operands and (stem.startswith(("push", "pop", "vpush", "vpop")) or operands.startswith("sp!")):
        size = (8 if "{d" in operands else 4) * register_count(operands)
        return -size if stem.startswith(_PUSHES) else size if stem.startswith(_POPS) else 0
    if "[sp" in operands and ("]!" in operands or "]," in operands):
        return _number(operands[operands.index("[sp") :])
    if operands.partition(",")[0].strip() == "sp" and "(" not in operands:
        amount = _number(operands.rpartition(",")[2])
        return -amount if stem.startswith("sub") else amount
    return 0


def _number(text: str) -> int:
    found = _NUMBER.search(text)
    return int(found[1], 0) if found else 0

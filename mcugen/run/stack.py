"""How far a basic block moves the stack pointer, read from its instructions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mcugen.run.cycles import Instruction, register_count

_NUMBER = re.compile(r"(?<!\w)#?(-?(?:0x[0-9a-f]+|\d+))")
_PUSHES = ("push", "stmdb", "vpush", "vstmdb")
_POPS = ("pop", "ldm", "vpop", "vldmia")


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

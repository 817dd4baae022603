"""How far a basic block moves the stack pointer, read from its instructions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mcugen.run.cycles import Instruction, register_count

_NUMBER = re.compile(r"(?<!\w)#?(-?(?:0x[0-9a-f]+|\d+))")
_PUSHES = ("push", "stmdb", "vpush", "vstmdb")
_POPS = ("pop", "ldm", "vpop", "vldmia")


def stack_reach(instructions: Iterable[Instruction]) -> tuple[int, bool]:
    """(bytes below the stack pointer at the block's start that it reaches, whether it moves by a register's value).

    The second is for frames too large for an immediate: only running the block tells how far it moves.
    """
    offset = deepest = 0
    by_register = False
    for mnemonic, operands in instructions:
        change = _change(mnemonic, operands)
        if change is None:
            by_register = True
        else:
            offset += change
        deepest = min(deepest, offset)
    return -deepest, by_register


def _change(mnemonic: str, operands: str) -> int | None:
    """What an instruction adds to the stack pointer; None where that is in a register."""
    stem = mnemonic.partition(".")[0]
    change: int | None = 0
    if "{" in operands and (stem.startswith(("push", "pop", "vpush", "vpop")) or operands.startswith("sp!")):
        size = (8 if "{d" in operands else 4) * register_count(operands)
        change = -size if stem.startswith(_PUSHES) else size if stem.startswith(_POPS) else 0
    elif "[sp" in operands and ("]!" in operands or "]," in operands):
        change = _number(operands[operands.index("[sp") :])
    elif operands.partition(",")[0].strip() == "sp" and "(" not in operands:
        amount = _number(operands.rpartition(",")[2])
        change = -amount if amount is not None and stem.startswith("sub") else amount
    return change


def _number(text: str) -> int | None:
    found = _NUMBER.search(text)
    return int(found[1], 0) if found else None

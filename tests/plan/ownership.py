"""A second opinion on plans: run them byte by byte and look who owns each byte when it is read.

Knows nothing of intervals or separations. Every buffer fills its bytes with its own mark when its life
begins, and finds them unchanged while it lives. A step with overlap rules writes byte after byte upwards;
after ``p`` bytes of output its kernel still needs the bytes of the input that the rule says.
Several outputs of one step are written one beside the other: each is run alone against the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcugen.plan.model import Buffer, Overlap


def runs_clean(buffers: Sequence[Buffer], overlaps: Sequence[Overlap], offsets: Mapping[str, int]) -> bool:
    """No buffer loses a byte that it still needs; without aliases."""
    memory: dict[int, str] = {}
    first = {buffer.name: buffer.first for buffer in buffers}
    last = {buffer.name: buffer.last for buffer in buffers}
    for step in range(-1, max(buffer.last for buffer in buffers) + 1):
        rules = [rule for rule in overlaps if first[rule.writer] == step == last[rule.reader]]
        after = _step(buffers, rules, offsets, step, dict(memory))
        if after is None:
            return False
        memory = after
    return True


def _step(
    buffers: Sequence[Buffer], rules: Sequence[Overlap], offsets: Mapping[str, int], step: int, memory: dict[int, str]
) -> dict[int, str] | None:
    """The memory after the step; None when something needed was lost."""

    def intact(buffer: Buffer, needed: range) -> bool:
        return all(memory.get(offsets[buffer.name] + i) == buffer.name for i in needed)

    slow = {rule.writer for rule in rules}
    born = [buffer for buffer in buffers if buffer.first == step]
    old = [buffer for buffer in buffers if buffer.first < step <= buffer.last]
    for buffer in born:
        if buffer.name not in slow:
            memory.update((offsets[buffer.name] + i, buffer.name) for i in range(buffer.size))
    present = old + [buffer for buffer in born if buffer.name not in slow]
    if not all(intact(buffer, range(buffer.size)) for buffer in present):
        return None
    before = dict(memory)
    writers = [buffer for buffer in born if buffer.name in slow]
    for writer in writers:
        memory.clear()
        memory.update(before)
        may_lose = {rule.reader: rule.distance for rule in rules if rule.writer == writer.name}
        for written in range(1, writer.size + 1):
            memory[offsets[writer.name] + written - 1] = writer.name
            for reader in present:
                if reader.name not in may_lose:
                    needed = range(reader.size)
                else:
                    needed = range(max(0, written - may_lose[reader.name]), reader.size)
                if not intact(reader, needed):
                    return None
    for writer in writers:
        memory.update((offsets[writer.name] + i, writer.name) for i in range(writer.size))
    return memory if all(intact(writer, range(writer.size)) for writer in writers) else None

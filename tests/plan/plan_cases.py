"""Small random planning problems for Hypothesis, and the true optimum by trying every placement."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from mcugen.plan.model import Alias, Buffer, Overlap


@st.composite
def problems(draw: st.DrawFn, *, most: int = 5, largest: int = 4, steps: int = 3) -> tuple[list[Buffer], list[Overlap]]:
    """Buffers of a few bytes with any lives, alignments and tails, and rules of any sign."""
    buffers = []
    for number in range(draw(st.integers(1, most))):
        first = draw(st.integers(-1, steps - 1))
        last = draw(st.integers(first, steps - 1))
        align, tail = draw(st.sampled_from([1, 1, 2, 4])), draw(st.sampled_from([0, 0, 0, 1, 3]))
        buffers.append(Buffer(f"b{number}", draw(st.integers(0, largest)), first, last, align, tail))
    overlaps = []
    for writer in buffers:
        for reader in buffers:
            if reader.last == writer.first > reader.first and draw(st.booleans()):
                distance = draw(st.integers(-reader.size - 1, writer.size + 1))
                overlaps.append(Overlap(writer.name, reader.name, distance))
    return buffers, overlaps


def smallest_arena(buffers: Sequence[Buffer], overlaps: Sequence[Overlap]) -> int:
    """The optimum, by placing every buffer at every offset of ever larger arenas."""
    arena = 0
    while not _place(buffers, overlaps, {}, arena):
        arena += 1
    return arena


def _place(buffers: Sequence[Buffer], overlaps: Sequence[Overlap], at: dict[str, int], arena: int) -> bool:
    if len(at) == len(buffers):
        return True
    buffer = buffers[len(at)]
    for offset in range(0, arena - buffer.size - buffer.tail + 1, buffer.align):
        here = at | {buffer.name: offset}
        fine = all(_apart(buffer, other, here, overlaps) for other in buffers[: len(at)])
        if fine and _place(buffers, overlaps, here, arena):
            return True
    return False


def _apart(one: Buffer, two: Buffer, at: dict[str, int], overlaps: Sequence[Overlap]) -> bool:
    if one.last < two.first or two.last < one.first:
        return True
    if not {at[one.name] + i for i in range(one.size)} & {at[two.name] + i for i in range(two.size)}:
        return True
    for rule in overlaps:
        for writer, reader in ((one, two), (two, one)):
            ruled = (rule.writer, rule.reader) == (writer.name, reader.name)
            if ruled and at[writer.name] + rule.distance <= at[reader.name]:
                return True
    return False


@st.composite
def concatenations(draw: st.DrawFn) -> tuple[list[Buffer], list[Overlap], list[Alias]]:
    """Two parts that end up side by side in a whole, written one after the other, and two buffers around them."""
    sizes = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    starts = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    whole = Buffer("whole", sum(sizes), max(starts), 3, align=1)
    parts = [Buffer(f"part{i}", sizes[i], starts[i], whole.first, align=1) for i in range(2)]
    others = []
    for number in range(2):
        first = draw(st.integers(-1, 2))
        others.append(Buffer(f"other{number}", draw(st.integers(1, 4)), first, draw(st.integers(first, 3)), align=1))
    overlaps = [
        Overlap(writer.name, reader.name, draw(st.integers(-reader.size, writer.size)))
        for writer, reader in [(part, other) for part in parts for other in others]
        if reader.last == writer.first > reader.first
    ]
    return [*parts, whole, *others], overlaps, [Alias("part0", "whole", 0), Alias("part1", "whole", sizes[0])]

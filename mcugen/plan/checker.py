"""Proof of a memory plan: an independent check that no byte is written while somebody still needs it.

Shares no code with the planner; it knows only what the data in model.py mean. All findings are reported
together, each with the two buffers, their byte ranges and their steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mcugen.plan.model import Alias, Buffer, Overlap, PlanError


def check_plan(
    buffers: Iterable[Buffer],
    overlaps: Iterable[Overlap],
    aliases: Iterable[Alias],
    offsets: Mapping[str, int],
    *,
    peak: int | None = None,
) -> None:
    """Raise PlanError, listing everything that is wrong, unless the offsets are right.

    Checks that every buffer has an offset, is aligned and, with its tail, ends inside the arena (given
    ``peak``, the sum of the sections' arenas, else only that it starts at 0 or above); that aliases lie
    where they should, inside parents whose life touches theirs; and that any two buffers alive in the
    same step are disjoint, or related by an alias, or share by an overlap rule, all in one step by rules
    of the same direction.
    """
    every = list(buffers)
    wrong = _check_names(every, overlaps := tuple(overlaps), aliases := tuple(aliases), offsets)
    if wrong:
        raise PlanError("\n".join(wrong))
    live = {buffer.name: buffer for buffer in every}
    wrong += _check_places(every, offsets, peak)
    wrong += _check_aliases(live, aliases, offsets)
    wrong += _check_pairs(every, overlaps, aliases, offsets)
    if wrong:
        raise PlanError("\n".join(wrong))


def _check_names(
    buffers: list[Buffer], overlaps: Iterable[Overlap], aliases: Iterable[Alias], offsets: Mapping[str, int]
) -> list[str]:
    names = [buffer.name for buffer in buffers]
    twice = sorted({name for name in names if names.count(name) > 1})
    wrong = [f"buffer {name!r} is there {names.count(name)} times" for name in twice]
    wrong += [f"buffer {name!r} has no offset" for name in names if name not in offsets]
    wrong += [f"offset of {name!r}: there is no such buffer" for name in offsets if name not in set(names)]
    for rule in overlaps:
        wrong += [f"{rule}: there is no buffer {n!r}" for n in (rule.writer, rule.reader) if n not in set(names)]
        if rule.direction not in ("forward", "backward"):
            wrong.append(f"{rule}: the direction is unknown")
    for alias in aliases:
        wrong += [f"{alias}: there is no buffer {n!r}" for n in (alias.child, alias.parent) if n not in set(names)]
    return wrong


def _check_places(buffers: list[Buffer], offsets: Mapping[str, int], peak: int | None) -> list[str]:
    wrong = []
    ends: dict[str, int] = {}
    for buffer in buffers:
        start = offsets[buffer.name]
        if buffer.first > buffer.last or buffer.size < 0 or buffer.tail < 0 or buffer.align < 1:
            wrong.append(f"{buffer} makes no sense")
        if start < 0:
            wrong.append(f"{_place(buffer, offsets)} starts below the arena")
        if buffer.align >= 1 and start % buffer.align:
            wrong.append(f"{_place(buffer, offsets)} is not aligned to {buffer.align}")
        ends[buffer.section] = max(ends.get(buffer.section, 0), start + buffer.size + buffer.tail)
    if peak is not None and sum(ends.values()) > peak:
        outermost = [
            _place(buffer, offsets) + f" with a tail of {buffer.tail}"
            for buffer in buffers
            if offsets[buffer.name] + buffer.size + buffer.tail == ends[buffer.section]
        ]
        wrong.append(f"the plan needs {sum(ends.values())} bytes, not {peak}: " + "; ".join(outermost))
    return wrong


def _check_aliases(buffers: Mapping[str, Buffer], aliases: Iterable[Alias], offsets: Mapping[str, int]) -> list[str]:
    wrong = []
    for alias in aliases:
        child, parent = buffers[alias.child], buffers[alias.parent]
        both = f"{_place(child, offsets)} in {_place(parent, offsets)}"
        if child.section != parent.section:
            wrong.append(f"{both}: they are in different sections")
        if offsets[child.name] != offsets[parent.name] + alias.offset:
            wrong.append(f"{both}: must lie {alias.offset} bytes after its start")
        if alias.offset < 0 or alias.offset + child.size > parent.size:
            wrong.append(f"{both}: sticks out")
        if child.first > parent.last + 1 or parent.first > child.last + 1:
            wrong.append(f"{both}: nothing keeps the bytes between the two lives")
    return wrong


def _check_pairs(
    buffers: list[Buffer], overlaps: Iterable[Overlap], aliases: Iterable[Alias], offsets: Mapping[str, int]
) -> list[str]:
    wrong: list[str] = []
    parents: dict[str, str] = {}
    for alias in aliases:
        if alias.child in parents:
            wrong.append(f"{alias.child!r} lies in two parents: {parents[alias.child]!r} and {alias.parent!r}")
        parents[alias.child] = alias.parent
    rules: dict[frozenset[str], list[Overlap]] = {}
    for rule in overlaps:
        rules.setdefault(frozenset((rule.writer, rule.reader)), []).append(rule)
    shared: dict[int, list[tuple[str, set[str]]]] = {}
    for index, one in enumerate(buffers):
        for two in buffers[index + 1 :]:
            if not _collide(one, two, offsets) or _related(one, two, parents, buffers):
                continue
            pair = f"{_place(one, offsets)} and {_place(two, offsets)}"
            ways, refused = _ways(one, two, rules.get(frozenset((one.name, two.name)), []), offsets)
            if ways:
                shared.setdefault(max(one.first, two.first), []).append((pair, ways))
            else:
                wrong.append(f"{pair} share bytes ({'; '.join(refused) or 'no overlap is allowed'})")
    for step, pairs in sorted(shared.items()):
        if not set.intersection(*(ways for _, ways in pairs)):
            listed = "; ".join(f"{pair} {'/'.join(sorted(ways))}" for pair, ways in pairs)
            wrong.append(f"step {step}: its kernel would have to run in both directions: {listed}")
    return wrong


def _ways(one: Buffer, two: Buffer, rules: Iterable[Overlap], offsets: Mapping[str, int]) -> tuple[set[str], list[str]]:
    """The directions of a kernel that make sharing right, and why the other rules do not."""
    ways: set[str] = set()
    refused: list[str] = []
    for rule in rules:
        writer, reader = (one, two) if rule.writer == one.name else (two, one)
        missing = _missing(rule, writer, reader, offsets)
        if writer.first != reader.last:
            refused.append(f"rule void: {reader.name!r} is read until step {reader.last}, not {writer.first}")
        elif missing > 0:
            refused.append(f"{rule.direction} rule with distance {rule.distance}: {missing} bytes too close")
        else:
            ways.add(rule.direction)
    return ways, refused


def _missing(rule: Overlap, writer: Buffer, reader: Buffer, offsets: Mapping[str, int]) -> int:
    """By how many bytes the two are too close for the rule."""
    if rule.direction == "forward":
        return offsets[writer.name] + rule.distance - offsets[reader.name]
    end_of_reader = offsets[reader.name] + reader.size
    return end_of_reader - (offsets[writer.name] + writer.size - rule.distance)


def _collide(one: Buffer, two: Buffer, offsets: Mapping[str, int]) -> bool:
    """Some byte belongs to both in some step."""
    if one.section != two.section or one.last < two.first or two.last < one.first:
        return False
    start = max(offsets[one.name], offsets[two.name])
    end = min(offsets[one.name] + one.size, offsets[two.name] + two.size)
    return start < end


def _related(one: Buffer, two: Buffer, parents: Mapping[str, str], buffers: list[Buffer]) -> bool:
    """One lies in the other, or both in something that was whole before the later one began, which only reads it."""
    line_one, line_two = _line(one.name, parents), _line(two.name, parents)
    if one.name in line_two or two.name in line_one:
        return True
    common = next((name for name in line_one if name in line_two), None)
    if common is None:
        return False
    return next(b.first for b in buffers if b.name == common) < max(one.first, two.first)


def _line(name: str, parents: Mapping[str, str]) -> list[str]:
    """The buffer and all that it lies in, innermost first."""
    line = [name]
    while line[-1] in parents and parents[line[-1]] not in line:
        line.append(parents[line[-1]])
    return line


def _place(buffer: Buffer, offsets: Mapping[str, int]) -> str:
    start = offsets[buffer.name]
    where = f" of {buffer.section!r}" if buffer.section else ""
    return f"{buffer.name!r} (bytes {start}..{start + buffer.size}{where}, steps {buffer.first}..{buffer.last})"

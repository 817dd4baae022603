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
    ``peak``, else only that it starts at 0 or above); that aliases lie where they should, inside parents
    whose life touches theirs; and that any two buffers alive in the same step are disjoint, or related
    by an alias, or share by an overlap rule.
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
    for alias in aliases:
        wrong += [f"{alias}: there is no buffer {n!r}" for n in (alias.child, alias.parent) if n not in set(names)]
    return wrong


def _check_places(buffers: list[Buffer], offsets: Mapping[str, int], peak: int | None) -> list[str]:
    wrong = []
    for buffer in buffers:
        start = offsets[buffer.name]
        if buffer.first > buffer.last or buffer.size < 0 or buffer.tail < 0 or buffer.align < 1:
            wrong.append(f"{buffer} makes no sense")
        if start < 0:
            wrong.append(f"{_place(buffer, offsets)} starts below the arena")
        if buffer.align >= 1 and start % buffer.align:
            wrong.append(f"{_place(buffer, offsets)} is not aligned to {buffer.align}")
    ends = {buffer.name: offsets[buffer.name] + buffer.size + buffer.tail for buffer in buffers}
    end = max(ends.values(), default=0)
    if peak is not None and end > peak:
        outermost = [_place(b, offsets) + f" with a tail of {b.tail}" for b in buffers if ends[b.name] == end]
        wrong.append(f"the plan needs {end} bytes, not {peak}: " + "; ".join(outermost))
    return wrong


def _check_aliases(buffers: Mapping[str, Buffer], aliases: Iterable[Alias], offsets: Mapping[str, int]) -> list[str]:
    wrong = []
    for alias in aliases:
        child, parent = buffers[alias.child], buffers[alias.parent]
        both = f"{_place(child, offsets)} in {_place(parent, offsets)}"
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
    for index, one in enumerate(buffers):
        for two in buffers[index + 1 :]:
            if not _collide(one, two, offsets) or _related(one, two, parents, buffers):
                continue
            refused = [_refusal(rule, one, two, offsets) for rule in rules.get(frozenset((one.name, two.name)), [])]
            if all(refused):
                why = "; ".join(refused) or "no overlap is allowed"
                wrong.append(f"{_place(one, offsets)} and {_place(two, offsets)} share bytes ({why})")
    return wrong


def _refusal(rule: Overlap, one: Buffer, two: Buffer, offsets: Mapping[str, int]) -> str:
    """Why the rule does not make sharing right; empty where it does."""
    writer, reader = (one, two) if rule.writer == one.name else (two, one)
    missing = offsets[writer.name] + rule.distance - offsets[reader.name]
    if writer.first != reader.last:
        return f"rule void: {reader.name!r} is read until step {reader.last}, not {writer.first}"
    return f"rule with distance {rule.distance}: {missing} bytes too close" if missing > 0 else ""


def _collide(one: Buffer, two: Buffer, offsets: Mapping[str, int]) -> bool:
    """Some byte belongs to both in some step."""
    if one.last < two.first or two.last < one.first:
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
    return f"{buffer.name!r} (bytes {start}..{start + buffer.size}, steps {buffer.first}..{buffer.last})"

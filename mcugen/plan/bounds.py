"""A proved lower bound for the arena: what the buffers of one step need, whatever the others do.

At step ``t`` the buffers alive lie somewhere in the arena; all of them are disjoint but for the pairs
(written, read) with an overlap rule. Let G be the greatest common divisor of their alignments. All
offsets are multiples of G, so sizes and gaps may be rounded up to multiples of G.

1. A buffer without a rule is disjoint from everything: its rounded size counts in full.
2. Buffers tied together by rules are one component. The bytes it covers fall into runs; moving the runs
   together keeps all buffers of different runs disjoint and in order, so the component covers at least
   its smallest extent when placed alone. For a pair that is the smaller of both sizes added (no
   sharing) and ``max(size(writer), size(reader) + max(distance, 0))``. Larger components are bounded
   by an exact search, or, when that would be long, by their readers and by their writers alone.
3. The components and single buffers are disjoint, so their bytes add up. The arena ends with the tail
   of its topmost buffer, but not with the rounding of that one: the sum may be too high by the largest
   (rounding - tail) among the buffers alive, which is taken off.

The largest such sum over all steps is the bound. Buffers inside one another (aliases) count once, as
runs of bytes; a rule of a buffer that has others inside or around it counts as free sharing, which can
only lower the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from mcugen.plan.greedy import Work
from mcugen.plan.model import Buffer
from mcugen.plan.packing import Item, Packing, Rules, Separation, shared_gaps
from mcugen.plan.search import Clique, fit

Member = tuple[Buffer, int, int]
"""A buffer, its bytes above the item's base, and the number of the item."""

_SEARCH_UP_TO = 7
_SEARCH_WORK = 4000


@dataclass(frozen=True)
class StepBounds:
    """The lower bound in bytes, and what is alive together and disjoint, for the search."""

    lower_bound: int
    cliques: tuple[Clique, ...]


@dataclass
class _Run:
    """Bytes of one item that are alive together: a buffer, or buffers inside one another."""

    item: int
    start: int
    size: int
    members: list[Buffer]
    writes: bool
    reads: bool


def step_bounds(packing: Packing, rules: Rules) -> StepBounds:
    """Visit each step at which something becomes alive: no other step can be the fullest one."""
    waiting = [
        (buffer, relative, number)
        for number, item in enumerate(packing.items)
        for buffer, relative in item.members
        if buffer.size
    ]
    waiting.sort(key=lambda member: member[0].first, reverse=True)
    step_of = {buffer.name: buffer.first for buffer, _, _ in waiting}
    ruled: dict[int, list[tuple[str, str]]] = {}
    for pair in rules:
        ruled.setdefault(step_of.get(pair[0], -1), []).append(pair)
    lower_bound = packing.lowest_arena()
    cliques: dict[Clique, None] = {}
    alive: list[Member] = []
    while waiting:
        step = waiting[-1][0].first
        alive = [member for member in alive if member[0].last >= step]
        while waiting and waiting[-1][0].first == step:
            alive.append(waiting.pop())
        pairs = ruled.get(step, [])
        runs = _runs(alive, {writer for writer, _ in pairs}, {reader for _, reader in pairs})
        for clique in ([run for run in runs if not run.writes], [run for run in runs if not run.reads]):
            if len(clique) > 1:
                cliques[tuple((run.item, run.start, run.size) for run in clique)] = None
        lower_bound = max(lower_bound, _step_bound(alive, runs, rules))
    return StepBounds(lower_bound, tuple(cliques))


def _runs(alive: Sequence[Member], writers: set[str], readers: set[str]) -> list[_Run]:
    runs: list[_Run] = []
    for buffer, relative, item in sorted(alive, key=lambda member: (member[2], member[1])):
        writes, reads = buffer.name in writers, buffer.name in readers
        last = runs[-1] if runs else None
        if last and last.item == item and relative < last.start + last.size:
            last.size = max(last.size, relative + buffer.size - last.start)
            last.members.append(buffer)
            last.writes, last.reads = last.writes or writes, last.reads or reads
        else:
            runs.append(_Run(item, relative, buffer.size, [buffer], writes, reads))
    return runs


def _step_bound(alive: Sequence[Member], runs: Sequence[_Run], rules: Rules) -> int:
    grain = gcd(*(buffer.align for buffer, _, _ in alive))
    total = sum(_round_up(run.size, grain) for run in runs if not (run.writes or run.reads))
    for component in _components([run for run in runs if run.writes or run.reads], rules):
        total += _extent(component, rules, grain)
    return total - max(_round_up(buffer.size, grain) - buffer.size - buffer.tail for buffer, _, _ in alive)


def _round_up(value: int, grain: int) -> int:
    return -(-value // grain) * grain


def _components(runs: Sequence[_Run], rules: Rules) -> list[list[_Run]]:
    """Runs tied together by rules."""
    left, components = list(runs), []
    while left:
        component = [left.pop(0)]
        for run in component:
            near = [other for other in left if _ruled(run, other, rules)]
            component += near
            left = [other for other in left if other not in near]
        components.append(component)
    return components


def _ruled(one: _Run, two: _Run, rules: Rules) -> bool:
    return any(
        (first.name, second.name) in rules or (second.name, first.name) in rules
        for first in one.members
        for second in two.members
    )


def _extent(component: Sequence[_Run], rules: Rules, grain: int) -> int:
    """A lower bound for the bytes that a component covers."""
    sizes = [_round_up(run.size, grain) for run in component]
    not_writers = sum(size for size, run in zip(sizes, component, strict=True) if not run.writes)
    not_readers = sum(size for size, run in zip(sizes, component, strict=True) if not run.reads)
    low = max(not_writers, not_readers, *sizes)
    if len(component) > _SEARCH_UP_TO:
        return low
    packing = _packing_of(component, sizes, rules, grain)
    if len(component) == 2:
        return max(low, _pair_extent(sizes, packing.separations))
    work = Work(_SEARCH_WORK)
    high = sum(sizes)
    while low < high:
        middle = (low + high) // 2 // grain * grain
        answer = fit(packing, (), middle, work)
        if answer.bases is not None:
            high = packing.peak(answer.bases)
        elif answer.proved:
            low = middle + grain
        else:
            return low
    return low


def _pair_extent(sizes: Sequence[int], separations: Sequence[Separation]) -> int:
    """The least extent of two runs: the lower one starts at 0, the upper one at its gap or higher."""
    if not separations:
        return max(sizes)
    a, b = sizes
    return min(
        max(a, b + max(separations[0].ab, 0)),
        max(b, a + max(separations[0].ba, 0)),
    )


def _packing_of(component: Sequence[_Run], sizes: Sequence[int], rules: Rules, grain: int) -> Packing:
    """The component alone: runs may move freely, gaps rounded up, merged runs share freely by rule."""
    items = tuple(Item((), grain, 0, size) for size in sizes)
    separations = []
    for a, one in enumerate(component):
        for b in range(a + 1, len(component)):
            two = component[b]
            ab, ba = sizes[a], sizes[b]
            if _ruled(one, two, rules):
                if len(one.members) > 1 or len(two.members) > 1:
                    continue
                gaps = shared_gaps(one.members[0], two.members[0], rules)
                ab, ba = min(ab, _round_up(gaps[0], grain)), min(ba, _round_up(gaps[1], grain))
            if ab + ba > 1:
                separations.append(Separation(a, b, ab, ba))
    return Packing(items, tuple(separations))

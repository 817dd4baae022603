"""Exact search: do all items fit into an arena of a given size? Yes with a placement, no with a proof.

The problem is a system of either-or difference constraints. The search keeps a window ``low..high`` for
each base, decides separations that only one order satisfies, and propagates. When the lowest bases
violate no separation they are an answer (lazy branching: pairs that never meet are never decided);
otherwise it branches on the violated pair with least freedom. This is complete for gaps of any sign:
for decided orders the lowest bases are the least fixed point of monotone constraints, so if any placement
has these orders, the lowest bases are one. Windows are also cut off by energy: buffers that are alive
together and may not share must fit, one above the other, between their lowest start and highest end.

Before it, items that find a place wherever the others are ("peeled") leave the problem, and what is
left falls apart into independent parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcugen.plan.greedy import Work, holes
from mcugen.plan.packing import Neighbour, Packing, Separation

Clique = tuple[tuple[int, int, int], ...]
"""Byte runs (item, bytes above its base, size) that are alive together and disjoint."""


@dataclass(frozen=True)
class Answer:
    """``bases`` when the items fit; otherwise None, and ``proved`` tells whether they cannot."""

    bases: tuple[int, ...] | None
    proved: bool


class _Conflict(Exception):
    """The decisions so far contradict each other."""


def fit(packing: Packing, cliques: Sequence[Clique], arena: int, work: Work) -> Answer:
    """Place the items into ``arena`` bytes, or prove that they do not fit, within the work's limit."""
    if packing.lowest_arena() > arena:
        return Answer(None, True)
    near = packing.neighbours
    work.done += 8 * len(packing.separations)
    peeled = _peel(packing, near, arena)
    bases: list[int | None] = [None] * len(packing.items)
    kept = set(range(len(packing.items))) - set(peeled)
    unknown = False
    for part in _parts(packing.separations, kept):
        answer = _Search(packing, cliques, part, arena, work).run()
        if answer is None:
            return Answer(None, True)
        if not answer:
            unknown = True
        for item, base in answer.items():
            bases[item] = base
    if unknown:
        return Answer(None, False)
    for item in reversed(peeled):
        bases[item] = next(holes(packing, near[item], item, bases, 0))[0]
    return Answer(tuple(base for base in bases if base is not None), True)


def _peel(packing: Packing, near: Sequence[Sequence[Neighbour]], arena: int) -> list[int]:
    """Items, in order of removal, that have a free base whatever the items not yet removed do.

    A neighbour blocks fewer than ``below + above`` neighbouring bases; while all neighbours together
    block fewer aligned bases than there are, one is left.
    """
    blocked, free = [], []
    for number, item in enumerate(packing.items):
        blocked.append(sum(_blocks(neighbour, item.modulus) for neighbour in near[number]))
        free.append((arena - item.need - item.residue) // item.modulus + 1)
    peeled: list[int] = []
    gone = [False] * len(packing.items)
    ready = [number for number in range(len(packing.items)) if blocked[number] < free[number]]
    while ready:
        number = ready.pop()
        if gone[number]:
            continue
        gone[number] = True
        peeled.append(number)
        for neighbour in near[number]:
            other = neighbour.other
            if not gone[other]:
                blocked[other] -= _blocks(neighbour, packing.items[other].modulus)
                if blocked[other] < free[other]:
                    ready.append(other)
    return peeled


def _blocks(neighbour: Neighbour, modulus: int) -> int:
    """At most this many of the aligned bases lie among the ``below + above - 1`` forbidden ones."""
    return (neighbour.below + neighbour.above - 1 + modulus - 1) // modulus


def _parts(separations: Sequence[Separation], kept: set[int]) -> list[list[int]]:
    """Groups of kept items that no separation ties together, in order."""
    group = {item: item for item in kept}

    def find(item: int) -> int:
        while group[item] != item:
            group[item] = group[group[item]]
            item = group[item]
        return item

    for sep in separations:
        if sep.a in kept and sep.b in kept:
            group[find(sep.b)] = find(sep.a)
    parts: dict[int, list[int]] = {}
    for item in sorted(kept):
        parts.setdefault(find(item), []).append(item)
    return list(parts.values())


class _Search:
    """Depth-first search over the orders of one part's pairs, with a trail to undo decisions."""

    def __init__(
        self, packing: Packing, cliques: Sequence[Clique], part: Sequence[int], arena: int, work: Work
    ) -> None:
        inside = set(part)
        self.work = work
        self.part = part
        self.items = packing.items
        self.low = [item.residue for item in packing.items]
        self.high = [item.down(arena - item.need) for item in packing.items]
        self.seps = [sep for sep in packing.separations if sep.a in inside and sep.b in inside]
        self.gap = [[sep.ab for sep in self.seps], [sep.ba for sep in self.seps]]
        self.ends = [[sep.a for sep in self.seps], [sep.b for sep in self.seps]]
        self.decided = [-1] * len(self.seps)
        self.touching: list[list[int]] = [[] for _ in packing.items]
        for number, sep in enumerate(self.seps):
            self.touching[sep.a].append(number)
            self.touching[sep.b].append(number)
        self.cliques = [
            kept for kept in (tuple(run for run in clique if run[0] in inside) for clique in cliques) if len(kept) > 1
        ]
        self.cliques_of: list[list[int]] = [[] for _ in packing.items]
        for number, clique in enumerate(self.cliques):
            for item in sorted({run[0] for run in clique}):
                self.cliques_of[item].append(number)
        self.trail: list[tuple[list[int], int, int]] = []

    def run(self) -> dict[int, int] | None:
        """The bases by item; None: proved impossible; empty: gave up."""
        open_choices: list[tuple[int, list[tuple[int, int]]]] = []
        try:
            self._propagate(list(self.part))
            choices = self._choices()
        except _Conflict:
            return None
        while choices:
            if self.work.spent:
                return {}
            open_choices.append((len(self.trail), choices))
            found = False
            while open_choices and not found:
                mark, left = open_choices[-1]
                self._undo(mark)
                if not left:
                    open_choices.pop()
                    continue
                try:
                    self._take(left.pop(0))
                    choices = self._choices()
                    found = True
                except _Conflict:
                    if self.work.spent:
                        return {}
            if not found:
                return None
        return {item: self.low[item] for item in self.part}

    def _set(self, values: list[int], index: int, value: int) -> None:
        self.trail.append((values, index, values[index]))
        values[index] = value

    def _undo(self, mark: int) -> None:
        while len(self.trail) > mark:
            values, index, value = self.trail.pop()
            values[index] = value

    def _take(self, choice: tuple[int, int]) -> None:
        """Decide the order of a pair, and propagate."""
        number, side = choice
        self._set(self.decided, number, side)
        self._propagate([self.seps[number].a, self.seps[number].b])

    def _propagate(self, touched: list[int]) -> None:
        """Tighten the windows until nothing changes; raises _Conflict when one is empty."""
        low, high, decided = self.low, self.high, self.decided
        queue, queued = list(dict.fromkeys(touched)), set(touched)
        changed = set(touched)
        while queue:
            item = queue.pop()
            queued.discard(item)
            for number in self.touching[item]:
                self.work.done += 1
                side = decided[number]
                if side < 0:
                    side = self._forced(number)
                    if side < 0:
                        continue
                    self._set(decided, number, side)
                under, over = self.ends[side][number], self.ends[1 - side][number]
                gap = self.gap[side][number]
                if low[under] + gap > low[over]:
                    self._set(low, over, self.items[over].up(low[under] + gap))
                    self._requeue(over, queue, queued, changed)
                if high[over] - gap < high[under]:
                    self._set(high, under, self.items[under].down(high[over] - gap))
                    self._requeue(under, queue, queued, changed)
        for number in sorted({number for item in changed for number in self.cliques_of[item]}):
            self._check_energy(self.cliques[number])

    def _requeue(self, item: int, queue: list[int], queued: set[int], changed: set[int]) -> None:
        if self.low[item] > self.high[item]:
            raise _Conflict
        changed.add(item)
        if item not in queued:
            queued.add(item)
            queue.append(item)

    def _forced(self, number: int) -> int:
        """The only order (0 or 1) that the windows leave to a pair, -1 when both are left."""
        a, b = self.ends[0][number], self.ends[1][number]
        a_below = self.low[a] + self.gap[0][number] <= self.high[b]
        b_below = self.low[b] + self.gap[1][number] <= self.high[a]
        if a_below and b_below:
            return -1
        if not a_below and not b_below:
            raise _Conflict
        return 0 if a_below else 1

    def _check_energy(self, clique: Clique) -> None:
        """Runs that end by ``end`` and start from ``start`` on must fit between the two."""
        low, high = self.low, self.high
        runs = sorted(
            ((low[item] + shift, high[item] + shift + size, size) for item, shift, size in clique), reverse=True
        )
        ends = {run[1] for run in runs} if len(runs) <= 16 else {max(run[1] for run in runs)}
        self.work.done += len(runs) * (1 + len(ends) // 4)
        for end in ends:
            total = 0
            for start, finish, size in runs:
                if finish <= end:
                    total += size
                    if start + total > end:
                        raise _Conflict

    def _choices(self) -> list[tuple[int, int]]:
        """What to try next, the more promising way first; empty when the lowest bases are an answer."""
        low, high = self.low, self.high
        best = self._most_constrained()
        if best < 0:
            return []
        sep = self.seps[best]
        a_below = high[sep.b] - low[sep.a] - self.gap[0][best]
        b_below = high[sep.a] - low[sep.b] - self.gap[1][best]
        sides = (0, 1) if a_below >= b_below else (1, 0)
        return [(best, side) for side in sides]

    def _most_constrained(self) -> int:
        """The violated undecided pair with the least freedom left in either order, -1 when there is none."""
        low, high, decided = self.low, self.high, self.decided
        (gap_ab, gap_ba), (ends_a, ends_b) = self.gap, self.ends
        best, least = -1, 0
        self.work.done += len(decided) // 2
        for number, side in enumerate(decided):
            if side < 0:
                a, b = ends_a[number], ends_b[number]
                apart = low[b] - low[a]
                if apart < gap_ab[number] and -apart < gap_ba[number]:
                    freedom = min(high[b] - low[a] - gap_ab[number], high[a] - low[b] - gap_ba[number])
                    if best < 0 or freedom < least:
                        best, least = number, freedom
        return best

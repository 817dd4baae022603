"""Fast placements: one item after the other into the first hole, in orders that learn from the peak.

The orders are those of the field (by size, by size * life, by time; Pisarchyk & Lee, "Efficient Memory
Management for Deep Neural Net Inference", 2020); the improvement is ruin and recreate (Schrimpf et al., 2000).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mcugen.plan.packing import Neighbour, Packing


@dataclass
class Work:
    """A budget of elementary operations: what limits a search, so that a result never depends on time."""

    limit: int
    done: int = 0

    @property
    def spent(self) -> bool:
        return self.done >= self.limit

    @contextmanager
    def part(self, share: int) -> Iterator[Work]:
        """A budget of its own of one ``share``-th of what is left; what it used is charged afterwards."""
        part = Work((self.limit - self.done) // share)
        yield part
        self.done += part.done + 1


def holes(
    packing: Packing, near: Sequence[Neighbour], item: int, bases: Sequence[int | None], start: int
) -> Iterator[tuple[int, int | None]]:
    """Aligned bases from ``start`` up that are free for ``item``: (lowest, highest or None) of each hole."""
    forbidden = []
    for neighbour in near:
        base = bases[neighbour.other]
        if base is not None:
            forbidden.append((base - neighbour.below + 1, base + neighbour.above - 1))
    forbidden.sort()
    box = packing.items[item]
    lowest = box.up(start)
    for low, high in forbidden:
        if lowest < low:
            yield lowest, box.down(low - 1)
        if high >= lowest:
            lowest = box.up(high + 1)
    yield lowest, None


def place_low(packing: Packing, near: Sequence[Sequence[Neighbour]], order: Sequence[int], work: Work) -> list[int]:
    """Every item at the lowest free base at or above 0, in the given order."""
    bases: list[int | None] = [None] * len(packing.items)
    for item in order:
        work.done += 1 + len(near[item])
        bases[item] = next(holes(packing, near[item], item, bases, 0))[0]
    return [base for base in bases if base is not None]


def place_around(packing: Packing, near: Sequence[Sequence[Neighbour]], order: Sequence[int], work: Work) -> list[int]:
    """Every item where it stretches the used range least, below 0 too; then the whole is moved to 0.

    An output that must start before its input finds room there even when the input came first.
    """
    bases: list[int | None] = [None] * len(packing.items)
    bottom, top = 0, 0
    for item in order:
        work.done += 1 + 2 * len(near[item])
        box = packing.items[item]
        best: tuple[int, int, int] | None = None
        for low, high in holes(packing, near[item], item, bases, -packing.reach):
            for base in {low, high, box.up(max(bottom, low))}:
                if base is not None and base >= low and (high is None or base <= high):
                    growth = max(0, bottom - base) + max(0, base + box.need - top)
                    best = min(best or (growth, abs(base), base), (growth, abs(base), base))
        assert best is not None
        bases[item] = best[2]
        bottom, top = min(bottom, best[2]), max(top, best[2] + box.need)
    step = max((item.modulus for item in packing.items), default=1)
    if any(step % item.modulus for item in packing.items):
        return place_low(packing, near, order, work)
    lowest = min((base for base in bases if base is not None), default=0)
    return [base - lowest // step * step for base in bases if base is not None]


def first_orders(packing: Packing) -> list[list[int]]:
    """The orders to start from, best first by experience, without repetitions."""
    items = packing.items
    first = [min(buffer.first for buffer, _ in item.members) for item in items]
    last = [max(buffer.last for buffer, _ in item.members) for item in items]
    size = [item.need for item in items]
    numbers = range(len(items))
    keys = [
        lambda i: (-size[i], first[i], i),
        lambda i: (-size[i] * (last[i] - first[i] + 1), first[i], i),
        lambda i: (-last[i], -size[i], i),
        lambda i: (first[i], -size[i], i),
        lambda i: (first[i] - last[i], -size[i], i),
    ]
    orders: list[list[int]] = []
    for key in keys:
        order = sorted(numbers, key=key)
        if order not in orders:
            orders.append(order)
    return orders


def first_fit(packing: Packing, goal: int, work: Work) -> list[int]:
    """The best placement over the orders; stops early at ``goal`` bytes."""
    best: list[int] = []
    for order in first_orders(packing):
        for place in (place_low, place_around):
            bases = place(packing, packing.neighbours, order, work)
            if not best or packing.peak(bases) < packing.peak(best):
                best = bases
            if packing.peak(best) <= goal or work.spent:
                return best
    return best


class _Random:
    """Numbers that look random and are the same everywhere (Knuth's 64-bit linear congruence)."""

    def __init__(self) -> None:
        self._state = 12345

    def below(self, limit: int) -> int:
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % limit


def recreate(packing: Packing, bases: Sequence[int], goal: int, work: Work) -> list[int]:
    """Take something that ends above ``goal`` and some neighbours out, put them back in another order.

    Kept unless the peak, or at the same peak the sum of what sticks out above the goal, grows.
    """
    items, near, random = packing.items, packing.neighbours, _Random()
    now: list[int | None] = list(bases)
    current = _overflow(packing, bases, goal)
    while current[0] > goal and not work.spent:
        over = [i for i, base in enumerate(now) if base is not None and base + items[i].need > goal]
        chosen = over[random.below(len(over))]
        out = {chosen}
        others = [neighbour.other for neighbour in near[chosen]]
        for _ in range(1 + random.below(min(len(others), 12) + 1)):
            if others:
                out.add(others.pop(random.below(len(others))))
        before = {item: now[item] for item in out}
        order = sorted(sorted(out), key=lambda item: -items[item].need * (50 + random.below(100)))
        if random.below(3) == 0:
            order.sort(key=lambda item: item != chosen)
        for item in order:
            now[item] = None
        for item in order:
            work.done += 1 + len(near[item])
            now[item] = _a_hole(packing, near, item, now, random.below(4) == 0)
        work.done += 1 + len(items) // 4
        placed = [base for base in now if base is not None]
        score = _overflow(packing, placed, goal)
        if score <= current:
            current = score
        else:
            for item, base in before.items():
                now[item] = base
    return [base for base in now if base is not None]


def _a_hole(
    packing: Packing, near: Sequence[Sequence[Neighbour]], item: int, bases: Sequence[int | None], tight: bool
) -> int:
    """The lowest hole's base, or that of the tightest hole between others."""
    free = holes(packing, near[item], item, bases, 0)
    if not tight:
        return next(free)[0]
    return min((high - low if high is not None else packing.reach, low) for low, high in free)[1]


def _overflow(packing: Packing, bases: Sequence[int], goal: int) -> tuple[int, int]:
    tops = [base + item.need for base, item in zip(bases, packing.items, strict=True)]
    return max(tops, default=0), sum(top - goal for top in tops if top > goal)

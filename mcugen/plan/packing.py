"""The planning problem as the searches see it: boxes on a line, and for each pair how close they may come.

Buffers that an Alias ties together move as one ``Item``. Two items that are alive together are kept
apart by ``Separation``s: with ``a`` below ``b`` their bases differ by at least ``ab``, with ``b`` below
``a`` by at least ``ba``. Without an overlap rule these are the two sizes; a rule lowers the gap of
"writer below reader" to its distance. So every rule, also one with a negative distance, is the same
either-or of two difference constraints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm

from mcugen.plan.model import Alias, Buffer, Overlap, PlanError


@dataclass(frozen=True)
class Item:
    """Buffers with fixed distances: ``members`` are (buffer, bytes above the item's base).

    The base is ``residue`` modulo ``modulus``; ``need`` bytes above the base must be in the arena.
    """

    members: tuple[tuple[Buffer, int], ...]
    modulus: int
    residue: int
    need: int

    def up(self, base: int) -> int:
        """The lowest aligned base that is not below ``base``."""
        return base + (self.residue - base) % self.modulus

    def down(self, base: int) -> int:
        """The highest aligned base that is not above ``base``."""
        return base - (base - self.residue) % self.modulus


@dataclass(frozen=True)
class Separation:
    """``base[b] - base[a] >= ab`` or ``base[a] - base[b] >= ba``."""

    a: int
    b: int
    ab: int
    ba: int


@dataclass(frozen=True)
class Neighbour:
    """An item must be at least ``below`` under or ``above`` over the base of item ``other``."""

    other: int
    below: int
    above: int


@dataclass(frozen=True)
class Packing:
    """The problem: place ``items`` so that all ``separations`` hold, as low as possible."""

    items: tuple[Item, ...]
    separations: tuple[Separation, ...]

    @cached_property
    def neighbours(self) -> list[list[Neighbour]]:
        """For each item what keeps it apart from others."""
        found: list[list[Neighbour]] = [[] for _ in self.items]
        for sep in self.separations:
            found[sep.a].append(Neighbour(sep.b, sep.ab, sep.ba))
            found[sep.b].append(Neighbour(sep.a, sep.ba, sep.ab))
        return found

    @property
    def reach(self) -> int:
        """More bytes than any sensible placement needs."""
        return sum(item.need + item.modulus for item in self.items)

    def lowest_arena(self) -> int:
        """The bytes that the largest item alone needs."""
        return max((item.residue + item.need for item in self.items), default=0)

    def peak(self, bases: Sequence[int]) -> int:
        """The bytes of arena that these bases use."""
        return max((base + item.need for base, item in zip(bases, self.items, strict=True)), default=0)


Rules = Mapping[tuple[str, str], int]
"""(writer, reader) -> distance."""


def active_rules(buffers: Mapping[str, Buffer], overlaps: Iterable[Overlap]) -> Rules:
    """The least distances of pairs, only of rules whose buffers meet in just one step."""
    rules: dict[tuple[str, str], int] = {}
    for rule in overlaps:
        for name in (rule.writer, rule.reader):
            if name not in buffers:
                raise PlanError(f"overlap of {rule.writer!r} and {rule.reader!r}: no buffer is named {name!r}")
        if (rule.reader, rule.writer) in rules:
            raise PlanError(f"overlap of {rule.writer!r} and {rule.reader!r}: each may be written over the other")
        if buffers[rule.writer].first == buffers[rule.reader].last and rule.writer != rule.reader:
            pair = (rule.writer, rule.reader)
            rules[pair] = min(rule.distance, rules.get(pair, rule.distance))
    return rules


def index_buffers(buffers: Iterable[Buffer]) -> dict[str, Buffer]:
    """Buffers by name, after checking that each of them makes sense."""
    by_name: dict[str, Buffer] = {}
    wrong: list[str] = []
    for buffer in buffers:
        if buffer.name in by_name:
            wrong.append(f"buffer {buffer.name!r}: the name is taken")
        if buffer.size < 0 or buffer.tail < 0 or buffer.align < 1:
            wrong.append(f"buffer {buffer.name!r}: size and tail must be >= 0, align >= 1")
        if not -1 <= buffer.first <= buffer.last:
            wrong.append(f"buffer {buffer.name!r}: steps {buffer.first}..{buffer.last} are not -1 <= first <= last")
        by_name[buffer.name] = buffer
    if wrong:
        raise PlanError("\n".join(wrong))
    return by_name


def build_packing(buffers: Mapping[str, Buffer], rules: Rules, aliases: Iterable[Alias]) -> Packing:
    """The packing of buffers, items in the order of their first buffer."""
    roots = _roots(buffers, aliases)
    families: dict[str, list[tuple[Buffer, int]]] = {}
    for name, buffer in buffers.items():
        root, relative = roots[name]
        families.setdefault(root, []).append((buffer, relative))
    items = tuple(_item(root, members) for root, members in families.items())
    owner = {buffer.name: (index, relative) for index, item in enumerate(items) for buffer, relative in item.members}
    return Packing(items, tuple(_separations(buffers, rules, owner)))


def _roots(buffers: Mapping[str, Buffer], aliases: Iterable[Alias]) -> dict[str, tuple[str, int]]:
    parents: dict[str, Alias] = {}
    for alias in aliases:
        child, parent = buffers.get(alias.child), buffers.get(alias.parent)
        if child is None or parent is None:
            raise PlanError(f"alias of {alias.child!r} in {alias.parent!r}: both must be buffers")
        if alias.child in parents:
            raise PlanError(f"alias of {alias.child!r}: it lies in {parents[alias.child].parent!r} already")
        if not 0 <= alias.offset <= parent.size - child.size:
            raise PlanError(
                f"alias of {child.name!r} in {parent.name!r}: bytes {alias.offset}..{alias.offset + child.size} "
                f"of {parent.size}"
            )
        parents[alias.child] = alias
    roots: dict[str, tuple[str, int]] = {}
    for name in buffers:
        root, relative = name, 0
        for _ in parents:
            if root not in parents:
                break
            root, relative = parents[root].parent, relative + parents[root].offset
        if root in parents:
            raise PlanError(f"alias of {name!r}: it lies inside itself")
        roots[name] = root, relative
    return roots


def _item(root: str, members: list[tuple[Buffer, int]]) -> Item:
    modulus = lcm(*(buffer.align for buffer, _ in members))
    for residue in range(modulus):
        if all((residue + relative) % buffer.align == 0 for buffer, relative in members):
            need = max(relative + buffer.size + buffer.tail for buffer, relative in members)
            return Item(tuple(members), modulus, residue, need)
    asked = ", ".join(f"{buffer.name!r} at +{relative} (align {buffer.align})" for buffer, relative in members)
    raise PlanError(f"no address of {root!r} aligns all that lies in it: {asked}")


def _separations(buffers: Mapping[str, Buffer], rules: Rules, owner: Mapping[str, tuple[int, int]]) -> list[Separation]:
    found: dict[tuple[int, int], list[Separation]] = {}
    alive: list[Buffer] = []
    for buffer in sorted(buffers.values(), key=lambda buffer: buffer.first):
        alive = [other for other in alive if other.last >= buffer.first]
        for other in alive:
            separation = _separation(other, buffer, rules, owner)
            if separation is not None:
                _keep_tightest(found.setdefault((separation.a, separation.b), []), separation)
        if buffer.size:
            alive.append(buffer)
    return [separation for pair in sorted(found) for separation in found[pair]]


def _separation(one: Buffer, two: Buffer, rules: Rules, owner: Mapping[str, tuple[int, int]]) -> Separation | None:
    if owner[one.name] > owner[two.name]:
        one, two = two, one
    (a, shift_a), (b, shift_b) = owner[one.name], owner[two.name]
    if a == b or not one.size or not two.size:
        return None
    shift = shift_a - shift_b
    one_below, two_below = shared_gaps(one, two, rules)
    ab, ba = one_below + shift, two_below - shift
    return Separation(a, b, ab, ba) if ab + ba > 1 else None


def shared_gaps(one: Buffer, two: Buffer, rules: Rules) -> tuple[int, int]:
    """The least distances of the starts with ``one`` below ``two``, and with ``two`` below ``one``."""
    one_below = rules.get((one.name, two.name), one.size)
    two_below = rules.get((two.name, one.name), two.size)
    return min(one.size, one_below), min(two.size, two_below)


def _keep_tightest(kept: list[Separation], new: Separation) -> None:
    """Add ``new`` unless a kept separation implies it; drop kept ones that it implies."""
    if not any(old.ab >= new.ab and old.ba >= new.ba for old in kept):
        kept[:] = [old for old in kept if old.ab > new.ab or old.ba > new.ba]
        kept.append(new)

"""The planning problem as the searches see it: boxes on a line, and for each pair how close they may come.

Buffers that an Alias ties together move as one ``Item``. Two items that are alive together are kept
apart by ``Separation``s: with ``a`` below ``b`` their bases differ by at least ``ab``, with ``b`` below
``a`` by at least ``ba``. Without an overlap rule these are the two sizes; a forward rule lowers the gap
of "writer below reader" to its distance, a backward rule that of "reader below writer" to
``size(reader) - size(writer) + distance``. So every rule, also one with a negative distance, is the
same either-or of two difference constraints.
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
    """``base[b] - base[a] >= ab`` or ``base[a] - base[b] >= ba``.

    ``step`` is -1, or the step whose kernel may run in either direction and shares more than one pair
    of buffers: there all pairs must use one direction, and a pair that does not use its rule needs the
    full gaps ``ab_alone`` and ``ba_alone``. ``a_writes`` tells which direction a shared gap stands for.
    """

    a: int
    b: int
    ab: int
    ba: int
    step: int = -1
    ab_alone: int = 0
    ba_alone: int = 0
    a_writes: bool = False


@dataclass(frozen=True)
class Neighbour:
    """An item must be at least ``below`` under or ``above`` over the base of item ``other``."""

    other: int
    below: int
    above: int


@dataclass(frozen=True)
class Packing:
    """One section's problem: place ``items`` so that all ``separations`` hold, as low as possible."""

    items: tuple[Item, ...]
    separations: tuple[Separation, ...]

    @cached_property
    def forward_neighbours(self) -> list[list[Neighbour]]:
        """For each item what keeps it apart from others; steps that may run either way run forward."""
        return self._neighbours(forward=True)

    @cached_property
    def apart_neighbours(self) -> list[list[Neighbour]]:
        """The same, but in steps that may run either way nothing shares."""
        return self._neighbours(forward=False)

    def _neighbours(self, *, forward: bool) -> list[list[Neighbour]]:
        found: list[list[Neighbour]] = [[] for _ in self.items]
        for sep in self.separations:
            ab, ba = sep.ab, sep.ba
            if sep.step >= 0:
                ab = sep.ab if forward and sep.a_writes else sep.ab_alone
                ba = sep.ba if forward and not sep.a_writes else sep.ba_alone
            if ab + ba > 1:
                found[sep.a].append(Neighbour(sep.b, ab, ba))
                found[sep.b].append(Neighbour(sep.a, ba, ab))
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


Rules = Mapping[tuple[str, str], Mapping[str, int]]


def active_rules(buffers: Mapping[str, Buffer], overlaps: Iterable[Overlap]) -> Rules:
    """(writer, reader) -> {direction: distance}, only rules whose buffers meet in just one step."""
    rules: dict[tuple[str, str], dict[str, int]] = {}
    for rule in overlaps:
        for name in (rule.writer, rule.reader):
            if name not in buffers:
                raise PlanError(f"overlap of {rule.writer!r} and {rule.reader!r}: no buffer is named {name!r}")
        if rule.direction not in ("forward", "backward"):
            raise PlanError(f"overlap of {rule.writer!r} and {rule.reader!r}: unknown direction {rule.direction!r}")
        if (rule.reader, rule.writer) in rules:
            raise PlanError(f"overlap of {rule.writer!r} and {rule.reader!r}: each may be written over the other")
        if buffers[rule.writer].first == buffers[rule.reader].last and rule.writer != rule.reader:
            pair = rules.setdefault((rule.writer, rule.reader), {})
            pair[rule.direction] = min(rule.distance, pair.get(rule.direction, rule.distance))
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
    """The packing of one section's buffers, items in the order of their first buffer."""
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
            raise PlanError(f"alias of {alias.child!r} in {alias.parent!r}: both must be buffers of one section")
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
    either = _two_way_steps(buffers, rules)
    found: dict[tuple[int, int], list[Separation]] = {}
    alive: list[Buffer] = []
    for buffer in sorted(buffers.values(), key=lambda buffer: buffer.first):
        alive = [other for other in alive if other.last >= buffer.first]
        for other in alive:
            separation = _separation(other, buffer, rules, owner, either)
            if separation is not None:
                _keep_tightest(found.setdefault((separation.a, separation.b), []), separation)
        if buffer.size:
            alive.append(buffer)
    return [separation for pair in sorted(found) for separation in found[pair]]


def _two_way_steps(buffers: Mapping[str, Buffer], rules: Rules) -> set[int]:
    """Steps that offer both directions and more than one pair: a plan must decide on one of the two."""
    ways: dict[int, set[str]] = {}
    pairs: dict[int, int] = {}
    for (writer, _), offered in rules.items():
        step = buffers[writer].first
        ways.setdefault(step, set()).update(offered)
        pairs[step] = pairs.get(step, 0) + 1
    return {step for step, directions in ways.items() if len(directions) > 1 and pairs[step] > 1}


def _separation(
    one: Buffer, two: Buffer, rules: Rules, owner: Mapping[str, tuple[int, int]], either: set[int]
) -> Separation | None:
    if owner[one.name] > owner[two.name]:
        one, two = two, one
    (a, shift_a), (b, shift_b) = owner[one.name], owner[two.name]
    if a == b or not one.size or not two.size:
        return None
    shift = shift_a - shift_b
    ab_alone, ba_alone = one.size + shift, two.size - shift
    one_below, two_below = shared_gaps(one, two, rules)
    ab, ba = min(ab_alone, one_below + shift), min(ba_alone, two_below - shift)
    a_writes = (one.name, two.name) in rules
    step = max(one.first, two.first)
    if step not in either or not (a_writes or (two.name, one.name) in rules):
        step = -1
    if ab + ba <= 1 and step < 0:
        return None
    return Separation(a, b, ab, ba, step, ab_alone, ba_alone, a_writes)


def shared_gaps(one: Buffer, two: Buffer, rules: Rules) -> tuple[int, int]:
    """The least distances of the starts with ``one`` below ``two``, and with ``two`` below ``one``."""
    gaps = [one.size, two.size]
    for writer, reader, below in ((one, two, 0), (two, one, 1)):
        offered = rules.get((writer.name, reader.name), {})
        if "forward" in offered:
            gaps[below] = min(gaps[below], offered["forward"])
        if "backward" in offered:
            gaps[1 - below] = min(gaps[1 - below], reader.size - writer.size + offered["backward"])
    return gaps[0], gaps[1]


def _keep_tightest(kept: list[Separation], new: Separation) -> None:
    """Add ``new`` unless a kept separation implies it; drop kept ones that it implies."""
    if new.step < 0:
        if any(old.step < 0 and old.ab >= new.ab and old.ba >= new.ba for old in kept):
            return
        kept[:] = [old for old in kept if old.step >= 0 or old.ab > new.ab or old.ba > new.ba]
    kept.append(new)

"""Which kernel runs each node: all lowerings of a node, their prices, and the cheapest under a goal's weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.operator import Lowering
from mcugen.plan.row_blocks import row_block, row_bytes, row_window
from mcugen.targets import Target

FEATURES = (("MCUGEN_USE_MVE", "mve"), ("MCUGEN_USE_DSP", "dsp"))
"""What a generic target's code asks of the C compiler, and the kernel variant that it allows; the best first."""
EVENT_CYCLES = 40.0
"""What a call for a block of rows costs beside its kernel."""
EVERY_CORE: tuple[str, ...] = ("portable", "scalar")
"""Variants that run on all cores."""
ALIGNED: tuple[str, ...] = ("scalar", "mve")
"""Variants whose operands must be aligned: the others load bytes, or run on cores whose loads take any address."""

BLOCK_ROWS = (1, 2, 4)
"""Numbers of rows that a call may make."""

FLASH_WEIGHTS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
"""How many per cent of the cycles one per cent of the flash is worth, from speed alone to size alone."""


@dataclass(frozen=True)
class Choice:
    """A node, the lowering of the target's own core, and what other cores run, best first, as (condition, lowering)."""

    node: Node
    lowering: Lowering
    branches: tuple[tuple[str, Lowering], ...]
    need: int = 0
    """Bytes that the node takes while it runs, at the least: its operands, less what they may share, and scratch."""
    rows: int = 0
    """Output rows that a call makes, where the node runs row by row; 0: one call makes all."""
    repeats: int = 1
    """How many calls make the whole output."""

    @property
    def cycles(self) -> float:
        """Of the whole node."""
        return self.repeats * (self.lowering.cycles + (EVENT_CYCLES if self.rows else 0.0))


def alternatives(graph: Graph, target: Target) -> list[list[Choice]]:
    """For every node all the ways to run it, none worse than another in cycles, flash, scratch and overlap at once."""
    return [
        [_choice(node, graph, target, one) for one in _undominated(_lower(node, graph, target))] for node in graph.nodes
    ]


def row_alternatives(node: Node, graph: Graph, target: Target) -> list[Choice]:
    """The ways to run a node row by row, for each number of rows a call; none where it cannot."""
    window = row_window(node, graph)
    if window is None:
        return []
    found: list[Choice] = []
    height = graph.tensors[node.outputs[0]].shape[1]
    every_core = EVERY_CORE
    if not _rows_are_aligned(node, graph, target):
        target = replace(target, variants=_at_any_address(target.variants))
        every_core = _at_any_address(EVERY_CORE)
    for rows in (rows for rows in BLOCK_ROWS if height % rows == 0):
        small, block = row_block(node, graph, window, rows)
        whole = [one for one in _undominated(_lower(small, block, target)) if len(one.calls) == 1]
        made = [_choice(small, block, target, one, every_core=every_core) for one in whole]
        found += [replace(choice, node=node, rows=rows, repeats=height // rows) for choice in made]
    return found


def _rows_are_aligned(node: Node, graph: Graph, target: Target) -> bool:
    names = [name for name in (*node.inputs, *node.outputs) if not graph.is_constant(name)]
    return all(row_bytes(graph.tensors[name]) % target.alignment == 0 for name in names)


def _at_any_address(variants: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(variant for variant in variants if variant not in ALIGNED)


def _lower(node: Node, graph: Graph, target: Target) -> list[Lowering]:
    return operator(node.op).lower(node, graph, target)


def _undominated(lowerings: Sequence[Lowering]) -> list[Lowering]:
    kept: list[Lowering] = []
    for one in lowerings:
        if not any(other is not one and _dominates(other, one) for other in lowerings):
            kept.append(one)
    return kept


def _dominates(first: Lowering, second: Lowering) -> bool:
    """Whether `first` is at least as good in everything, and better in something (or stands earlier, being equal)."""
    ours, theirs = _figures(first), _figures(second)
    if not first.shared_code.keys() <= second.shared_code.keys():
        return False
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs


def _figures(lowering: Lowering) -> tuple[float, ...]:
    """Cycles, flash, scratch, how far each call keeps its output from its first two inputs, and if not in their place."""
    distances: list[int] = []
    for i in (0, 1):
        allowed = [call.overlap.get(i, 1 << 30) for call in lowering.calls]
        places = [call.in_place != i and distance > 0 for call, distance in zip(lowering.calls, allowed, strict=True)]
        distances += (max(allowed, default=0), int(any(places)))
    return (lowering.cycles, lowering.flash, lowering.scratch, *distances)


def _choice(
    node: Node, graph: Graph, target: Target, lowering: Lowering, *, every_core: tuple[str, ...] = EVERY_CORE
) -> Choice:
    if lowering.view or not target.generic:
        return Choice(node, lowering, (("", lowering),), _need(node, graph, [lowering]))
    branches: list[tuple[str, Lowering]] = []
    for i, (condition, variant) in enumerate(FEATURES):
        if variant in target.variants:
            better = [name for _, name in FEATURES[:i]]
            allowed = tuple(v for v in target.variants if v not in better)
            uses = {call.variant for call in lowering.calls}
            own = (
                lowering
                if uses <= set(allowed) and variant in uses
                else _fastest(node, graph, target, allowed, lowering)
            )
            branches.append((condition, own))
    branches.append(("", _fastest(node, graph, target, every_core, lowering)))
    # a branch that runs what the next one runs anyway needs no condition
    kept = [b for b, after in pairwise(branches) if _functions(b[1]) != _functions(after[1])]
    return Choice(node, lowering, (*kept, branches[-1]), _need(node, graph, [one for _, one in branches]))


def _need(node: Node, graph: Graph, lowerings: Sequence[Lowering]) -> int:
    if lowerings[0].view:
        return 0
    sizes = [graph.tensors[name].nbytes for name in node.inputs if not graph.is_constant(name)]
    written = sum(graph.tensors[name].nbytes for name in node.outputs)
    calls = [one.calls[0] for one in lowerings if len(one.calls) == 1]
    shared = 0
    for i, size in enumerate(sizes if len(calls) == len(lowerings) else ()):
        if all(call.in_place == i or call.overlap.get(i, 1) <= 0 for call in calls):
            shared = max(shared, min(size, written))
        elif all(i in call.overlap for call in calls):
            distance = max(0, *(call.overlap[i] for call in calls))
            shared = max(shared, size + written - max(written, size + distance))
    return sum(sizes) + written - shared + max(one.scratch for one in lowerings)


def _fastest(node: Node, graph: Graph, target: Target, variants: tuple[str, ...], like: Lowering) -> Lowering:
    found = _lower(node, graph, replace(target, variants=variants))
    return min((one for one in found if len(one.calls) == len(like.calls)), key=lambda one: (one.cycles, one.flash))


def _functions(lowering: Lowering) -> list[str]:
    return [call.function for call in lowering.calls]


def cheapest(options: Sequence[Sequence[Choice]], flash_weight: float, *, ram_weight: float = 0.0) -> list[Choice]:
    """For each node an option, with the least share of cycles plus `flash_weight` times the share of flash in all.

    Shares are of the fastest program's cycles and the smallest one's flash, so that the weight has the same meaning for every
    model; `ram_weight` is for the fraction by which a node takes more RAM than the neediest node must.  Functions that several
    options share are paid once: all are free at first, and then done without, one after the other, while that is cheaper
    (the greedy drop heuristic for the uncapacitated facility location problem).
    """
    fastest = [min(choices, key=lambda c: (c.lowering.cycles, c.lowering.flash)) for choices in options]
    cycles = max(1.0, total_cycles(fastest))
    smallest = [min(choices, key=lambda c: (_whole_flash(c), c.lowering.cycles)) for choices in options]
    flash = max(1.0, float(total_flash(smallest)))
    floor = max([1, *(min(choice.need for choice in choices) for choices in options)])

    def price(choice: Choice) -> float:
        one = choice.lowering
        excess = max(0, choice.need - floor) / floor
        return one.cycles / cycles + flash_weight * one.flash / flash + ram_weight * excess

    def assign(excluded: frozenset[str], opened: frozenset[str] | None) -> tuple[float, list[Choice]] | None:
        """The nearest program without some functions, and its price; a node pays alone for what is not `opened`."""

        def alone(choice: Choice) -> tuple[float, int]:
            one = choice.lowering
            new = 0 if opened is None else sum(size for name, size in one.shared_code.items() if name not in opened)
            return price(choice) + flash_weight * new / flash, one.scratch

        allowed = [[c for c in row if excluded.isdisjoint(c.lowering.shared_code)] for row in options]
        if not all(allowed):
            return None
        choices = [min(row, key=alone) for row in allowed]
        return sum(map(price, choices)) + flash_weight * sum(shared_code(choices).values()) / flash, choices

    excluded: frozenset[str] = frozenset()
    best = assign(excluded, None)
    assert best is not None
    while flash_weight > 0:
        used = frozenset(shared_code(best[1]))
        trials = [(excluded | {name}, opened) for name in sorted(used) for opened in (None, used - {name})]
        found = [
            (trial, names) for names, trial in ((names, assign(names, opened)) for names, opened in trials) if trial
        ]
        least = min(found, key=lambda one: one[0][0], default=None)
        if least is None or least[0][0] >= best[0]:
            break
        best, excluded = least
    return best[1]


def _whole_flash(choice: Choice) -> int:
    return choice.lowering.flash + sum(choice.lowering.shared_code.values())


def shared_code(choices: Sequence[Choice]) -> dict[str, int]:
    """The functions of which the program holds one copy for all the nodes that call them, and their bytes."""
    return {name: size for choice in choices for name, size in choice.lowering.shared_code.items()}


def total_cycles(choices: Sequence[Choice]) -> float:
    return sum(choice.cycles for choice in choices)


def total_flash(choices: Sequence[Choice]) -> int:
    return sum(choice.lowering.flash for choice in choices) + sum(shared_code(choices).values())

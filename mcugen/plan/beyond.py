"""Kernels for cores better than the one that stands for a generic target, where they need no more RAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcugen.graph import Graph
from mcugen.ops import operator
from mcugen.ops.operator import Lowering
from mcugen.plan.layout import Layout, lay_out
from mcugen.plan.select import FEATURES, Choice
from mcugen.targets import Target

TRIALS = 4
"""Plans that are tried for all nodes together."""


def add_beyond(
    graph: Graph, choices: Sequence[Choice], layout: Layout, target: Target
) -> tuple[tuple[Choice, ...], Layout]:
    """The choices with a branch for each of the target's `beyond` variants, in an arena that is no larger.

    All nodes begin with the fastest kernel; those at the peak of a larger arena go on to the next one, or go without.  Where
    that does not soon lead to an arena that is no larger, only kernels remain that could take any other's place.
    """
    now, plan = tuple(choices), layout
    for condition, variant in reversed(FEATURES):
        if variant in target.beyond:
            now, plan = _add(graph, now, plan, target, condition, variant)
    return now, plan


def _add(
    graph: Graph, choices: tuple[Choice, ...], layout: Layout, target: Target, condition: str, variant: str
) -> tuple[tuple[Choice, ...], Layout]:
    left = [_lowerings(graph, choice, target, variant) for choice in choices]
    for _ in range(min(TRIALS, layout.trials)):
        trial = _with_first(choices, left, condition)
        planned = lay_out(graph, trial, target, apart=layout.apart, pushed=layout.pushed)
        if planned.peak <= layout.peak:
            return trial, planned
        for place in [place for place in planned.nodes_at_peak if left[place]] or range(len(left)):
            left[place] = left[place][1:]
    modest = [
        [one for one in _lowerings(graph, choice, target, variant) if _asks_no_more(one, choice)] for choice in choices
    ]
    return _with_first(choices, modest, condition), layout


def _with_first(choices: Sequence[Choice], found: Sequence[Sequence[Lowering]], condition: str) -> tuple[Choice, ...]:
    return tuple(
        replace(choice, branches=((condition, options[0]), *choice.branches)) if options else choice
        for choice, options in zip(choices, found, strict=True)
    )


def _asks_no_more(lowering: Lowering, choice: Choice) -> bool:
    """Whether the kernels run wherever those of the choice's other branches all can."""
    for number, call in enumerate(lowering.calls):
        others = [other.calls[number] for _, other in choice.branches]
        inputs = {i for other in others for i in other.overlap} | set(call.over_read)
        if call.scratch > max(other.scratch for other in others):
            return False
        for i in inputs:
            known = [other.overlap[i] for other in others if i in other.overlap]
            if len(known) == len(others) and call.overlap.get(i, max(known) + 1) > max(known):
                return False
            if call.over_read.get(i, 0) > max(other.over_read.get(i, 0) for other in others):
                return False
        shared = {other.in_place for other in others} - {None}
        if any(call.in_place != i and call.overlap.get(i, 1) > 0 for i in shared if i is not None):
            return False
    return True


def _lowerings(graph: Graph, choice: Choice, target: Target, variant: str) -> list[Lowering]:
    """The ways to run a node as a whole by a variant, the fastest first."""
    if choice.lowering.view or choice.rows:
        return []
    found = operator(choice.node.op).lower(choice.node, graph, replace(target, variants=(*target.variants, variant)))
    return sorted(
        (
            one
            for one in found
            if len(one.calls) == len(choice.lowering.calls) and variant in {c.variant for c in one.calls}
        ),
        key=lambda one: (one.cycles, one.scratch),
    )

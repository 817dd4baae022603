"""Kernels in exchange for ones that need less RAM, where the arena is full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from mcugen.graph import Graph
from mcugen.plan.layout import Layout, lay_out, settle
from mcugen.plan.select import Choice, total_cycles, total_flash
from mcugen.targets import Target


def reduce_ram(
    graph: Graph,
    choices: list[Choice],
    *,
    options: Mapping[str, Sequence[Choice]],
    layout: Layout,
    target: Target,
    wanted: int = 0,
    budget: float = inf,
    price: float = inf,
) -> tuple[list[Choice], Layout, tuple[str, ...]]:
    """Exchange kernels at the peak for ones with less scratch or more overlap, the cheapest gain first, until `wanted` fits.

    `budget` is the fraction by which cycles and flash together may grow, `price` the largest fraction for each that the arena
    shrinks by.
    """
    cycles, flash = max(1.0, total_cycles(choices)), max(1, total_flash(choices))
    accepted = now = _Exchanged(tuple(choices), layout, 0.0, ())
    left = layout.trials
    while now.layout.peak > wanted and left > 0:
        best: tuple[float, _Exchanged] | None = None
        for place in now.layout.nodes_at_peak:
            for option in options[now.choices[place].node.name]:
                left -= 1
                if left < 0:
                    break
                trial = _exchange(graph, now, place, option, target, scale=(cycles, flash))
                if trial is None or trial.cost > budget:
                    continue
                fewer = now.layout.steps_at_peak - trial.layout.steps_at_peak
                gain = now.layout.peak - trial.layout.peak + fewer / 1000
                if gain > 0 and (best is None or (trial.cost - now.cost) / gain < best[0]):
                    best = ((trial.cost - now.cost) / gain, trial)
        if best is None:
            break
        settled = settle(graph, best[1].choices, target, apart=best[1].layout.apart, pushed=layout.pushed)
        now = replace(best[1], layout=settled)
        # exchanges that gain nothing alone are taken together with the one that makes them worth it
        gained = (accepted.layout.peak - now.layout.peak) / layout.peak
        if now.layout.peak <= wanted or (gained > 0 and now.cost - accepted.cost <= price * gained):
            accepted = now
    return list(accepted.choices), accepted.layout, tuple(dict.fromkeys(accepted.notes))


@dataclass(frozen=True)
class _Exchanged:
    """What exchanges have led to, and what they cost together, in fractions of the program's cycles and flash."""

    choices: tuple[Choice, ...]
    layout: Layout
    cost: float
    notes: tuple[str, ...]


def _exchange(
    graph: Graph, now: _Exchanged, place: int, option: Choice, target: Target, *, scale: tuple[float, float]
) -> _Exchanged | None:
    """The program with another option at one place; None where it is the one that is there."""
    before, old, new = now.choices[place], now.choices[place].lowering, option.lowering
    if new is old:
        return None
    cost = max(0.0, option.cycles - before.cycles) / scale[0] + max(0, new.flash - old.flash) / scale[1]
    choices = (*now.choices[:place], option, *now.choices[place + 1 :])
    layout = lay_out(graph, choices, target, apart=now.layout.apart, pushed=now.layout.pushed)
    note = f"'{option.node.name}' runs {new.calls[0].function} to need less RAM"
    return _Exchanged(choices, layout, now.cost + cost, (*now.notes, note))

"""From the integer graph and a target to the program: order, kernels and memory, under a goal and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from mcugen.graph import Graph
from mcugen.plan import model as memory
from mcugen.plan.layout import Layout, lay_out, ports, programmed_steps, settle
from mcugen.plan.order import plan_order
from mcugen.plan.select import FLASH_WEIGHTS, Choice, alternatives, cheapest, total_cycles, total_flash
from mcugen.program import Buffer, Program
from mcugen.targets import Target

GOAL_WEIGHTS = {"speed": 0.0, "balanced": 1.0, "size": 16.0, "ram": 1.0}
RAM_WEIGHTS = {"speed": 0.0, "balanced": 0.02, "size": 0.02, "ram": 0.1}
ORDER_EFFORT = 50_000
BALANCED_SLOWER = 0.02
"""The fraction of cycles and flash that `balanced` gives for an arena smaller by a larger one."""
RAM_PRICE = 10.0
"""How many per cent of cycles and flash `ram` gives at most for one per cent of the arena, where no limit asks for more."""


@dataclass(frozen=True)
class Goal:
    """What to prefer where there is a choice: `optimize` is balanced, speed, size or ram; limits are in bytes and cycles."""

    optimize: str = "balanced"
    flash: int | None = None
    ram: int | None = None
    cycles: int | None = None


def build_program(graph: Graph, target: Target, goal: Goal, *, name: str) -> Program:
    """The program of an integer graph on a target.

    Raises UnsupportedModel where an operator has no kernel, and PlanError (a defect of mcugen) if the memory plan is wrong.
    Limits that cannot be kept are the caller's to refuse: the program is then the nearest one found.
    """
    options = alternatives(graph, target)
    choices, notes = choose_kernels(options, goal)
    order = ordered(graph, choices)
    graph, choices = replace(graph, nodes=[c.node for c in order]), order
    by_node = {options[i][0].node.name: options[i] for i in range(len(options))}
    layout = settle(graph, choices, target)
    exchange = partial(reduce_ram, graph, options=by_node, target=target)
    if goal.optimize == "balanced":
        choices, layout, traded = exchange(choices, layout=layout, budget=BALANCED_SLOWER, price=1.0)
        notes += traded
    elif goal.optimize == "ram":
        choices, layout, traded = exchange(choices, layout=layout, price=RAM_PRICE)
        notes += traded
    if goal.ram is not None and layout.peak > goal.ram:
        choices, layout, traded = exchange(choices, layout=layout, wanted=goal.ram)
        notes += traded
    return _program(graph, choices, layout, target, name, notes)


def choose_kernels(options: Sequence[Sequence[Choice]], goal: Goal) -> tuple[list[Choice], tuple[str, ...]]:
    """One choice a node by the goal's weights, moved towards smaller or faster ones where a limit asks for it."""
    weight, ram_weight = GOAL_WEIGHTS[goal.optimize], RAM_WEIGHTS[goal.optimize]
    choices = cheapest(options, weight, ram_weight=ram_weight)
    notes: list[str] = []
    if goal.flash is not None:
        for heavier in (w for w in FLASH_WEIGHTS if w > weight):
            if total_flash(choices) <= goal.flash:
                break
            choices = cheapest(options, heavier, ram_weight=ram_weight)
            notes = [f"kernels were chosen for size to keep {goal.flash} bytes of flash"]
    if goal.cycles is not None:
        for lighter in (w for w in reversed(FLASH_WEIGHTS) if w < weight):
            if total_cycles(choices) <= goal.cycles:
                break
            choices = cheapest(options, lighter, ram_weight=ram_weight)
            notes = [f"kernels were chosen for speed to keep {goal.cycles} cycles"]
    return choices, tuple(notes)


def ordered(graph: Graph, choices: Sequence[Choice]) -> list[Choice]:
    """The choices in the order of execution with the lowest peak of live bytes that was found."""
    steps, overlaps = [], []
    for choice in choices:
        node, lowering = choice.node, choice.lowering
        inputs = tuple(dict.fromkeys(n for n in node.inputs if not graph.is_constant(n)))
        steps.append(memory.Step(node.name, inputs, node.outputs, lowering.scratch))
        if lowering.view or len(lowering.calls) == 1:
            allowed = {0: 0} if lowering.view else dict(lowering.calls[0].overlap)
            if not lowering.view and lowering.calls[0].in_place is not None:
                allowed.setdefault(lowering.calls[0].in_place, 0)
            overlaps += [
                memory.Overlap(node.outputs[0], inputs[i], distance) for i, distance in allowed.items() if i < len(inputs)
            ]
    sizes = {name: graph.tensors[name].nbytes for name in graph.activations()}
    order = plan_order(steps, sizes, graph.inputs, graph.outputs, overlaps=overlaps, effort=ORDER_EFFORT)
    by_name = {choice.node.name: choice for choice in choices}
    return [by_name[name] for name in order.order]


def reduce_ram(
    graph: Graph,
    choices: list[Choice],
    *,
    options: dict[str, list[Choice]],
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
        settled = settle(graph, best[1].choices, target, apart=best[1].layout.apart)
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
    old, new = now.choices[place].lowering, option.lowering
    if new is old:
        return None
    cost = max(0.0, new.cycles - old.cycles) / scale[0] + max(0, new.flash - old.flash) / scale[1]
    choices = (*now.choices[:place], option, *now.choices[place + 1 :])
    layout = lay_out(graph, choices, target, apart=now.layout.apart)
    note = f"'{option.node.name}' runs {new.calls[0].function} to need less RAM"
    return _Exchanged(choices, layout, now.cost + cost, (*now.notes, note))


def _program(
    graph: Graph, choices: Sequence[Choice], layout: Layout, target: Target, name: str, notes: tuple[str, ...]
) -> Program:
    steps = programmed_steps(graph, choices, layout.roots)
    align = target.alignment
    placed = tuple(
        Buffer(b.name, b.size, layout.plan.offsets[b.name], b.first, b.last, b.align, b.tail)
        for b in sorted(layout.buffers, key=lambda b: b.name)
    )
    return Program(
        name,
        tuple(steps),
        placed,
        ports(graph, graph.inputs, layout.roots),
        ports(graph, graph.outputs, layout.roots),
        max(align, -(-layout.peak // align) * align),
        align,
        layout.plan.lower_bound,
        layout.plan.method,
        notes,
        target.place.weights,
        target.place.arena,
    )

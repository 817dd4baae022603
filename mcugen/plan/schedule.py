"""From the integer graph and a target to the program: order, kernels and memory, under a goal and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcugen.graph import Graph
from mcugen.plan import model as memory
from mcugen.plan.layout import Layout, lay_out, ports, programmed_steps, settle
from mcugen.plan.order import plan_order
from mcugen.plan.select import FLASH_WEIGHTS, Choice, alternatives, cheapest, total_cycles, total_flash
from mcugen.program import Buffer, Program
from mcugen.targets import Target

GOAL_WEIGHTS = {"speed": 0.0, "balanced": 1.0, "size": 16.0, "ram": 1.0}
ORDER_EFFORT = 50_000
BALANCED_SLOWER = 0.02
"""The fraction of cycles and flash that `balanced` gives for an arena smaller by a larger one."""


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
    wanted = goal.ram if goal.ram is not None else (0 if goal.optimize == "ram" else None)
    if wanted is not None and layout.peak > wanted:
        choices, layout, traded = reduce_ram(graph, choices, by_node, layout, target, wanted=wanted)
        notes += traded
    elif goal.optimize == "balanced":
        choices, layout, traded = reduce_ram(graph, choices, by_node, layout, target, slower=BALANCED_SLOWER)
        notes += traded
    return _program(graph, choices, layout, target, name, notes)


def choose_kernels(options: Sequence[Sequence[Choice]], goal: Goal) -> tuple[list[Choice], tuple[str, ...]]:
    """One choice a node by the goal's weights, moved towards smaller or faster ones where a limit asks for it."""
    weight = GOAL_WEIGHTS[goal.optimize]
    choices = cheapest(options, weight)
    notes: list[str] = []
    if goal.flash is not None:
        for heavier in (w for w in FLASH_WEIGHTS if w > weight):
            if total_flash(choices) <= goal.flash:
                break
            choices = cheapest(options, heavier)
            notes = [f"kernels were chosen for size to keep {goal.flash} bytes of flash"]
    if goal.cycles is not None:
        for lighter in (w for w in reversed(FLASH_WEIGHTS) if w < weight):
            if total_cycles(choices) <= goal.cycles:
                break
            choices = cheapest(options, lighter)
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
    options: dict[str, list[Choice]],
    layout: Layout,
    target: Target,
    *,
    wanted: int = 0,
    slower: float | None = None,
) -> tuple[list[Choice], Layout, tuple[str, ...]]:
    """Exchange kernels at the peak for ones with less scratch or more overlap, the cheapest gain first, until `wanted` fits.

    With `slower`, cycles and flash may grow by no larger fraction of the program's than that, and by none that is larger
    than the fraction of the arena that is gained.
    """
    notes: list[str] = []
    cycles, flash = max(1.0, total_cycles(choices)), max(1, total_flash(choices))
    spent = 0.0
    while layout.peak > wanted:
        best: tuple[float, float, int, Choice, Layout] | None = None
        for place in layout.nodes_at_peak:
            now = choices[place].lowering
            for option in options[choices[place].node.name]:
                if option.lowering is now:
                    continue
                cost = max(0.0, option.lowering.cycles - now.cycles) / cycles
                cost += max(0, option.lowering.flash - now.flash) / flash
                if slower is not None and spent + cost > slower:
                    continue
                trial = [option if i == place else c for i, c in enumerate(choices)]
                moved = lay_out(graph, trial, target, apart=layout.apart)
                gain = layout.peak - moved.peak + (layout.steps_at_peak - moved.steps_at_peak) / 1000
                worth = gain > 0 and (slower is None or cost <= gain / layout.peak)
                if worth and (best is None or cost / gain < best[0]):
                    best = (cost / gain, cost, place, option, moved)
        if best is None:
            break
        _, cost, place, option, layout = best
        spent += cost
        choices = [option if i == place else c for i, c in enumerate(choices)]
        layout = settle(graph, choices, target, apart=layout.apart)
        notes.append(f"'{option.node.name}' runs {option.lowering.calls[0].function} to need less RAM")
    return choices, layout, tuple(dict.fromkeys(notes))


def _program(
    graph: Graph, choices: Sequence[Choice], layout: Layout, target: Target, name: str, notes: tuple[str, ...]
) -> Program:
    steps = programmed_steps(graph, choices, layout.roots)
    align = target.alignment
    placed = tuple(
        Buffer(b.name, b.size, layout.plan.offsets[b.name], b.first, b.last, b.align)
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
    )

"""From the integer graph and a target to the program: order, kernels and memory, under a goal and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph
from mcugen.plan import model as memory
from mcugen.plan.beyond import add_beyond
from mcugen.plan.exchange import reduce_ram
from mcugen.plan.layout import Layout, ports, programmed_regions, settle
from mcugen.plan.order import plan_order
from mcugen.plan.row_checker import check_region
from mcugen.plan.script import programmed_steps
from mcugen.plan.select import FLASH_WEIGHTS, Choice, alternatives, cheapest, total_cycles, total_flash
from mcugen.plan.streaming import Planned, Streaming, stream
from mcugen.program import Buffer, Program, State
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
    input_rows: bool | None = None
    """Whether the model's input arrives row by row; None: where nothing else keeps the limit of RAM."""


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
    plain = Planned(tuple(choices), layout, notes)
    planned = plain
    if goal.ram is not None and layout.peak > goal.ram:
        choices, layout, traded = exchange(choices, layout=layout, wanted=goal.ram)
        planned = Planned(tuple(choices), layout, notes + traded)
    short = goal.input_rows or (goal.ram is not None and planned.layout.peak > goal.ram)
    kept = next((choice.node for choice in planned.choices if choice.lowering.keep), None)
    if kept is not None and goal.input_rows:
        raise UnsupportedModel(
            f"{graph.name}: its input cannot arrive row by row, because '{kept.name}' keeps a part of it for the next call",
            hint="stream in time or by rows: leave out `--input-rows` or `--stream`",
        )
    if short and kept is None:
        streaming = Streaming(graph, target, by_node, 0 if goal.ram is None else goal.ram)
        planned = stream(streaming, plain, planned, input_rows=goal.input_rows)
    branched, layout = add_beyond(graph, planned.choices, planned.layout, target)
    program = assemble(graph, branched, layout, target, name, planned.notes)
    return replace(program, advice=planned.advice)


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
                memory.Overlap(node.outputs[0], inputs[i], distance)
                for i, distance in allowed.items()
                if i < len(inputs)
            ]
    sizes = {name: graph.tensors[name].nbytes for name in graph.activations()}
    order = plan_order(steps, sizes, graph.inputs, graph.outputs, overlaps=overlaps, effort=ORDER_EFFORT)
    by_name = {choice.node.name: choice for choice in choices}
    return [by_name[name] for name in order.order]


def assemble(
    graph: Graph, choices: Sequence[Choice], layout: Layout, target: Target, name: str, notes: tuple[str, ...]
) -> Program:
    """The program of choices and their layout; what runs row by row is proved by the independent checker."""
    script = programmed_steps(graph, choices, layout.roots, layout.insets, layout.sharing)
    align = target.alignment
    placed = tuple(
        Buffer(b.name, b.size, layout.plan.offsets[b.name], b.first, b.last, b.align, b.tail)
        for b in sorted(layout.buffers, key=lambda b: b.name)
    )
    program = Program(
        name,
        script.steps,
        placed,
        ports(graph, graph.inputs, layout),
        ports(graph, graph.outputs, layout),
        max(align, -(-layout.peak // align) * align),
        align,
        layout.plan.lower_bound,
        layout.plan.method,
        notes,
        target.place.weights,
        target.place.arena,
        programmed_regions(layout, script),
        states=tuple(State(kept.operand, kept.initial) for kept in script.kept),
    )
    for region in program.regions:
        check_region(program, graph, region)
    return program

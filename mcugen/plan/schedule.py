"""From the integer graph and a target to the program: which kernel runs each node, in which order, and where every byte lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops import operator
from mcugen.ops.operator import Lowering
from mcugen.plan import model as memory
from mcugen.plan.checker import check_plan
from mcugen.plan.offsets import plan_offsets
from mcugen.program import Branch, Buffer, KernelCall, Operand, Port, Program, Step
from mcugen.targets import Target

CONSTANT = "@constant"
SCRATCH = "@scratch"

FEATURES = (("MCUGEN_USE_MVE", "mve"), ("MCUGEN_USE_DSP", "dsp"))
"""What a generic target's code asks of the C compiler, and the kernel variant that it allows; the best first."""


@dataclass(frozen=True)
class Goal:
    """What to prefer where there is a choice: `optimize` is balanced, speed, size or ram; limits are in bytes and cycles."""

    optimize: str = "balanced"
    flash: int | None = None
    ram: int | None = None
    cycles: int | None = None


@dataclass(frozen=True)
class _Chosen:
    """A node, the lowering of the target's own core, and what other cores run, best first, as (condition, lowering)."""

    node: Node
    lowering: Lowering
    branches: tuple[tuple[str, Lowering], ...]


def build_program(graph: Graph, target: Target, goal: Goal, *, name: str) -> Program:
    """The program of an integer graph on a target.

    Raises UnsupportedModel where an operator has no kernel, and PlanError (a defect of mcugen) if the memory plan is wrong.
    """
    chosen = choose_kernels(graph, target, goal)
    roots = _roots(graph, chosen)
    steps = _steps(graph, chosen, roots)
    buffers, overlaps = _buffers(graph, steps, roots, target)
    plan = plan_offsets(buffers, overlaps, ())
    check_plan(buffers, overlaps, (), plan.offsets)
    placed = tuple(
        Buffer(b.name, b.size, plan.offsets[b.name], b.first, b.last, b.align) for b in sorted(buffers, key=lambda b: b.name)
    )
    align = target.alignment
    return Program(
        name,
        tuple(steps),
        placed,
        tuple(_port(graph, tensor, roots) for tensor in graph.inputs),
        tuple(_port(graph, tensor, roots) for tensor in graph.outputs),
        max(align, -(-plan.peak // align) * align),
        align,
        plan.lower_bound,
        plan.method,
    )


def choose_kernels(graph: Graph, target: Target, goal: Goal) -> list[_Chosen]:
    """For each node the cheapest lowering by the goal's weighing of cycles, flash and scratch."""
    return [_chosen(node, graph, target, goal) for node in graph.nodes]


def _chosen(node: Node, graph: Graph, target: Target, goal: Goal) -> _Chosen:
    best = _cheapest(node, graph, target, goal)
    branches: list[tuple[str, Lowering]] = []
    if target.generic and not best.view:
        for i, (condition, variant) in enumerate(FEATURES):
            if variant in target.variants:
                dropped = [name for _, name in FEATURES[:i]]
                allowed = tuple(v for v in target.variants if v not in dropped)
                branches.append((condition, _cheapest(node, graph, replace(target, variants=allowed), goal)))
    plain = _cheapest(node, graph, replace(target, variants=("portable",)), goal) if target.generic else best
    branches.append(("", plain))
    # a branch that runs what the next one runs anyway needs no condition
    kept = [b for b, after in zip(branches, branches[1:], strict=False) if _functions(b[1]) != _functions(after[1])]
    return _Chosen(node, best, (*kept, branches[-1]))


def _functions(lowering: Lowering) -> list[str]:
    return [call.function for call in lowering.calls]


def _cheapest(node: Node, graph: Graph, target: Target, goal: Goal) -> Lowering:
    return min(operator(node.op).lower(node, graph, target), key=lambda lowering: _price(lowering, goal))


def _price(lowering: Lowering, goal: Goal) -> tuple[float, float]:
    """Smaller is better; the second entry breaks ties."""
    if goal.optimize == "size":
        return (lowering.flash, lowering.cycles)
    if goal.optimize == "ram":
        return (lowering.scratch, lowering.cycles)
    return (lowering.cycles, lowering.flash)


def _roots(graph: Graph, chosen: list[_Chosen]) -> dict[str, str]:
    """For every tensor that is a view, the tensor whose bytes it is."""
    roots: dict[str, str] = {}
    for item in chosen:
        if item.lowering.view:
            source = item.node.inputs[0]
            roots[item.node.outputs[0]] = roots.get(source, source)
    return roots


def _steps(graph: Graph, chosen: list[_Chosen], roots: Mapping[str, str]) -> list[Step]:
    steps: list[Step] = []
    for item in chosen:
        for part in range(len(item.lowering.calls)):
            steps.append(_step(graph, item, part, roots, len(steps)))
    return steps


def _step(graph: Graph, item: _Chosen, part: int, roots: Mapping[str, str], index: int) -> Step:
    node, call, parts = item.node, item.lowering.calls[part], len(item.lowering.calls)
    branches = tuple(Branch(condition, lowering.calls[part]) for condition, lowering in item.branches)
    needed = max(branch.call.scratch for branch in branches)
    if call.reads is None:
        reads = [name for name in node.inputs if not graph.is_constant(name)]
    else:
        reads = [node.inputs[i] for i in call.reads]
    macs = operator(node.op).cost(node, graph).macs // parts
    inputs = tuple(_operand(graph.tensors[n], roots, o) for n, o in _with_offsets(reads, call.input_offsets))
    outputs = tuple(_operand(graph.tensors[n], roots, o) for n, o in _with_offsets(node.outputs, call.output_offsets))
    scratch = Operand(f"{SCRATCH}{index}", f"{SCRATCH}{index}", 0, needed, "int8", (needed,)) if needed else None
    return Step(
        node.name, node.op, call, branches, inputs, outputs, scratch, _comment(graph, node, index, macs, call), macs, node.origin
    )


def _with_offsets(names: list[str] | tuple[str, ...], offsets: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(name, offsets[i] if i < len(offsets) else 0) for i, name in enumerate(names)]


def _operand(tensor: Tensor, roots: Mapping[str, str], offset: int = 0) -> Operand:
    buffer = CONSTANT if tensor.data is not None else roots.get(tensor.name, tensor.name)
    return Operand(tensor.name, buffer, offset, tensor.nbytes, tensor.dtype, tensor.shape)


def _comment(graph: Graph, node: Node, index: int, macs: int, call: KernelCall) -> str:
    shapes = [list(graph.tensors[n].shape) for n in (node.inputs[0], node.outputs[0])]
    origin = "+".join(dict.fromkeys(node.origin)) or node.name
    work = f", {macs} MACs" if macs else ""
    text = f"{index}: {origin} ({node.op}, {call.variant}) {shapes[0]} -> {shapes[1]}{work}"
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("*/", "* /").replace("/*", "/ *")


def _buffers(
    graph: Graph, steps: list[Step], roots: Mapping[str, str], target: Target
) -> tuple[list[memory.Buffer], list[memory.Overlap]]:
    """The arena's buffers with their lives, and the overlaps that the kernels allow."""
    first: dict[str, int] = {roots.get(name, name): -1 for name in graph.inputs}
    last: dict[str, int] = dict(first)
    size = {name: graph.tensors[name].nbytes for name in first}
    tail: dict[str, int] = {}
    overlaps: list[tuple[int, str, str, int]] = []
    for index, step in enumerate(steps):
        for i, operand in enumerate(step.inputs):
            if operand.buffer != CONSTANT:
                last[operand.buffer] = index
                over_read = max(branch.call.over_read.get(i, 0) for branch in step.branches)
                tail[operand.buffer] = max(tail.get(operand.buffer, 0), over_read)
        for operand in step.outputs:
            first.setdefault(operand.buffer, index)
            last[operand.buffer] = max(last.get(operand.buffer, index), index)
            size[operand.buffer] = max(size.get(operand.buffer, 0), operand.size)
        for i, operand in enumerate(step.inputs):
            distances = [branch.call.overlap.get(i) for branch in step.branches]
            if all(distance is not None for distance in distances):
                farthest = max(d for d in distances if d is not None)
                overlaps.append((index, step.outputs[0].buffer, operand.buffer, farthest))
    for name in graph.outputs:
        last[roots.get(name, name)] = max(len(steps) - 1, 0)
    for index, step in enumerate(steps):
        if step.scratch is not None:
            first[step.scratch.buffer] = last[step.scratch.buffer] = index
            size[step.scratch.buffer] = step.scratch.size
    buffers = [
        memory.Buffer(name, max(1, size[name]), first[name], max(last[name], first[name]), target.alignment, tail.get(name, 0))
        for name in first
    ]
    rules = [
        memory.Overlap(writer, reader, distance)
        for index, writer, reader, distance in overlaps
        if last.get(reader) == index and first.get(writer) == index and reader != writer and reader != CONSTANT
    ]
    return buffers, rules


def _port(graph: Graph, name: str, roots: Mapping[str, str]) -> Port:
    tensor = graph.tensors[name]
    assert tensor.quant is not None
    identifier = re.sub(r"\W+", "_", name).strip("_").lower() or "tensor"
    return Port(name, identifier, _operand(tensor, roots), float(tensor.quant.scale), int(tensor.quant.zero_point))

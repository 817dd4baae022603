"""From chosen kernels to buffers, lives and offsets: which tensors share bytes as views or in place, and where all lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mcugen.graph import DynamicQuantParams, Graph, Tensor
from mcugen.ops import operator
from mcugen.ops.packed_weights import stored_format
from mcugen.plan import model as memory
from mcugen.plan.checker import check_plan
from mcugen.plan.offsets import plan_offsets
from mcugen.plan.region_buffers import (
    ROW_STATE,
    ROW_STATE_BYTES,
    Span,
    extend_lives,
    program_region,
    region_extents,
)
from mcugen.plan.regions import Region, find_regions
from mcugen.plan.select import Choice
from mcugen.program import Branch, KernelCall, Operand, Port, RowRegion, Step
from mcugen.targets import Target

CONSTANT = "@constant"
SCRATCH = "@scratch"
SEARCH_SECONDS = 0.25
"""For one plan; kernels are exchanged by trying many."""
TRIALS = 24
"""How many outputs are tried out of their inputs' places before the best of them moves."""
TRIAL_WORK = 600_000
"""What trying other plans may cost in all, where one plan costs the square of its buffers' number."""


@dataclass(frozen=True)
class Layout:
    """The arena: buffers with their offsets, and for every tensor without a buffer of its own the one it lies in."""

    roots: Mapping[str, str]
    insets: Mapping[str, int]
    """Bytes before a tensor in its buffer, where it does not begin there: rows of padding above an image."""
    buffers: tuple[memory.Buffer, ...]
    plan: memory.Plan
    step_nodes: tuple[int, ...]
    """For each step the position of its node among the choices."""
    apart: frozenset[str] = frozenset()
    """Nodes whose output got bytes of its own though it could take the place of an input."""
    regions: tuple[Region, ...] = ()

    @property
    def pushed(self) -> bool:
        """Whether the model's input arrives row by row."""
        return any(region.pushed for region in self.regions)

    @property
    def peak(self) -> int:
        return self.plan.peak

    def _top(self, step: int) -> int:
        live = [b for b in self.buffers if b.first <= step <= b.last]
        return max((self.plan.offsets[b.name] + b.size + b.tail for b in live), default=0)

    @property
    def trials(self) -> int:
        """How many other plans may be tried; few for large graphs, in which each of them takes long."""
        return int(TRIAL_WORK // max(1, len(self.buffers)) ** 2)

    @property
    def full_steps(self) -> list[int]:
        """The steps in which the arena is used to its top."""
        return [step for step in range(len(self.step_nodes)) if self._top(step) >= self.peak]

    @property
    def steps_at_peak(self) -> int:
        return len(self.full_steps)

    @property
    def nodes_at_peak(self) -> list[int]:
        """Positions of the nodes at whose steps the arena is used to its top, and of all that run row by row with them."""
        places = {self.step_nodes[step] for step in self.full_steps}
        for region in self.regions:
            whole = range(region.first, region.last + 1)
            places |= set() if places.isdisjoint(whole) else set(whole)
        return sorted(places)


def lay_out(
    graph: Graph,
    choices: Sequence[Choice],
    target: Target,
    *,
    apart: frozenset[str] = frozenset(),
    pushed: bool = False,
) -> Layout:
    """Plan the arena for choices in execution order; the plan is proved by the independent checker.

    The outputs of the nodes named in `apart` do not take the place of an input.  With `pushed` the model's input arrives
    row by row.
    """
    regions = find_regions(graph, choices, pushed=pushed)
    roots = _roots(graph, choices, apart)
    for region in regions:
        for name, home in region.homes.items():
            roots[name] = roots.get(home, home)
    insets, extents = region_extents(regions, roots, target.alignment)
    steps = programmed_steps(graph, choices, roots, insets)
    buffers, overlaps = _buffers(graph, steps, roots, target, insets, extents, _spans(regions, choices))
    plan = plan_offsets(buffers, overlaps, (), time_limit=SEARCH_SECONDS)
    check_plan(buffers, overlaps, (), plan.offsets, peak=plan.peak)
    nodes = tuple(i for i, choice in enumerate(choices) for _ in choice.lowering.calls)
    return Layout(roots, insets, tuple(buffers), plan, nodes, apart, regions)


def programmed_regions(choices: Sequence[Choice], layout: Layout) -> tuple[RowRegion, ...]:
    """The parts of the program that run row by row."""
    spans = _spans(layout.regions, choices)
    return tuple(program_region(span, layout.roots, layout.insets) for span in spans)


def _spans(regions: Sequence[Region], choices: Sequence[Choice]) -> list[Span]:
    """The regions with the numbers of their steps."""
    before = list(accumulate((len(choice.lowering.calls) for choice in choices), initial=0))
    return [Span(region, before[region.first], before[region.last + 1] - 1) for region in regions]


def settle(
    graph: Graph,
    choices: Sequence[Choice],
    target: Target,
    *,
    apart: frozenset[str] = frozenset(),
    pushed: bool = False,
) -> Layout:
    """`lay_out`, with outputs moved out of their inputs' places as long as that makes the arena smaller.

    An output in its input's place cannot slide against it, which can cost more than the place saves.
    """
    best = lay_out(graph, choices, target, apart=apart, pushed=pushed)
    left = best.trials
    while left > 0:
        names = _in_place_near_peak(graph, choices, best)[:left]
        trials = [lay_out(graph, choices, target, apart=best.apart | {name}, pushed=pushed) for name in names]
        left -= len(trials)
        better = min(trials, key=_height, default=best)
        if _height(better) >= _height(best):
            break
        best = better
    return best


def _height(layout: Layout) -> tuple[int, int]:
    return layout.peak, layout.steps_at_peak


def _in_place_near_peak(graph: Graph, choices: Sequence[Choice], layout: Layout) -> list[str]:
    """The nodes that work in place, up to TRIALS of them, those nearest to a step in which the arena is full first."""
    full = layout.full_steps
    found = []
    for step, place in enumerate(layout.step_nodes):
        choice = choices[place]
        merged = choice.node.outputs[0] in layout.roots and choice.node.name not in layout.apart and not choice.rows
        if merged and not choice.lowering.view and _shared_input(graph, choice) is not None:
            found.append((min((abs(step - other) for other in full), default=0), choice.node.name))
    return [name for _, name in sorted(found)[:TRIALS]]


def _roots(graph: Graph, choices: Sequence[Choice], apart: frozenset[str]) -> dict[str, str]:
    """For every tensor that is a view, or is computed in place, the tensor whose bytes it takes."""
    last_reader = {name: i for i, choice in enumerate(choices) for name in choice.node.inputs}
    roots: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for i, choice in enumerate(choices):
        source = None if choice.rows else _shared_input(graph, choice)
        if source is None or choice.node.name in apart:
            continue
        root = roots.get(source, source)
        family = [root, *members.get(root, [])]
        dies = all(last_reader.get(name, -1) <= i and name not in graph.outputs for name in family)
        if choice.lowering.view or dies:
            output = choice.node.outputs[0]
            roots[output] = root
            members.setdefault(root, []).append(output)
    return roots


def _shared_input(graph: Graph, choice: Choice) -> str | None:
    """The input that the output may take the place of, exactly; None where some core's kernel cannot."""
    node = choice.node
    if choice.lowering.view:
        return node.inputs[0]
    if len(choice.lowering.calls) != 1 or choice.lowering.calls[0].in_place is None:
        return None
    index = choice.lowering.calls[0].in_place
    calls = [lowering.calls[0] for _, lowering in choice.branches]
    fits = all(call.in_place == index or call.overlap.get(index, 1) <= 0 for call in calls)
    same = graph.tensors[node.inputs[index]].nbytes == graph.tensors[node.outputs[0]].nbytes
    constant = graph.is_constant(node.inputs[index])
    return node.inputs[index] if fits and same and not constant and len(node.outputs) == 1 else None


def programmed_steps(
    graph: Graph, choices: Sequence[Choice], roots: Mapping[str, str], insets: Mapping[str, int]
) -> list[Step]:
    """The steps of the program, one a kernel call, or one for all calls of a node that runs row by row."""
    steps: list[Step] = []
    for choice in choices:
        for part in range(len(choice.lowering.calls)):
            steps.append(_step(graph, choice, part, roots, insets, len(steps)))
    return steps


def _step(
    graph: Graph, choice: Choice, part: int, roots: Mapping[str, str], insets: Mapping[str, int], index: int
) -> Step:
    node, call, parts = choice.node, choice.lowering.calls[part], len(choice.lowering.calls)
    branches = tuple(Branch(condition, lowering.calls[part]) for condition, lowering in choice.branches)
    needed = max(branch.call.scratch for branch in branches)
    if call.reads is None:
        reads = [name for name in node.inputs if not graph.is_constant(name)]
    else:
        reads = [node.inputs[i] for i in call.reads]
    macs = operator(node.op).cost(node, graph).macs // parts
    inputs = tuple(_operand(graph.tensors[n], roots, insets, o) for n, o in _with_offsets(reads, call.input_offsets))
    outputs = tuple(
        _operand(graph.tensors[n], roots, insets, o) for n, o in _with_offsets(node.outputs, call.output_offsets)
    )
    scratch = Operand(f"{SCRATCH}{index}", f"{SCRATCH}{index}", 0, needed, "int8", (needed,)) if needed else None
    comment = _comment(graph, choice, index, macs, call)
    return Step(
        node.name, node.op, call, branches, inputs, outputs, scratch, comment, macs, node.origin, choice.repeats
    )


def _with_offsets(names: Sequence[str], offsets: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(name, offsets[i] if i < len(offsets) else 0) for i, name in enumerate(names)]


def _operand(tensor: Tensor, roots: Mapping[str, str], insets: Mapping[str, int], offset: int = 0) -> Operand:
    buffer = CONSTANT if tensor.data is not None else roots.get(tensor.name, tensor.name)
    return Operand(tensor.name, buffer, insets.get(buffer, 0) + offset, tensor.nbytes, tensor.dtype, tensor.shape)


def _comment(graph: Graph, choice: Choice, index: int, macs: int, call: KernelCall) -> str:
    node = choice.node
    shapes = [list(graph.tensors[n].shape) for n in (node.inputs[0], node.outputs[0])]
    origin = "+".join(dict.fromkeys(node.origin)) or node.name
    work = f", {macs} MACs" if macs else ""
    stored = stored_format(node, graph)
    weights = f", {stored} weights" if stored else ""
    rows = f", {choice.rows} of {shapes[1][1]} rows a call" if choice.rows else ""
    text = f"{index}: {origin} ({node.op}, {call.variant}{weights}) {shapes[0]} -> {shapes[1]}{work}{rows}"
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("*/", "* /").replace("/*", "/ *")


def _buffers(
    graph: Graph,
    steps: Sequence[Step],
    roots: Mapping[str, str],
    target: Target,
    insets: Mapping[str, int],
    extents: Mapping[str, int],
    spans: Sequence[Span],
) -> tuple[list[memory.Buffer], list[memory.Overlap]]:
    """The arena's buffers with their lives, and the overlaps that the kernels allow."""
    first: dict[str, int] = {roots.get(name, name): -1 for name in graph.inputs}
    last: dict[str, int] = dict(first)
    size = {name: graph.tensors[name].nbytes for name in first}
    tail: dict[str, int] = {}
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
        if step.scratch is not None:
            first[step.scratch.buffer] = last[step.scratch.buffer] = index
            size[step.scratch.buffer] = step.scratch.size
    for name in graph.outputs:
        last[roots.get(name, name)] = len(steps)  # read after the run: the last step may not write over it
    windows = {roots.get(n, n) for span in spans for n, t in span.region.schedule.tensors.items() if not t.whole}
    for name, extent in extents.items():
        size[name] = extent if name in windows else max(extent, insets.get(name, 0) + size[name])
    staying = extend_lives(spans, roots, first, last)
    if any(span.region.pushed for span in spans):
        first[ROW_STATE], last[ROW_STATE], size[ROW_STATE] = -1, len(steps), ROW_STATE_BYTES
    align = target.alignment
    buffers = [
        memory.Buffer(n, max(1, size[n]), first[n], max(last[n], first[n]), align, tail.get(n, 0)) for n in first
    ]
    return buffers, _overlaps(steps, first, last, staying)


def _overlaps(
    steps: Sequence[Step], first: Mapping[str, int], last: Mapping[str, int], staying: Mapping[int, frozenset[str]]
) -> list[memory.Overlap]:
    """The distances that hold for every core's kernel, where the input dies in the step that writes the output.

    `staying`: buffers of a step in a region of rows that outlive each of its calls.
    """
    rules: list[memory.Overlap] = []
    for index, step in enumerate(steps):
        writer = step.outputs[0].buffer
        for reader in dict.fromkeys(operand.buffer for operand in step.inputs):
            if not staying.get(index, frozenset()).isdisjoint((reader, writer)):
                continue
            meets = reader not in (writer, CONSTANT) and last.get(reader) == index and first.get(writer) == index
            distance = _distance(step, reader) if meets and len(step.outputs) == 1 else None
            if distance is not None:
                rules.append(memory.Overlap(writer, reader, distance))
    return rules


def _distance(step: Step, reader: str) -> int | None:
    """What keeps the output's buffer from all that the step reads in another one; None where that is not known."""
    distances: list[int] = []
    for i, operand in enumerate(step.inputs):
        for branch in step.branches if operand.buffer == reader else ():
            distance = branch.call.overlap.get(i)
            if distance is None:
                return None
            # a distance is between the operands, which may begin inside their buffers
            distances.append(distance + step.outputs[0].offset - operand.offset)
    return max(distances)


def ports(graph: Graph, names: Sequence[str], layout: Layout) -> tuple[Port, ...]:
    """The model's inputs or outputs with their C names."""
    return tuple(_port(graph.tensors[name], layout) for name in names)


def _port(tensor: Tensor, layout: Layout) -> Port:
    assert tensor.quant is not None
    identifier = re.sub(r"\W+", "_", tensor.name, flags=re.ASCII).strip("_").lower() or "tensor"
    operand = _operand(tensor, layout.roots, layout.insets)
    scale, zero_point = float(tensor.quant.scale), int(tensor.quant.zero_point)
    dynamic = isinstance(tensor.quant, DynamicQuantParams)
    return Port(tensor.name, identifier, operand, scale, zero_point, dynamic)

"""From chosen kernels to buffers, lives and offsets: which tensors share bytes as views or in place, and where all lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd

from mcugen.graph import DynamicQuantParams, Graph, Node, Tensor
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
from mcugen.plan.sharing import KEPT, Sharing, Tie, share, shared_input
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
    sharing: Sharing = field(default_factory=Sharing)

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
    sharing = share(graph, choices, apart=apart, align=target.alignment)
    roots = dict(sharing.roots)
    for region in regions:
        for name, home in region.homes.items():
            roots[name] = roots.get(home, home)
    insets, extents = region_extents(regions, roots, target.alignment)
    script = programmed_steps(graph, choices, roots, insets, sharing)
    buffers, overlaps = _buffers(graph, script, roots, target, insets, extents, _spans(regions, script), sharing.ties)
    aliases = [memory.Alias(tie.child, tie.parent, tie.offset) for tie in sharing.ties]
    aliases += [memory.Alias(kept.operand.buffer, kept.parent, kept.offset) for kept in script.kept]
    plan = plan_offsets(buffers, overlaps, aliases, time_limit=SEARCH_SECONDS)
    check_plan(buffers, overlaps, aliases, plan.offsets, peak=plan.peak)
    return Layout(roots, insets, tuple(buffers), plan, script.positions, apart, regions, sharing)


def programmed_regions(layout: Layout, script: Script) -> tuple[RowRegion, ...]:
    """The parts of the program that run row by row."""
    spans = _spans(layout.regions, script)
    return tuple(program_region(span, layout.roots, layout.insets) for span in spans)


def _spans(regions: Sequence[Region], script: Script) -> list[Span]:
    """The regions with the numbers of their steps."""
    starts = script.starts
    return [Span(region, starts[region.first], starts[region.last + 1] - 1) for region in regions]


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
        if merged and not choice.lowering.view and shared_input(graph, choice) is not None:
            found.append((min((abs(step - other) for other in full), default=0), choice.node.name))
    return [name for _, name in sorted(found)[:TRIALS]]


@dataclass(frozen=True)
class Kept:
    """What of a buffer lives on to the next run: an operand in a buffer of its own, which lies in `parent` at `offset`."""

    operand: Operand
    initial: int
    parent: str
    offset: int


@dataclass(frozen=True)
class Script:
    """The steps of a program, and for each the position of its choice.

    `starts`: for each choice the step that is next when its turn comes, and how many there are; `kept`: what lives on.
    """

    steps: tuple[Step, ...]
    positions: tuple[int, ...]
    starts: tuple[int, ...]
    kept: tuple[Kept, ...]


def programmed_steps(
    graph: Graph, choices: Sequence[Choice], roots: Mapping[str, str], insets: Mapping[str, int], sharing: Sharing
) -> Script:
    """The steps of the program, one a kernel call that has anything to do, or one for all calls of a node that runs row by row."""
    steps: list[Step] = []
    positions: list[int] = []
    starts: list[int] = []
    kept: list[Kept] = []
    moves: dict[int, list[Choice]] = {}
    for i, choice in enumerate(choices):
        starts.append(len(steps))
        for part in range(len(choice.lowering.calls)):
            if not sharing.is_tied(i, part):
                steps.append(_step(graph, choice, part, roots, insets, len(steps)))
        if choice.lowering.keep is not None:
            names = sharing.within(choice.node.outputs[0], choices)
            last = max((k for k, other in enumerate(choices) if names.intersection(other.node.inputs)), default=i)
            moves.setdefault(max(last, i), []).append(choice)
        for keeper in moves.get(i, ()):
            step, state = _keeping_step(graph, keeper, len(steps))
            steps.append(step)
            kept.append(state)
        positions += [i] * (len(steps) - len(positions))
    return Script(tuple(steps), tuple(positions), (*starts, len(steps)), tuple(kept))


def _keeping_step(graph: Graph, choice: Choice, index: int) -> tuple[Step, Kept]:
    """The move of what lives on, behind the last step that reads the output."""
    node, keep = choice.node, choice.lowering.keep
    assert keep is not None
    if node.outputs[0] in graph.outputs:
        raise memory.PlanError(f"output '{node.outputs[0]}' moves on before it is read: copy it")
    whole = graph.tensors[node.outputs[0]]
    kept = Operand(whole.name + KEPT, whole.name + KEPT, 0, keep.size, whole.dtype, (keep.size,))
    source = Operand(whole.name, whole.name, keep.call.input_offsets[0], whole.nbytes, whole.dtype, whole.shape)
    comment = _comment_text(f"{index}: {_origin(node)} ({node.op}) keeps {keep.size} bytes for the next run")
    branches = (Branch("", keep.call),)
    step = Step(node.name, node.op, keep.call, branches, (source,), (kept,), None, comment, 0, node.origin)
    return step, Kept(kept, keep.initial, whole.name, keep.offset)


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
    work = f", {macs} MACs" if macs else ""
    stored = stored_format(node, graph)
    weights = f", {stored} weights" if stored else ""
    rows = f", {choice.rows} of {shapes[1][1]} rows a call" if choice.rows else ""
    kernel = f"{node.op}, {call.variant}{weights}"
    return _comment_text(f"{index}: {_origin(node)} ({kernel}) {shapes[0]} -> {shapes[1]}{work}{rows}")


def _origin(node: Node) -> str:
    return "+".join(dict.fromkeys(node.origin)) or node.name


def _comment_text(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("*/", "* /").replace("/*", "/ *")


def _buffers(
    graph: Graph,
    script: Script,
    roots: Mapping[str, str],
    target: Target,
    insets: Mapping[str, int],
    extents: Mapping[str, int],
    spans: Sequence[Span],
    ties: Sequence[Tie],
) -> tuple[list[memory.Buffer], list[memory.Overlap]]:
    """The arena's buffers with their lives, and the overlaps that the kernels allow."""
    steps = script.steps
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
    needed = _tie_lives(graph, script, ties, first, last, size)
    for name in graph.outputs:
        last[roots.get(name, name)] = len(steps)  # read after the run: the last step may not write over it
    windows = {roots.get(n, n) for span in spans for n, t in span.region.schedule.tensors.items() if not t.whole}
    for name, extent in extents.items():
        size[name] = extent if name in windows else max(extent, insets.get(name, 0) + size[name])
    staying = {step: names | needed.get(step, set()) for step, names in extend_lives(spans, roots, first, last).items()}
    staying = {step: frozenset(names) for step, names in needed.items()} | staying
    for kept in script.kept:
        first[kept.operand.buffer], last[kept.operand.buffer] = -1, len(steps)
    if any(span.region.pushed for span in spans):
        first[ROW_STATE], last[ROW_STATE], size[ROW_STATE] = -1, len(steps), ROW_STATE_BYTES
    align = dict.fromkeys(first, target.alignment)
    align |= {kept.operand.buffer: gcd(kept.offset, target.alignment) for kept in script.kept}
    buffers = [
        memory.Buffer(n, max(1, size[n]), first[n], max(last[n], first[n]), align[n], tail.get(n, 0)) for n in first
    ]
    return buffers, _overlaps(steps, first, last, staying)


def _tie_lives(
    graph: Graph, script: Script, ties: Sequence[Tie], first: dict[str, int], last: dict[str, int], size: dict[str, int]
) -> dict[int, set[str]]:
    """Let the lives of a part and its whole touch; by step the buffers that are read on behind it, as another."""
    needed: dict[int, set[str]] = {}
    for tie in ties:
        start = script.starts[tie.position]
        early, late = (tie.parent, tie.child) if tie.slices else (tie.child, tie.parent)
        last[early] = max(last.get(early, -1), start - 1)
        needed.setdefault(start - 1, set()).add(early)
        size.setdefault(late, graph.tensors[late].nbytes)
        # a whole that is put together of its parts is there before the first of its slices
        first[late] = min(first.get(late, start), start if tie.slices else start - 1)
        last[late] = max(last.get(late, start), start)
    return needed


def _overlaps(
    steps: Sequence[Step], first: Mapping[str, int], last: Mapping[str, int], staying: Mapping[int, frozenset[str]]
) -> list[memory.Overlap]:
    """The distances that hold for every core's kernel, where the input dies in the step that writes the output.

    `staying`: by step the buffers that are needed behind it, or behind each of its calls in a region of rows.
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

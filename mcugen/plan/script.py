"""The steps of a program: the kernel calls of the chosen lowerings in order, with their operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops import operator
from mcugen.ops.packed_weights import stored_format
from mcugen.plan import model as memory
from mcugen.plan.select import Choice
from mcugen.plan.sharing import KEPT, Sharing
from mcugen.program import Branch, KernelCall, Operand, Step, comment_text

CONSTANT = "@constant"
"""Where constants lie: in no buffer."""
SCRATCH = "@scratch"


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
    comment = comment_text(f"{index}: {_origin(node)} ({node.op}) keeps {keep.size} bytes for the next run")
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
    inputs = tuple(operand_of(graph.tensors[n], roots, insets, o) for n, o in _with_offsets(reads, call.input_offsets))
    outputs = tuple(
        operand_of(graph.tensors[n], roots, insets, o) for n, o in _with_offsets(node.outputs, call.output_offsets)
    )
    scratch = Operand(f"{SCRATCH}{index}", f"{SCRATCH}{index}", 0, needed, "int8", (needed,)) if needed else None
    comment = _comment(graph, choice, index, macs, call)
    return Step(
        node.name, node.op, call, branches, inputs, outputs, scratch, comment, macs, node.origin, choice.repeats
    )


def _with_offsets(names: Sequence[str], offsets: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(name, offsets[i] if i < len(offsets) else 0) for i, name in enumerate(names)]


def operand_of(tensor: Tensor, roots: Mapping[str, str], insets: Mapping[str, int], offset: int = 0) -> Operand:
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
    return comment_text(f"{index}: {_origin(node)} ({kernel}) {shapes[0]} -> {shapes[1]}{work}{rows}")


def _origin(node: Node) -> str:
    return "+".join(dict.fromkeys(node.origin)) or node.name

"""The arena's buffers: what lives from when to when, and which may overlap by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd

from mcugen.graph import Graph
from mcugen.plan import model as memory
from mcugen.plan.region_buffers import ROW_STATE, ROW_STATE_BYTES, Span, extend_lives
from mcugen.plan.script import CONSTANT, Script
from mcugen.plan.sharing import Tie
from mcugen.program import Step
from mcugen.targets import Target


def arena_buffers(
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

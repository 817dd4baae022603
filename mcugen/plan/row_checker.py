"""Proof of a region that runs row by row: its operations are carried out on names of bytes instead of bytes.

Shares no code with the planner: what a call must find at its operands follows from the graph alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.plan.model import PlanError
from mcugen.plan.row_blocks import row_window
from mcugen.program import Operand, Place, Program, RowOp, RowRegion, Step

Names = npt.NDArray[np.int64]
UNKNOWN, PADDING = -1, -2
TENSOR = 1 << 40
"""Byte `b` of tensor number `t` is called `t * TENSOR + b`."""


def check_region(program: Program, graph: Graph, region: RowRegion) -> None:
    """Raise PlanError unless every call finds the rows it wants, each row is made once, and nothing else is touched."""
    check = _Replay(program, graph, region)
    for index in region.events:
        check.run(region.ops[index])
    check.finish()


class _Replay:
    """The arena as names of what lies in it."""

    def __init__(self, program: Program, graph: Graph, region: RowRegion) -> None:
        self.program, self.graph, self.region = program, graph, region
        self.nodes: Mapping[str, Node] = {node.name: node for node in graph.nodes}
        self.offsets = {buffer.name: buffer.offset for buffer in program.buffers}
        self.arena: Names = np.full(program.arena_size, UNKNOWN, np.int64)
        self.numbers = {name: i + 1 for i, name in enumerate(graph.activations())}
        self.rows_done = dict.fromkeys(range(region.first, region.last + 1), 0)
        self.rows_in = 0
        steps = program.steps[region.first : region.last + 1]
        made = {operand.tensor for step in steps for operand in step.outputs}
        self.kept = [operand for step in steps for operand in step.outputs]
        self.given = {o.tensor: o for step in steps for o in step.inputs if o.tensor not in made | {region.input}}
        for operand in self.given.values():
            self.arena[self._span(operand)] = self._names(operand.tensor, 0, operand.size)
        self.bystanders = self._bystanders(
            {operand.buffer for step in steps for operand in (*step.inputs, *step.outputs)}
        )
        for number, span in enumerate(self.bystanders):
            self.arena[span] = -3 - number

    def _bystanders(self, own: set[str]) -> list[slice]:
        """What others keep in the arena meanwhile."""
        return [
            slice(b.offset, b.offset + b.size)
            for b in self.program.buffers
            if b.name not in own and b.first < self.region.first and b.last > self.region.last
        ]

    def _read_later(self, tensor: str) -> bool:
        inside = {step.name for step in self.program.steps[self.region.first : self.region.last + 1]}
        return tensor in self.graph.outputs or any(node.name not in inside for node in self.graph.readers(tensor))

    def _span(self, operand: Operand) -> slice:
        start = self.offsets[operand.buffer] + operand.offset
        return slice(start, start + operand.size)

    def _names(self, tensor: str, row: int, size: int) -> Names:
        """The names of `size` bytes from the start of a row; beside the image: padding."""
        shape = self.graph.tensors[tensor]
        row_size = shape.nbytes // shape.shape[1]
        names = row * row_size + np.arange(size, dtype=np.int64)
        return np.where((names >= 0) & (names < shape.nbytes), self.numbers[tensor] * TENSOR + names, PADDING)

    def _at(self, place: Place) -> int:
        return self.offsets[place.buffer] + place.offset

    def run(self, op: RowOp) -> None:
        to = self._at(op.write)
        if to < 0 or to + op.size > self.program.arena_size:
            raise PlanError(f"rows: {op} leaves the arena")
        if op.kind == "call":
            self._call(op, self.program.steps[op.step])
        elif op.kind == "move":
            start = self._at(op.reads[0])
            if to > start:
                raise PlanError(f"rows: {op} moves bytes up")
            self.arena[to : to + op.size] = self.arena[start : start + op.size].copy()
        elif op.kind == "fill":
            self.arena[to : to + op.size] = PADDING
        else:
            assert self.region.input is not None
            tensor = self.graph.tensors[self.region.input]
            size = tensor.nbytes // tensor.shape[1]
            self.arena[to : to + size] = self._names(tensor.name, self.rows_in, size)
            self.rows_in += 1

    def _call(self, op: RowOp, step: Step) -> None:
        """A call's inputs are the rows below those of its last call; then scratch and output change."""
        node = self.nodes[step.name]
        window = row_window(node, self.graph)
        out = self.graph.tensors[node.outputs[0]]
        rows = op.size * out.shape[1] // out.nbytes
        done = self.rows_done[op.step]
        self.rows_done[op.step] += rows
        assert window is not None
        spans = [(self._at(op.write), op.size, "output")]
        if step.scratch is not None:
            spans.append((self.offsets[step.scratch.buffer], step.scratch.size, "scratch"))
        for k, (operand, place) in enumerate(zip(step.inputs, op.reads, strict=True)):
            tensor = self.graph.tensors[operand.tensor]
            size = ((rows - 1) * window.stride + window.kernel) * (tensor.nbytes // tensor.shape[1])
            start = self._at(place)
            wanted = self._names(operand.tensor, done * window.stride - window.pad_top, size)
            if not np.array_equal(self.arena[start : start + size], wanted):
                raise PlanError(f"rows: {step.name!r} does not find its input '{operand.tensor}' for output row {done}")
            for low, length, what in spans:
                if (
                    low < start + size
                    and start < low + length
                    and not (what == "output" and _may_share(step, k, low, start))
                ):
                    raise PlanError(f"rows: the {what} of {step.name!r} lies on its input '{operand.tensor}'")
        for low, length, _ in spans[1:]:
            self.arena[low : low + length] = UNKNOWN
        self.arena[spans[0][0] : spans[0][0] + op.size] = self._names(out.name, done, op.size)

    def finish(self) -> None:
        """All rows were made, and what is read later is whole."""
        for step, done in self.rows_done.items():
            height = self.program.steps[step].outputs[0].shape[1]
            if done != height:
                raise PlanError(f"rows: step {step} made {done} of {height} rows")
        later = {o.tensor: o for o in (*self.kept, *self.given.values()) if self._read_later(o.tensor)}
        for operand in later.values():
            if not np.array_equal(self.arena[self._span(operand)], self._names(operand.tensor, 0, operand.size)):
                raise PlanError(f"rows: '{operand.tensor}' is not whole after its region")
        for number, span in enumerate(self.bystanders):
            if (self.arena[span] != -3 - number).any():
                raise PlanError(f"rows: bytes {span.start}..{span.stop} belong to others")


def _may_share(step: Step, k: int, out: int, start: int) -> bool:
    """Whether every core's kernel allows its output to begin there."""
    calls = [branch.call for branch in step.branches]
    if out == start and all(call.in_place == k or call.overlap.get(k, 1) <= 0 for call in calls):
        return True
    return all(k in call.overlap and out + call.overlap[k] <= start for call in calls)

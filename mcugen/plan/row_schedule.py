"""Row by row: in which order the nodes of a region make their rows, and how many rows of each tensor that keeps alive.

A region is simulated row for row.  The deepest node whose input rows are there runs; where none can, the next row arrives
that the last node waits for.  No row is made twice; every tensor needs as many rows at a time as the simulation held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mcugen.ops.operator import RowWindow
from mcugen.plan.model import PlanError

Kind = Literal["call", "pad", "row"]


@dataclass(frozen=True)
class RowNode:
    """A node that makes `rows` rows of its output at a time."""

    name: str
    inputs: tuple[str, ...]
    output: str
    window: RowWindow
    rows: int = 1

    def first_row(self, done: int) -> int:
        """The first input row that the call needs which makes output row `done`."""
        return done * self.window.stride - self.window.pad_top

    def end_row(self, done: int) -> int:
        """One past the last input row of that call."""
        return self.first_row(done + self.rows - 1) + self.window.kernel


@dataclass(frozen=True)
class RowTensor:
    """An image that a region reads or writes; rows -pad_top .. height + pad_bottom exist for its readers.

    `given`: whole before the region begins.  `pushed`: its rows come from outside one by one.  `kept`: read after the region,
    so that all its rows stay.
    """

    name: str
    height: int
    row_bytes: int
    given: bool = False
    pushed: bool = False
    kept: bool = False
    pad_top: int = 0
    pad_bottom: int = 0
    pad_value: int = 0

    @property
    def whole(self) -> bool:
        """All rows are there at once, in their places."""
        return self.kept or (self.given and not self.pushed)


@dataclass(frozen=True)
class Event:
    """What happens next: a call of node number `node` that makes row `row` and following of `tensor`, a row of padding that
    `tensor` gets, or one that arrives from outside.  `low` is the first row of `tensor` that somebody still needs."""

    kind: Kind
    tensor: str
    row: int
    low: int
    node: int = -1


@dataclass(frozen=True)
class RowSchedule:
    """A region's events in order, and what they need."""

    nodes: tuple[RowNode, ...]
    tensors: Mapping[str, RowTensor]
    events: tuple[Event, ...]

    @cached_property
    def capacities(self) -> dict[str, int]:
        """How many rows of each tensor are held at once."""
        rows = {name: t.pad_top for name, t in self.tensors.items()}
        for event in self.events:
            end = event.row + (self.nodes[event.node].rows if event.kind == "call" else 1)
            rows[event.tensor] = max(rows[event.tensor], end - event.low)
        whole = {n: t.pad_top + t.height + t.pad_bottom for n, t in self.tensors.items() if t.whole}
        return rows | whole

    @cached_property
    def passing(self) -> frozenset[str]:
        """Tensors made by one call and used up by the nodes that follow, before any other node runs."""
        made = {node.output: i for i, node in enumerate(self.nodes)}
        found = {
            name
            for name, i in made.items()
            if not self.tensors[name].whole and self.capacities[name] == self.nodes[i].rows
        }
        last = {name: self.last_reader(name) for name in found}
        left: dict[str, int] = {}
        done = [0] * len(self.nodes)
        for event in self.events:
            for name in list(left):
                if event.kind != "call" or not made[name] < event.node <= last[name]:
                    found.discard(name)
                    del left[name]
            if event.kind != "call":
                found.discard(event.tensor)
                continue
            node = self.nodes[event.node]
            done[event.node] += node.rows
            if node.output in found:
                left[node.output] = event.row + node.rows
            for name in node.inputs:
                if name in left and _low(name, left[name], self._readers[name], done, self._heights) >= left[name]:
                    del left[name]
        return frozenset(found)

    def last_reader(self, name: str) -> int:
        """The number of the last node that reads a tensor."""
        return max(i for i, _ in self._readers[name])

    @cached_property
    def spare(self) -> dict[tuple[int, str], int]:
        """For a node and its input, the bytes from the first row that a call reads on that nobody needs after it."""
        spare: dict[tuple[int, str], int] = {}
        done = [0] * len(self.nodes)
        end: dict[str, int] = dict.fromkeys(self.tensors, 0)
        for event in self.events:
            if event.kind != "call":
                end[event.tensor] = event.row + 1
                continue
            node = self.nodes[event.node]
            first = node.first_row(done[event.node])
            done[event.node] += node.rows
            end[node.output] = done[event.node]
            for name in node.inputs:
                stop = max(end[name], node.end_row(event.row))
                low = _low(name, stop, self._readers[name], done, self._heights)
                free = (min(low, node.end_row(event.row)) - first) * self.tensors[name].row_bytes
                spare[event.node, name] = min(free, spare.get((event.node, name), free))
        return spare

    @cached_property
    def _readers(self) -> dict[str, list[tuple[int, RowNode]]]:
        return _readers(self.nodes, self.tensors)

    @cached_property
    def _heights(self) -> list[int]:
        return [self.tensors[node.output].height for node in self.nodes]


def schedule_rows(nodes: Sequence[RowNode], tensors: Iterable[RowTensor]) -> RowSchedule:
    """Simulate a region; `nodes` in execution order."""
    by_name = {tensor.name: tensor for tensor in tensors}
    walk = _Walk(nodes, by_name)
    while not walk.finished:
        walk.step()
    return RowSchedule(tuple(nodes), by_name, tuple(walk.events))


class _Walk:
    """The state of the simulation: rows done by each node, rows there of each tensor."""

    def __init__(self, nodes: Sequence[RowNode], tensors: Mapping[str, RowTensor]) -> None:
        self.nodes, self.tensors = nodes, tensors
        self.done = [0] * len(nodes)
        self.heights = [tensors[node.output].height for node in nodes]
        self.end = dict.fromkeys(tensors, 0)
        self.readers = _readers(nodes, tensors)
        self.producer = {node.output: i for i, node in enumerate(nodes)}
        self.events: list[Event] = []

    @property
    def finished(self) -> bool:
        rows_left = any(done < height for done, height in zip(self.done, self.heights, strict=True))
        return not rows_left and all(self.end[n] >= t.height for n, t in self.tensors.items() if t.pushed)

    def step(self) -> None:
        """The deepest call that can run; else padding; else the row that the last unfinished node waits for."""
        for i in range(len(self.nodes) - 1, -1, -1):
            if self.done[i] < self.heights[i] and self._missing(i) is None:
                self._call(i)
                return
        for name, tensor in self.tensors.items():
            if tensor.height <= self.end[name] < tensor.height + tensor.pad_bottom and name in self.producer:
                self._arrive("pad", name)
                return
        self._arrive("row", self._wanted())

    def _missing(self, i: int) -> str | None:
        """The first input that lacks rows for the next call of a node."""
        needed = self.nodes[i].end_row(self.done[i])
        for name in self.nodes[i].inputs:
            if self.end[name] < needed:
                return name
        return None

    def _call(self, i: int) -> None:
        node = self.nodes[i]
        self.done[i] += node.rows
        self._write("call", node.output, node.rows, i)

    def _arrive(self, kind: Kind, name: str) -> None:
        tensor = self.tensors[name]
        if tensor.height <= self.end[name]:
            kind = "pad"
        if tensor.whole:
            self.end[name] += 1  # it is there: its readers only take it at the pace of the others
        else:
            self._write(kind, name, 1, -1)

    def _write(self, kind: Kind, name: str, rows: int, node: int) -> None:
        row = self.end[name]
        low = _low(name, row, self.readers[name], self.done, self.heights)
        self.end[name] = row + rows
        self.events.append(Event(kind, name, row, low, node))

    def _wanted(self) -> str:
        """The tensor from outside whose next row is waited for."""
        unfinished = [i for i, height in enumerate(self.heights) if self.done[i] < height]
        if not unfinished:
            return next(n for n, t in self.tensors.items() if t.pushed and self.end[n] < t.height)
        i = unfinished[-1]
        while True:
            name = self._missing(i)
            if name is None:
                raise PlanError(f"rows: node {self.nodes[i].name!r} is ready and did not run")
            if name not in self.producer:
                return name
            i = self.producer[name]


def _readers(nodes: Sequence[RowNode], tensors: Mapping[str, RowTensor]) -> dict[str, list[tuple[int, RowNode]]]:
    return {name: [(i, node) for i, node in enumerate(nodes) if name in node.inputs] for name in tensors}


def _low(
    name: str, end: int, readers: Sequence[tuple[int, RowNode]], done: Sequence[int], heights: Sequence[int]
) -> int:
    """The first row that a reader still needs, at most `end`."""
    needs = [node.first_row(done[i]) for i, node in readers if done[i] < heights[i]]
    return min([end, *needs])

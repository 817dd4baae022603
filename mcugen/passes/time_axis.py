"""The axis of time through a graph over a window: which rows of an activation a run has to compute.

Every activation along time has `rows` rows in the window; the first `before` and the last `after` depend on the padding at
the window's ends, and the rows between are those of the next window, `new` rows earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

from mcugen.graph import DynamicQuantParams, Graph
from mcugen.passes.time_rows import Reach, reach_of

Rows = tuple[int, int]


@dataclass(frozen=True)
class Timed:
    """An activation along time: `new` rows come with a run; 0: all rows are computed in each run."""

    axis: int
    rows: int
    before: int = 0
    after: int = 0
    new: int = 0

    @property
    def parts(self) -> dict[str, Rows]:
        """The rows that are computed in each run, as [first, last) of the window."""
        if not self.new:
            return {"all": (0, self.rows)}
        end = self.rows - self.after
        parts = {"before": (0, self.before), "new": (end - self.new, end), "after": (end, self.rows)}
        return {name: rows for name, rows in parts.items() if rows[0] < rows[1]}

    @property
    def at_ends(self) -> bool:
        return bool(self.before or self.after or not self.new)


@dataclass(frozen=True)
class TimedGraph:
    """What along time is known of a window's graph before it is rewritten."""

    frames: int
    causal: bool
    tensors: Mapping[str, Timed]
    reaches: Mapping[str, Reach]
    """Of each node along time, by its name."""


def follow(graph: Graph, axes: Mapping[str, int], *, causal: bool) -> TimedGraph:
    """The axis of time through the graph; frames a run grow until every stride divides the rows that come."""
    frames = 1
    while True:
        timed, missing = _follow(graph, axes, frames, causal)
        if missing == 1:
            return timed
        frames *= missing


def _follow(graph: Graph, axes: Mapping[str, int], frames: int, causal: bool) -> tuple[TimedGraph, int]:
    """With a number of frames a run; and the factor by which that is too small."""
    tensors = {name: Timed(axis, graph.tensors[name].shape[axis], new=frames) for name, axis in axes.items()}
    reaches: dict[str, Reach] = {}
    for node in graph.nodes:
        names = [name for name in node.inputs if not graph.is_constant(name)]
        if not names or not all(name in tensors for name in names):
            continue
        if any(isinstance(graph.tensors[name].quant, DynamicQuantParams) for name in node.outputs):
            continue
        reach = reach_of(node, graph, [tensors[name].axis for name in names])
        if reach is None or graph.tensors[node.outputs[0]].shape[reach.axis] < 1:
            continue
        rows = graph.tensors[node.outputs[0]].shape[reach.axis]
        result, missing = _output_rows([tensors[name] for name in names], reach, rows, causal)
        if missing > 1:
            return TimedGraph(frames, causal, tensors, reaches), missing
        tensors[node.outputs[0]], reaches[node.name] = result, reach
    return TimedGraph(frames, causal, tensors, reaches), 1


def _output_rows(inputs: list[Timed], reach: Reach, rows: int, causal: bool) -> tuple[Timed, int]:
    """The output's rows, and the factor that its stride misses in the number of frames."""
    whole = Timed(reach.axis, rows)
    new = inputs[0].new
    if not new or any(one.new != new for one in inputs):
        return whole, 1
    before = after = 0
    if not causal:
        before = max(-((one.before + reach.before) // -reach.stride) for one in inputs)
        last = min((one.rows - one.after - reach.span + reach.before) // reach.stride for one in inputs)
        before, after = max(before, 0), max(rows - 1 - last, 0)
        # the rows at an end read a row of the input at the least
        while 0 < before < rows and (before - 1) * reach.stride - reach.before + reach.span <= 0:
            before += 1
        while 0 < after < rows and (rows - after) * reach.stride - reach.before >= min(one.rows for one in inputs):
            after += 1
    kept = rows - before - after - max(1, new // reach.stride)
    if kept < 0 if causal and rows > 1 else kept <= 0:
        return whole, 1
    if new % reach.stride:
        return whole, reach.stride // gcd(new, reach.stride)
    return Timed(reach.axis, rows, before, after, new // reach.stride), 1

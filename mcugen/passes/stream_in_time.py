"""From a graph over a window of time to one that takes the window's newest frames and computes only what is new.

A run computes the newest rows of an activation (time_axis.py), keeps the older ones (operator `history`), and computes the
rows at the window's ends anew where somebody reads them.
What mixes all times (a global pool, a dense layer) runs on the whole window, put together of these parts.  Convolutions
that keep what they share between calls are known from WaveNet (Paine et al., Fast Wavenet, arXiv:1611.09482) and from
keyword spotting (Rybakov et al., arXiv:2005.06720).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, Node
from mcugen.passes.time_axis import Rows, TimedGraph, follow
from mcugen.passes.time_rows import Array, Perm, Piece, layout, piece_node, rows_shape

MOVEMENTS = ("reshape", "transpose", "slice")


@dataclass(frozen=True)
class Streamed:
    """The rewritten graph, whose inputs along time take `frames` rows.

    `rows[node] = (rows computed in a run, rows in the window)`; `newest[output] = (axis, first, last)` where an output
    shows only these rows of the window's, time first.
    """

    graph: Graph
    frames: int
    rows: Mapping[str, Rows] = field(default_factory=dict)
    newest: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


def stream_in_time(graph: Graph, axes: Mapping[str, int], *, causal: bool = False) -> Streamed:
    """`y = model(window)` -> `y = model'(new frames, what is kept of earlier ones)`; integer graphs; `axes` by input.

    With `causal` all padding along time is before the first frame of all, and no window has ends of its own.  Inputs along
    time come as frames: the axis of time first.  Raises UnsupportedModel where no layer could keep anything.
    """
    timed = follow(graph, axes, causal=causal)
    layers = (node for node in _along(graph, timed) if node.op not in MOVEMENTS)
    if not any(timed.tensors[node.outputs[0]].new for node in layers):
        raise _nothing_kept(graph, axes, timed)
    return _Rewriter(graph, timed).run()


def _along(graph: Graph, timed: TimedGraph) -> Iterator[Node]:
    return (node for node in graph.nodes if node.name in timed.reaches)


def _nothing_kept(graph: Graph, axes: Mapping[str, int], timed: TimedGraph) -> UnsupportedModel:
    first = next((node for node in graph.nodes if not {*axes}.isdisjoint(node.inputs)), graph.nodes[0])
    named = ", ".join(
        f"axis {axis} of '{name}' ({graph.tensors[name].shape[axis]} frames)" for name, axis in axes.items()
    )
    return UnsupportedModel(
        f"{graph.name}: nothing can be streamed along {named}: no layer's rows stay the same from one window to the next; "
        f"the first layer is '{', '.join(first.origin) or first.name}' ({first.op})",
        hint="is it the axis of time? Layers that mix all times, or whose padding reaches everywhere, need the whole window",
    )


class _Rewriter:
    """Collects which rows of which tensor are read, then writes the nodes that compute them."""

    def __init__(self, graph: Graph, timed: TimedGraph) -> None:
        self.old, self.timed = graph, timed
        self.along = dict(timed.tensors)
        self.new = Graph(graph.name, [], {}, list(graph.inputs), list(graph.outputs))
        self.new.tensors = {name: tensor for name, tensor in graph.tensors.items() if tensor.data is not None}
        self.needs: dict[str, list[Rows]] = {}
        self.parts: dict[str, dict[str, str]] = {}
        self.history: dict[str, tuple[str, int]] = {}
        self.cut: dict[tuple[str, int, int], str] = {}

    def run(self) -> Streamed:
        self._collect()
        for name in self.old.inputs:
            tensor = self.old.tensors[name]
            if name in self.along:
                one = self.along[name]
                tensor = replace(tensor, shape=rows_shape(tensor.shape, one.axis, one.new))
                self.parts[name] = {"new": name}
            self.new.tensors[name] = tensor
        for name in self.old.inputs:
            self._remember(name)
        computed: dict[str, Rows] = {}
        for node in self.old.nodes:
            if node.name in self.timed.reaches:
                computed[node.name] = self._along_time(node)
            else:
                self._whole(node)
        newest = {}
        for name in self.old.outputs:
            if name in self.along:
                self._give(name)
                one = self.along[name]
                if not one.at_ends:
                    newest[name] = (one.axis, *one.parts["new"])
        self._detach_outputs()
        return Streamed(self.new.pruned().check(), self.timed.frames, computed, newest)

    def _collect(self) -> None:
        for name in self.old.outputs:
            if name in self.along:
                one = self.along[name]
                self._need(name, (0, one.rows) if one.at_ends else one.parts["new"])
        for node in reversed(self.old.nodes):
            names = [name for name in node.inputs if name in self.along]
            if node.name in self.timed.reaches:
                self._grow(node.outputs[0])
            for name in names:
                if node.name not in self.timed.reaches:
                    self._need(name, (0, self.along[name].rows))
                    continue
                for rows in self._wanted(node.outputs[0]).values():
                    piece = self._piece(node, rows, name)
                    self._need(name, (piece.low, piece.high))

    def _grow(self, name: str) -> None:
        """Let the rows at the beginning reach as far as they are read: computing a few more is cheaper than keeping them all.

        Rows there were new when the window began: to have them at hand, all rows since would have to be kept.
        """
        one, needs = self.along[name], self.needs.get(name, [])
        reach = max((high for low, high in needs if low < one.before), default=0)
        if one.new and one.before < reach < one.rows - one.after - one.new:
            self.along[name] = replace(one, before=reach)

    def _need(self, name: str, rows: Rows) -> None:
        if rows[0] < rows[1]:
            self.needs.setdefault(name, []).append(rows)

    def _wanted(self, name: str) -> dict[str, Rows]:
        """The parts that somebody reads; whoever reads older rows makes the new ones be computed."""
        one, needs = self.along[name], self.needs.get(name, [])
        parts = one.parts
        wanted = {"all"} if needs else set()
        wanted |= {"before"} if any(low < one.before for low, _ in needs) and not self.timed.causal else set()
        wanted |= {"after"} if any(high > one.rows - one.after for _, high in needs) else set()
        inner = (max(low, one.before) < min(high, one.rows - one.after) for low, high in needs)
        wanted |= {"new"} if self.timed.causal and needs else {"new"} if any(inner) else set()
        return {part: rows for part, rows in parts.items() if part in wanted}

    def _piece(self, node: Node, rows: Rows, name: str) -> Piece:
        """What the output's `rows` read of an input."""
        reach, one = self.timed.reaches[node.name], self.along[name]
        output = self.along[node.outputs[0]]
        before = reach.before + (reach.after if self.timed.causal and output.new else 0)
        low = rows[0] * reach.stride - before
        high = (rows[1] - 1) * reach.stride - before + reach.span
        if self.timed.causal and output.new:
            return Piece(*rows, low, high, (0, 0))
        # a slice has no padding, though it begins behind the first row or ends before the last
        return Piece(*rows, max(low, 0), min(high, one.rows), (max(-low, 0), max(high - one.rows, 0)))

    def _along_time(self, node: Node) -> Rows:
        """The pieces of a node that are read; how many rows they are, and how many the window has."""
        name = node.outputs[0]
        one, reach = self.along[name], self.timed.reaches[node.name]
        made = self.parts.setdefault(name, {})
        names = [i for i in node.inputs if i in self.along]
        for part, rows in self._wanted(name).items():
            pieces = {i: self._piece(node, rows, i) for i in names}
            read = {i: self._read(i, piece.low, piece.high) for i, piece in pieces.items()}
            piece = pieces[names[0]]
            op, attrs, constants = piece_node(self.old, node, self.along[names[0]].axis, reach, piece)
            changed = {old: self._constant(old, data) for old, data in constants.items()}
            inputs = tuple(read.get(i, changed.get(i, i)) for i in node.inputs)
            if op == "transpose" and attrs["perm"] == tuple(range(len(attrs["perm"]))):
                made[part] = inputs[0]
                continue
            shape = rows_shape(self.old.tensors[name].shape, one.axis, rows[1] - rows[0])
            read_as, written_as = self._layout(names[0]), self._layout(name)
            if op in MOVEMENTS[:2] or read_as == written_as:
                made[part] = self._emit(op, inputs, attrs, node, name, part, shape)
                continue
            order = tuple(read_as.index(i) for i in written_as)
            between = tuple(shape[order.index(i)] for i in range(len(order)))
            computed = self._emit(op, inputs, attrs, node, name, part, between)
            made[part] = self._emit("transpose", (computed,), {"perm": order}, node, name, part, shape)
        self._remember(name)
        return sum(rows[1] - rows[0] for rows in self._wanted(name).values()), one.rows

    def _layout(self, name: str) -> Perm:
        return layout(self.old.tensors[name].shape, self.along[name].axis)

    def _constant(self, name: str, data: Array) -> str:
        return self.new.add_constant(name, data, self.old.tensors[name].quant)

    def _emit(
        self, op: str, inputs: tuple[str, ...], attrs: Mapping[str, Any], like: Node, name: str, part: str, shape: Any
    ) -> str:
        """A node after the pattern of another, for a part of the tensor `name`; returns its output."""
        output = self._fresh(f"{name}.{part}")
        self.new.tensors[output] = replace(self.old.tensors[name], name=output, shape=tuple(shape))
        taken = {node.name for node in self.new.nodes}
        label = f"{like.name}.{part}"
        while label in taken:
            label += "_"
        self.new.nodes.append(replace(like, op=op, name=label, inputs=inputs, outputs=(output,), attrs=dict(attrs)))
        return output

    def _fresh(self, stem: str) -> str:
        """A name that neither graph has."""
        name = self.new.fresh(stem)
        return name if name not in self.old.tensors else self._fresh(stem + "_")

    def _remember(self, name: str) -> None:
        """Join the parts that somebody reads together, with the rows that are kept of earlier runs."""
        if name not in self.along:
            return
        one, made = self.along[name], self.parts[name]
        together = [rows for rows in self.needs.get(name, []) if self._part_of(name, *rows) is None]
        if not together:
            return
        first, last = one.rows - one.after - one.new, one.rows - one.after
        at_begin = any(low < one.before for low, _ in together) and not self.timed.causal
        base = 0 if at_begin else min(first, *(low for low, _ in together))
        kept = first - (one.before if at_begin else base)
        names = ["before"] * at_begin + ["new"] + ["after"] * any(high > last for _, high in together)
        shape = self.old.tensors[name].shape
        axis = self._layout(name).index(one.axis)
        rows = kept + sum(one.parts[part][1] - one.parts[part][0] for part in names)
        initial = self.old.tensors[name].quant
        assert initial is not None
        like = Node("history", name, (), (), {}, self._origin(name))
        inputs = tuple(made[part] for part in names)
        attrs: dict[str, Any] = {"axis": axis, "kept": kept, "parts": tuple(names), "initial": int(initial.zero_point)}
        whole = self._emit("history", inputs, attrs, like, name, "rows", rows_shape(shape, one.axis, rows))
        self.history[name] = (whole, base)

    def _origin(self, name: str) -> tuple[str, ...]:
        producer = self.old.producer(name)
        return producer.origin if producer is not None else (name,)

    def _part_of(self, name: str, low: int, high: int) -> tuple[str, int] | None:
        """The part that holds the rows, and where they begin in it."""
        one = self.along[name]
        found = ((part, low - first) for part, (first, last) in one.parts.items() if first <= low and high <= last)
        return next(found, None)

    def _read(self, name: str, low: int, high: int) -> str:
        """The tensor of the rows [low, high)."""
        inside = self._part_of(name, low, high)
        if inside is not None:
            source, start = self.parts[name][inside[0]], inside[1]
        else:
            source, start = self.history[name][0], low - self.history[name][1]
        key = (source, start, high - low)
        if key not in self.cut:
            self.cut[key] = self._slice(name, source, start, high - low)
        return self.cut[key]

    def _slice(self, name: str, source: str, start: int, rows: int) -> str:
        tensor, one = self.new.tensors[source], self.along[name]
        axis = self._layout(name).index(one.axis)
        if rows == tensor.shape[axis]:
            return source
        rank = len(tensor.shape)
        attrs = {
            "starts": tuple(start if i == axis else 0 for i in range(rank)),
            "steps": (1,) * rank,
            "sizes": tuple(rows if i == axis else -1 for i in range(rank)),
        }
        like = Node("slice", name, (), (), {}, self._origin(name))
        shape = tuple(rows if i == axis else size for i, size in enumerate(tensor.shape))
        return self._emit("slice", (source,), attrs, like, name, "cut", shape)

    def _window(self, name: str) -> str:
        """All rows of the window, with the axes in the old graph's order."""
        one, shape = self.along[name], self.old.tensors[name].shape
        source, perm = self._read(name, 0, one.rows), self._layout(name)
        if perm == tuple(range(len(perm))):
            return source
        key = (name, -1, -1)
        if key not in self.cut:
            back = tuple(perm.index(i) for i in range(len(perm)))
            like = Node("transpose", name, (), (), {}, self._origin(name))
            self.cut[key] = self._emit("transpose", (source,), {"perm": back}, like, name, "window", shape)
        return self.cut[key]

    def _whole(self, node: Node) -> None:
        """A node that needs all times at once, or has nothing to do with time."""
        inputs = tuple(self._window(i) if i in self.along else i for i in node.inputs)
        for output in node.outputs:
            self.new.tensors[output] = self.old.tensors[output]
        self.new.nodes.append(replace(node, inputs=inputs))

    def _give(self, name: str) -> None:
        """An output along time: its new rows, or the whole window where that has ends of its own."""
        one = self.along[name]
        source = self._window(name) if one.at_ends else self._read(name, *one.parts["new"])
        shape = self.new.tensors[source].shape
        self.new.tensors[name] = replace(self.old.tensors[name], shape=shape)
        origin = self._origin(name)
        self.new.nodes.append(Node("reshape", f"{name}.given", (source,), (name,), {"shape": shape}, origin))

    def _detach_outputs(self) -> None:
        """What an output shows of kept rows is copied: they move on before the caller reads it."""
        producers = self.new.producers()
        for name in self.new.outputs:
            node = producers.get(name)
            while node is not None and node.op in MOVEMENTS:
                node = producers.get(node.inputs[0])
            if node is None or node.op != "history":
                continue
            tensor, inner = self.new.tensors[name], self._fresh(f"{name}.kept")
            self.new.tensors[inner] = replace(tensor, name=inner)
            renamed = [_renamed(node, name, inner) for node in self.new.nodes]
            rank = len(tensor.shape)
            attrs = {"starts": (0,) * rank, "steps": (1,) * rank, "sizes": (-1,) * rank}
            self.new.nodes = [
                *renamed,
                Node("slice", f"{name}.copied", (inner,), (name,), attrs, producers[name].origin),
            ]


def _renamed(node: Node, old: str, new: str) -> Node:
    inputs, outputs = (tuple(new if n == old else n for n in names) for names in (node.inputs, node.outputs))
    return replace(node, inputs=inputs, outputs=outputs)

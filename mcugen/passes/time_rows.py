"""How operators read rows along an axis of time, and the layout in which rows of one time lie together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.binary import BinaryOperator
from mcugen.ops.importing import WHOLE_AXIS

Array = npt.NDArray[Any]
Perm = tuple[int, ...]

SWAPPED: Perm = (0, 2, 1, 3)


@dataclass(frozen=True)
class Reach:
    """Output row j reads the input rows `j * stride - before + i * dilation`, i < kernel; rows outside are padding.

    `axis` is the output's axis of time.
    """

    axis: int
    kernel: int = 1
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def span(self) -> int:
        return (self.kernel - 1) * self.dilation + 1


def layout(shape: Sequence[int], axis: int) -> Perm:
    """The order of axes in which the rows of one time are neighbours: only axes of size 1 before the axis of time."""
    if all(size == 1 for size in shape[:axis]):
        return tuple(range(len(shape)))
    batch = (0,) if shape[0] == 1 else ()
    return (*batch, axis, *(i for i in range(len(batch), len(shape)) if i != axis))


def rows_shape(shape: Sequence[int], axis: int, rows: int) -> tuple[int, ...]:
    """The shape of `rows` rows in `layout`."""
    return tuple(rows if i == axis else shape[i] for i in layout(shape, axis))


def reach_of(node: Node, graph: Graph, axes: Sequence[int]) -> Reach | None:
    """How a node's output reads along time, all its activations having the time along `axes`; None where it mixes times."""
    names = [name for name in node.inputs if not graph.is_constant(name)]
    shape, axis, a = graph.tensors[names[0]].shape, axes[0], node.attrs
    reach: Reach | None = None
    if len(node.outputs) != 1 or axis >= len(shape):
        return None
    if operator(node.op).windowed:
        if axis in (1, 2) and layout(shape, axis) in ((0, 1, 2, 3), SWAPPED):
            i = axis - 1
            kernel = a["kernel"] if "kernel" in a else graph.tensors[node.inputs[1]].shape[1:3]
            reach = Reach(axis, kernel[i], a["strides"][i], a["pads"][i], a["pads"][i + 2], a["dilations"][i])
    elif node.op == "slice" and a["sizes"][axis] != WHOLE_AXIS:
        if a["steps"][axis] > 0:
            reach = Reach(axis, stride=a["steps"][axis], before=-a["starts"][axis])
    elif node.op == "pad":
        reach = Reach(axis, before=a["pads"][axis][0], after=a["pads"][axis][1])
    elif node.op == "transpose":
        reach = Reach(a["perm"].index(axis))
    elif node.op == "reshape":
        reach = _reshaped(shape, graph.tensors[node.outputs[0]].shape, axis)
    elif _is_aligned(node, graph, axes) and operator(node.op).separates(node, graph, axis):
        reach = Reach(axis)
    return reach


def _reshaped(before: Sequence[int], after: Sequence[int], axis: int) -> Reach | None:
    """The axis that holds the same times, with as many elements outside and inside of it."""
    outer = int(np.prod(before[:axis], dtype=np.int64))
    for i, size in enumerate(after):
        if size == before[axis] and int(np.prod(after[:i], dtype=np.int64)) == outer:
            return Reach(i)
    return None


def _is_aligned(node: Node, graph: Graph, axes: Sequence[int]) -> bool:
    """Whether inputs and output have the same times along the same axis, in a layout that the operator can take."""
    names = [name for name in (*node.inputs, *node.outputs) if not graph.is_constant(name)]
    axis, shapes = axes[0], [graph.tensors[name].shape for name in names]
    if any(other != axis for other in axes) or len({len(shape) for shape in shapes}) > 1:
        return False
    perm = layout(shapes[0], axis)
    if any(layout(shape, axis) != perm or shape[axis] != shapes[0][axis] for shape in shapes):
        return False
    return perm == tuple(range(len(perm))) or operator(node.op).permute(node, graph, perm) is not None


@dataclass(frozen=True)
class Piece:
    """Rows [first, last) of a node's output, from the input rows [low, high) and `pads` rows of padding around them."""

    first: int
    last: int
    low: int
    high: int
    pads: tuple[int, int]


def piece_node(
    graph: Graph, node: Node, axis: int, reach: Reach, piece: Piece
) -> tuple[str, dict[str, Any], dict[str, Array]]:
    """Operator, attributes and rewritten constants (by their name) of the node that computes a piece in `layout`."""
    x, y = graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
    perm = layout(x, axis)
    moved = perm != tuple(range(len(perm)))
    time = perm.index(axis)
    if node.op == "reshape":
        return "reshape", {"shape": rows_shape(y, reach.axis, piece.last - piece.first)}, {}
    if node.op == "transpose":
        order = tuple(perm.index(node.attrs["perm"][i]) for i in layout(y, reach.axis))
        return "transpose", {"perm": order}, {}
    if operator(node.op).windowed:
        return node.op, *_window_piece(graph, node, piece, time - 1, moved)
    attrs = dict(node.attrs)
    if moved:
        permuted = operator(node.op).permute(node, graph, perm)
        assert permuted is not None
        attrs = dict(permuted.attrs)
    if node.op == "slice" and node.attrs["sizes"][axis] != WHOLE_AXIS:
        new = {"starts": 0, "sizes": piece.last - piece.first}
        attrs |= {key: tuple(new.get(key, v) if i == time else v for i, v in enumerate(attrs[key])) for key in new}
    if node.op == "pad":
        attrs["pads"] = tuple(piece.pads if i == time else pair for i, pair in enumerate(attrs["pads"]))
    constants = {}
    if moved and isinstance(operator(node.op), BinaryOperator) and graph.is_constant(node.inputs[1]):
        data = graph.constant(node.inputs[1])
        full = data.reshape((1,) * (len(perm) - data.ndim) + data.shape)
        constants[node.inputs[1]] = np.ascontiguousarray(full.transpose(perm))
    return node.op, attrs, constants


def _window_piece(
    graph: Graph, node: Node, piece: Piece, time: int, moved: bool
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Of a convolution or pool; `time` is 0 where the time runs along the height."""

    def turned(pair: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(pair[::-1]) if moved else tuple(pair)

    attrs, constants = dict(node.attrs), {}
    for key in ("strides", "dilations", "kernel"):
        if key in attrs:
            attrs[key] = turned(attrs[key])
    for key in ("pads", "count_pads"):
        if key in attrs:
            begin, end = turned(attrs[key][:2]), turned(attrs[key][2:])
            attrs[key] = (*begin, *end)
    pads = list(attrs["pads"])
    pads[time], pads[time + 2] = piece.pads
    attrs["pads"] = tuple(pads)
    if operator(node.op).weight_input is not None and moved:
        constants[node.inputs[1]] = np.ascontiguousarray(graph.constant(node.inputs[1]).transpose(SWAPPED))
    if node.op == "average_pool2d" and len(node.inputs) > 3:
        classes = graph.constant(node.inputs[3])
        classes = classes.T if moved else classes
        rows = (slice(piece.first, piece.last), slice(None))
        constants[node.inputs[3]] = np.ascontiguousarray(classes[rows if time == 0 else rows[::-1]])
    return attrs, constants

"""The interval executor of an integer graph: the lowest and the highest integer that every element can take.

Interval arithmetic (R. E. Moore, Interval Analysis, 1966) on the integer meaning of each operator: elements are
taken as independent, so that a bound may be wide, and never too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import exact_matmul, requantize_output
from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.affine import along
from mcugen.ops.movement import MovementOperator
from mcugen.ops.window import convolve, convolve_depthwise

Array = npt.NDArray[Any]
Bounds = tuple[Array, Array]

WEIGHTED = ("conv2d", "depthwise_conv2d", "fully_connected", "affine")
WEIGHTED_INPUTS = 5
"""x, weights, bias, multiplier, shift."""
WEIGHTED_ATTRS = frozenset(
    (
        "strides",
        "dilations",
        "pads",
        "groups",
        "axis",
        "in_zero_point",
        "out_zero_point",
        "act_min",
        "act_max",
        "out_dtype",
        "weight_format",
    )
)
"""Any other attribute may change what the sum means."""
MONOTONE = ("average_pool2d", "max_pool2d", "concat", "clip")
"""Operators that never fall where an input rises; those that only move data are found by their class."""


def value_bounds(graph: Graph) -> dict[str, Bounds]:
    """`(lowest, highest)` of every tensor of an integer graph, arrays of the tensor's shape and dtype.

    Positions are kept apart, so that the border of a padded convolution has its own bounds.  An operator that is not
    known here gives the whole range of its dtype, unless all that it reads is constant.
    """
    bounds = {name: (t.data, t.data) for name, t in graph.tensors.items() if t.data is not None}
    for name in graph.inputs:
        bounds[name] = _anything(graph, name)
    for node in graph.nodes:
        bounds.update(zip(node.outputs, node_bounds(node, graph, [bounds[name] for name in node.inputs]), strict=True))
    return bounds


def node_bounds(node: Node, graph: Graph, inputs: Sequence[Bounds]) -> list[Bounds]:
    """The bounds of a node's outputs from those of its inputs."""
    if all(np.array_equal(low, high) for low, high in inputs):
        return [(value, value) for value in operator(node.op).reference(node, [low for low, _ in inputs])]
    if is_weighted(node, graph):
        return [_weighted_bounds(node, *inputs[0], *(low for low, _ in inputs[1:]))]
    if node.op in MONOTONE or isinstance(operator(node.op), MovementOperator):
        lows, highs = (operator(node.op).reference(node, [pair[end] for pair in inputs]) for end in (0, 1))
        return list(zip(lows, highs, strict=True))
    if node.op in ("add", "mul"):
        return [_corners(node, inputs)]
    if node.op == "table" and inputs[0][0].dtype == np.int8:
        return [_table_bounds(*inputs[0], inputs[1][0])]
    return [_anything(graph, name) for name in node.outputs]


def is_weighted(node: Node, graph: Graph) -> bool:
    """Whether the node is a weighted sum of its first input, requantized: see integer_parameters."""
    if node.op not in WEIGHTED or len(node.inputs) != WEIGHTED_INPUTS or not WEIGHTED_ATTRS.issuperset(node.attrs):
        return False
    return all(map(graph.is_constant, node.inputs[1:])) and graph.tensors[node.inputs[1]].dtype == "int8"


def _anything(graph: Graph, name: str) -> Bounds:
    tensor = graph.tensors[name]
    limits = np.iinfo(tensor.dtype)
    return np.full(tensor.shape, limits.min, tensor.dtype), np.full(tensor.shape, limits.max, tensor.dtype)


def _weighted_bounds(node: Node, low: Array, high: Array, weights: Array, *rest: Array) -> Bounds:
    """Positive weights carry a bound to the same side, negative ones to the other."""
    rising, falling = np.maximum(weights, 0), np.minimum(weights, 0)
    ends = []
    for same, other in ((low, high), (high, low)):
        bias, multiplier, shift = rest
        if node.op == "affine":
            bias, multiplier, shift = (along(constant, node.attrs["axis"], low.ndim) for constant in rest)
        acc = _products(node, same, rising) + _products(node, other, falling) + bias
        a = node.attrs
        ends.append(requantize_output(acc, multiplier, shift, a))
    return ends[0], ends[1]


def _products(node: Node, x: Array, weights: Array) -> Array:
    """The accumulator without its bias, int64."""
    a = node.attrs
    if node.op == "fully_connected":
        return exact_matmul(x, weights.T)
    if node.op == "affine":
        return x.astype(np.int64) * along(weights, a["axis"], x.ndim).astype(np.int64)
    window = (a["strides"], a["dilations"], a["pads"])
    if node.op == "depthwise_conv2d":
        return convolve_depthwise(x.astype(np.int64), weights, *window, a["in_zero_point"])
    return np.rint(convolve(x.astype(np.float64), weights, *window, a["groups"], a["in_zero_point"])).astype(np.int64)


def _corners(node: Node, inputs: Sequence[Bounds]) -> Bounds:
    """A sum and a product of two operands take their extremes where each operand takes one of its own."""
    corners = [(first, second) for first in inputs[0] for second in inputs[1]]
    values = np.stack([operator(node.op).reference(node, corner)[0] for corner in corners])
    return values.min(axis=0), values.max(axis=0)


def _table_bounds(low: Array, high: Array, table: Array) -> Bounds:
    ends = np.stack([low.reshape(-1), high.reshape(-1)]).astype(np.int64) + 128
    pairs, index = np.unique(ends, axis=1, return_inverse=True)
    reached = [table[first : last + 1] for first, last in pairs.T]
    lowest, highest = (np.array([end(run) for run in reached], table.dtype) for end in (np.min, np.max))
    return lowest[index].reshape(low.shape), highest[index].reshape(low.shape)


def constant_channels(bounds: Bounds) -> tuple[Array, Array]:
    """Per channel (last axis): whether all its elements are one and the same constant, and that value."""
    low, high = (end.reshape(-1, end.shape[-1]) if end.ndim else end.reshape(1, 1) for end in bounds)
    return np.asarray(low.min(axis=0) == high.max(axis=0)), low[0]

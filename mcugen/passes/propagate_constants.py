"""Propagate constants through an integer graph: tensors, operands and channels that no input can change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import quantize_multiplier
from mcugen.graph import Graph, Node
from mcugen.ops.weighted import CONSTANT_CHANNEL_STEP
from mcugen.value_bounds import Bounds, constant_channels, is_weighted, value_bounds

Array = npt.NDArray[Any]


def propagate_constants(graph: Graph) -> Graph:
    """`f(x)` that is c for every x -> the constant c; a layer's channel that is c -> weights 0, a bias that gives c."""
    bounds = value_bounds(graph)
    graph = graph.copy()
    for i, node in enumerate(graph.nodes):
        if is_weighted(node, graph):
            graph.nodes[i] = _silence_channels(graph, node, bounds[node.outputs[0]])
        elif node.op in ("add", "mul"):
            graph.nodes[i] = _constant_operand(graph, node, bounds)
    return graph.pruned().check()


def _silence_channels(graph: Graph, node: Node, bounds: Bounds) -> Node:
    weights, bias, multiplier, shift = (graph.constant(name).copy() for name in node.inputs[1:])
    constant, value = constant_channels(bounds)
    if weights.shape[0] != len(constant):
        return node
    mute = constant & weights.reshape(len(constant), -1).any(axis=1)
    if not mute.any():
        return node
    weights[mute] = 0
    multiplier[mute], shift[mute] = quantize_multiplier(CONSTANT_CHANNEL_STEP)
    bias[mute] = (value[mute].astype(np.int64) - node.attrs["out_zero_point"]) * int(1 / CONSTANT_CHANNEL_STEP)
    changed = zip(node.inputs[1:], (weights, bias, multiplier, shift), strict=True)
    return replace(node, inputs=(node.inputs[0], *(graph.add_constant(name, data) for name, data in changed)))


def _constant_operand(graph: Graph, node: Node, bounds: dict[str, Bounds]) -> Node:
    """The node with an operand that is constant for every input as its constant second operand."""
    known = [np.array_equal(*bounds[name]) for name in node.inputs]
    if known == [True, False]:
        pairs = {"add": ("multiplier1", "multiplier2"), "mul": ("zero_point1", "zero_point2")}[node.op]
        swapped = {name: node.attrs[other] for name, other in (pairs, pairs[::-1])}
        node = replace(node.with_attrs(**swapped), inputs=node.inputs[::-1])
    elif known != [False, True] or graph.is_constant(node.inputs[1]):
        return node
    other, data = graph.tensors[node.inputs[0]].shape, bounds[node.inputs[1]][0]
    for axis in range(data.ndim):
        first = data.take([0], axis)
        if other[axis] >= data.shape[axis] and np.array_equal(np.broadcast_to(first, data.shape), data):
            data = first
    return replace(node, inputs=(node.inputs[0], graph.add_constant(node.inputs[1], np.ascontiguousarray(data))))

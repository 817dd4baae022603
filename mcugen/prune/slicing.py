"""Taking channels out of a graph, float or integer: constants, shapes and attributes follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.ops.importing import WHOLE_AXIS
from mcugen.ops.weighted import has_weights
from mcugen.prune.groups import has_operands, mixes_channels, on_channels

Array = npt.NDArray[Any]


def keep_channels(graph: Graph, keep: Mapping[str, Array]) -> Graph:
    """The graph with only the channels (last axis) for which `keep[name]`, bool `[channels]`, is true.

    `keep` comes from ChannelGroups.keep_masks, so that the masks fit each other.  What the removed channels contributed
    to others is dropped: fold it into a bias before.
    """
    result = graph.copy()
    reads = graph.read_counts()
    for name, mask in keep.items():
        tensor = graph.tensors[name]
        if not mask.all():
            result.tensors[name] = replace(tensor, shape=(*tensor.shape[:-1], int(mask.sum())))
    for i, node in enumerate(graph.nodes):
        masks = [keep[name] for name in (node.inputs[0], node.outputs[0]) if name in keep]
        if all(mask.all() for mask in masks):
            continue
        inputs = list(node.inputs)
        for position, name in enumerate(node.inputs):
            data = graph.tensors[name].data
            if data is not None:
                kept = _sliced(node, graph, position, data, keep)
                if kept.shape != data.shape:
                    quant = _sliced_quant(graph.tensors[name].quant, keep[node.outputs[0]])
                    old = replace(graph.tensors[name], quant=quant)
                    inputs[position] = _put(result, old, kept, alone=reads[name] == 1)
        result.nodes[i] = replace(_resized(node, graph, result, keep), inputs=tuple(inputs))
    return result.pruned()


def _put(graph: Graph, old: Tensor, data: Array, *, alone: bool) -> str:
    """The sliced constant under its old name, or under a new one where others read the whole."""
    name = old.name if alone else graph.fresh(old.name)
    graph.tensors[name] = Tensor(name, data.shape, old.dtype, np.ascontiguousarray(data), old.quant)
    return name


def _sliced_quant(quant: QuantParams | None, kept: Array) -> QuantParams | None:
    """Parameters by output channel, where a quantized model names them, of the channels that are left."""
    if quant is None or quant.axis != 0 or np.shape(quant.scale) != kept.shape:
        return quant
    zero_point = np.broadcast_to(quant.zero_point, kept.shape)[kept]
    return replace(quant, scale=np.asarray(quant.scale)[kept], zero_point=zero_point)


def _sliced(node: Node, graph: Graph, position: int, data: Array, keep: Mapping[str, Array]) -> Array:
    outer = keep[node.outputs[0]]
    if has_weights(node):
        rows = data[outer] if data.shape[:1] == outer.shape else data
        return rows[..., keep[node.inputs[0]]] if position == 1 and mixes_channels(node) else rows
    if node.op in ("affine", "prelu"):
        return data[outer] if on_channels(node, graph) and data.shape == outer.shape else data
    if has_operands(node) and data.shape[-1:] == outer.shape:
        return data[..., outer]
    return data


def _resized(node: Node, graph: Graph, result: Graph, keep: Mapping[str, Array]) -> Node:
    if node.op == "reshape":
        return node.with_attrs(shape=result.tensors[node.outputs[0]].shape)
    if node.op == "slice":
        starts, sizes = list(node.attrs["starts"]), list(node.attrs["sizes"])
        if sizes[-1] != WHOLE_AXIS:
            starts[-1] = int(keep[node.inputs[0]][: starts[-1]].sum())
            sizes[-1] = result.tensors[node.outputs[0]].shape[-1]
        return node.with_attrs(starts=tuple(starts), sizes=tuple(sizes))
    if node.op == "gather" and on_channels(node, graph):
        place = np.cumsum(keep[node.inputs[0]]) - 1
        kept = np.asarray(node.attrs["indices"])[keep[node.outputs[0]]]
        return node.with_attrs(indices=tuple(int(i) for i in place[kept]))
    if node.op == "conv2d" and node.attrs["groups"] > 1:
        before, after = (g.tensors[node.inputs[0]].shape[-1] for g in (graph, result))
        return node.with_attrs(groups=node.attrs["groups"] * after // before)
    return node

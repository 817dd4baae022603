"""Fold per-channel scales and offsets (BatchNormalization, Mul, Add) into the weights beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops.weighted import has_weights

Array = npt.NDArray[np.float64]

RECURRENT = ("gru", "lstm", "rnn")
"""Operators whose input, too, is first multiplied by a matrix that is input 1, with its bias behind it."""


def fold_affine(graph: Graph) -> Graph:
    """`affine(conv(x))` -> `conv'(x)`; `affine(affine(x))` -> `affine'(x)`; `conv(affine(x))` -> `conv'(x)` without padding."""
    graph = graph.copy()
    while any(_step(graph, node) for node in list(graph.nodes)):
        graph = graph.pruned()
    return graph.pruned()


def _step(graph: Graph, node: Node) -> bool:
    source = graph.producer(node.inputs[0]) if node.inputs else None
    if source is None or graph.read_counts()[source.outputs[0]] != 1 or "clip_min" in source.attrs:
        return False
    if node.op == "affine" and _on_channels(graph, node) and (has_weights(source) or source.op == "affine"):
        if source.op == "affine" and not _on_channels(graph, source):
            return False
        if graph.tensors[source.inputs[1]].quant is not None and np.any(graph.constant(node.inputs[1]) <= 0):
            return False
        _fold_behind(graph, source, node)
        return True
    if (
        (has_weights(node) or node.op in RECURRENT)
        and source.op == "affine"
        and _on_channels(graph, source)
        and not any(node.attrs.get("pads", ()))
        and graph.tensors[node.inputs[1]].quant is None
    ):
        _fold_before(graph, source, node)
        return True
    return False


def _on_channels(graph: Graph, node: Node) -> bool:
    """Whether an affine's axis is the last one, or it is the same for all."""
    rank = len(graph.tensors[node.inputs[0]].shape)
    return (
        node.attrs["axis"] % rank == rank - 1
        or graph.tensors[node.inputs[1]].size == graph.tensors[node.inputs[2]].size == 1
    )


def _vector(graph: Graph, name: str, channels: int) -> Array:
    return np.broadcast_to(graph.constant(name).astype(np.float64).reshape(-1), (channels,))


def _fold_behind(graph: Graph, source: Node, affine: Node) -> None:
    channels = graph.tensors[affine.outputs[0]].shape[-1]
    scale, offset = (_vector(graph, name, channels) for name in affine.inputs[1:3])
    weights = graph.constant(source.inputs[1]).astype(np.float64)
    if source.op == "affine":
        weights = np.broadcast_to(weights.reshape(-1), (channels,))
    bias = _vector(graph, source.inputs[2], channels) if len(source.inputs) > 2 else np.zeros(channels)
    scaled = weights * scale.reshape(-1, *[1] * (weights.ndim - 1))
    quant = graph.tensors[source.inputs[1]].quant
    if quant is not None:  # the integers stay, and mean scaled values
        points = np.broadcast_to(quant.zero_point, (channels,))
        quant = QuantParams(np.broadcast_to(quant.scale, (channels,)) * scale, points, 0, quant.dtype)
    _replace(graph, source, affine, scaled, bias * scale + offset, source.inputs[0], quant=quant)


def _fold_before(graph: Graph, affine: Node, node: Node) -> None:
    weights = graph.constant(node.inputs[1]).astype(np.float64)
    channels = graph.tensors[affine.outputs[0]].shape[-1]
    scale, offset = (_vector(graph, name, channels) for name in affine.inputs[1:3])
    out_channels = weights.shape[0]
    bias = _vector(graph, node.inputs[2], out_channels) if len(node.inputs) > 2 else np.zeros(out_channels)
    if node.op == "depthwise_conv2d":
        repeat = out_channels // channels
        by_input = np.repeat(np.stack([scale, offset]), repeat, axis=1).reshape(2, out_channels, 1, 1, 1)
        scaled, shift = weights * by_input[0], (weights * by_input[1]).reshape(out_channels, -1).sum(axis=1)
    else:
        groups = node.attrs.get("groups", 1)
        rows = np.repeat(np.arange(groups), out_channels // groups)
        shape = (out_channels, *[1] * (weights.ndim - 2), weights.shape[-1])
        scaled = weights * scale.reshape(groups, -1)[rows].reshape(shape)
        shift = (weights * offset.reshape(groups, -1)[rows].reshape(shape)).reshape(out_channels, -1).sum(axis=1)
    _replace(graph, affine, node, scaled, bias + shift, affine.inputs[0], keep=node)


def _replace(
    graph: Graph,
    first: Node,
    second: Node,
    weights: Array,
    bias: Array,
    x: str,
    *,
    keep: Node | None = None,
    quant: QuantParams | None = None,
) -> None:
    """One node in the place of two: `first`'s operator (or `keep`'s) with new constants, writing what `second` wrote."""
    base = keep or first
    names = [
        graph.add_constant(f"{base.name}_folded_{kind}", data.astype(np.float32), params)
        for kind, data, params in (("weights", weights, quant), ("bias", bias, None))
    ]
    attrs = dict(base.attrs) | {k: v for k, v in second.attrs.items() if k.startswith("clip_")}
    merged = replace(
        base,
        inputs=(x, *names, *base.inputs[3:]),
        outputs=second.outputs,
        origin=tuple(dict.fromkeys((*first.origin, *second.origin))),
        attrs=attrs,
    )
    graph.nodes[graph.nodes.index(second)] = merged
    graph.nodes.remove(first)

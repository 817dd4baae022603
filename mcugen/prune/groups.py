"""Channel groups: which channels of which tensors can only be removed together.

A channel is an index of a tensor's last axis.  Operators that work channel by channel (depthwise convolutions, pools,
tables, sums, ...) tie a channel of their output to those of their inputs; convolutions and fully connected layers,
which mix all channels, set both sides free of each other.  What an operator that is not known here reads and writes is
pinned, as are the graph's inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.binary import BinaryOperator
from mcugen.ops.pool import PoolOperator
from mcugen.ops.weighted import has_weights

Array = npt.NDArray[Any]
Link = tuple[str, Array, str, Array]


@dataclass(frozen=True)
class ChannelGroups:
    """`of[name]`: the group of each channel of a tensor, int64 `[channels]`; `pinned`: bool `[count]`, to stay."""

    of: Mapping[str, Array]
    pinned: Array

    @property
    def count(self) -> int:
        return len(self.pinned)

    def keep_masks(self, live: Array) -> dict[str, Array]:
        """From a choice of groups, bool `[count]`, the channels of every tensor that stay."""
        return {name: live[groups] for name, groups in self.of.items()}


def channels(graph: Graph, name: str) -> int:
    shape = graph.tensors[name].shape
    return shape[-1] if shape else 1


def on_channels(node: Node, graph: Graph) -> bool:
    """Whether the node's attribute `axis` is the last one."""
    rank = len(graph.tensors[node.outputs[0]].shape)
    return bool(node.attrs["axis"] % rank == rank - 1)


def mixes_channels(node: Node) -> bool:
    """Whether every output channel may read every input channel."""
    return node.op == "fully_connected" or (node.op == "conv2d" and node.attrs["groups"] == 1)


def has_operands(node: Node) -> bool:
    """Whether the node's operands, activations or constants, are broadcast against each other."""
    return isinstance(operator(node.op), BinaryOperator)


def channel_groups(graph: Graph) -> ChannelGroups:
    """The finest groups that every operator of the graph allows; works on float and on integer graphs."""
    start, total = {}, 0
    for name in graph.activations():
        start[name] = total
        total += channels(graph, name)
    ends: tuple[list[Array], list[Array]] = ([], [])
    fixed = np.zeros(total, bool)
    pins = [*graph.inputs, *(name for name in graph.outputs if name in start)]
    for node in graph.nodes:
        links = list(_links(node, graph)) if _is_known(node, graph) else None
        if links is None:
            pins += [name for name in (*node.inputs, *node.outputs) if name in start]
            continue
        for first, first_index, second, second_index in links:
            ends[0].append(start[first] + first_index)
            ends[1].append(start[second] + second_index)
        pins += _broadcast(node, graph)
    for name in pins:
        fixed[start[name] : start[name] + channels(graph, name)] = True
    labels = components(total, *(np.concatenate([np.zeros(0, np.int64), *side]) for side in ends))
    _, labels = np.unique(labels, return_inverse=True)
    pinned = np.zeros(int(labels.max(initial=-1)) + 1, bool)
    pinned[labels[fixed]] = True
    return ChannelGroups({name: labels[at : at + channels(graph, name)] for name, at in start.items()}, pinned)


def components(count: int, first: Array, second: Array) -> Array:
    """The smallest member of each element's connected component."""
    labels = np.arange(count)
    while True:
        lowest = np.minimum(labels[first], labels[second])
        merged = labels.copy()
        for ends in (first, second):
            np.minimum.at(merged, ends, lowest)
            np.minimum.at(merged, labels[ends], lowest)
        merged = merged[merged]
        if np.array_equal(merged, labels):
            return labels
        labels = merged


def _is_known(node: Node, graph: Graph) -> bool:
    """Whether `_links` says all of how the node ties its channels, and `keep_channels` can rewrite it."""
    known = False
    if any(not graph.tensors[name].shape for name in (*node.inputs[:1], *node.outputs)):
        return known
    if has_weights(node):
        known = all(graph.is_constant(name) for name in node.inputs[1:])
    elif node.op == "concat":
        constant = ["constant" for name in node.inputs if graph.is_constant(name)]
        known = "constant" not in node.attrs.get("parts", constant)
    elif node.op == "pad":
        known = tuple(node.attrs["pads"][-1]) == (0, 0)
    elif node.op == "slice":
        known = bool(node.attrs["steps"][-1] == 1)
    elif node.op == "reshape":
        inner, outer = channels(graph, node.inputs[0]), channels(graph, node.outputs[0])
        known = outer % inner == 0 or inner % outer == 0
    elif node.op == "transpose":
        known = bool(node.attrs["perm"][-1] == len(node.attrs["perm"]) - 1)
    elif node.op in ("affine", "prelu", "gather") or has_operands(node) or isinstance(operator(node.op), PoolOperator):
        known = True
    else:
        reads = [name for name in node.inputs if not graph.is_constant(name)]
        known = operator(node.op).elementwise and reads == [node.inputs[0]] and len(node.outputs) == 1
    return known


def _links(node: Node, graph: Graph) -> Iterator[Link]:
    if mixes_channels(node):
        return
    reads, y = [name for name in node.inputs if not graph.is_constant(name)], node.outputs[0]
    outer = np.arange(channels(graph, y))
    if node.op == "concat" and on_channels(node, graph):
        at = 0
        for name in reads:
            index = np.arange(channels(graph, name))
            yield name, index, y, at + index
            at += len(index)
        return
    for name in reads:
        inner = np.arange(channels(graph, name))
        if has_weights(node):
            yield from _grouped(node, name, inner, y, outer)
        elif node.op == "slice":
            yield name, node.attrs["starts"][-1] + outer, y, outer
        elif node.op == "gather" and on_channels(node, graph):
            yield name, np.asarray(node.attrs["indices"]), y, outer
        elif node.op == "reshape" and len(inner) > len(outer):
            yield name, inner, y, inner % len(outer)
        elif node.op == "reshape":
            yield name, outer % len(inner), y, outer
        elif len(inner) == len(outer):
            yield name, inner, y, outer


def _grouped(node: Node, x: str, inner: Array, y: str, outer: Array) -> Iterator[Link]:
    """All channels of a convolution's group hang together, so that the groups keep their sizes."""
    groups = node.attrs.get("groups", len(inner))
    depth, width = len(inner) // groups, len(outer) // groups
    yield x, inner // depth * depth, x, inner
    yield x, outer // width * depth, y, outer


def _broadcast(node: Node, graph: Graph) -> list[str]:
    """Operands with one channel for all of the output's."""
    if not has_operands(node):
        return []
    reads = [name for name in node.inputs if not graph.is_constant(name)]
    return [name for name in reads if channels(graph, name) != channels(graph, node.outputs[0])]

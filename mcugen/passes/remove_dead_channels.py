"""Remove channels of an integer graph that no output depends on, or that no input can change; every byte stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.passes.propagate_constants import propagate_constants
from mcugen.prune.groups import ChannelGroups, channel_groups, mixes_channels
from mcugen.prune.slicing import keep_channels
from mcugen.value_bounds import constant_channels, is_weighted, value_bounds

Array = npt.NDArray[Any]
Constants = Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class NodeSize:
    """A node before and after: channels of its output, multiply-accumulates; 0 after where the whole node went."""

    name: str
    op: str
    channels_before: int
    channels_after: int
    macs_before: int
    macs_after: int


@dataclass(frozen=True)
class DeadChannelReport:
    """What was removed, node by node in execution order."""

    nodes: tuple[NodeSize, ...]

    @property
    def macs_before(self) -> int:
        return sum(node.macs_before for node in self.nodes)

    @property
    def macs_after(self) -> int:
        return sum(node.macs_after for node in self.nodes)

    @property
    def channels_removed(self) -> int:
        return sum(node.channels_before - node.channels_after for node in self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """For reports: the totals, and the nodes that changed."""
        changed = [asdict(node) for node in self.nodes if node.channels_after != node.channels_before]
        return {
            "macs_before": self.macs_before,
            "macs_after": self.macs_after,
            "channels_removed": self.channels_removed,
            "nodes": changed,
        }


def remove_dead_channels(graph: Graph) -> Graph:
    """`conv(x)` -> `conv'(x')`: without channels of x that are constant or not read, constants folded into the bias.

    Constant are channels whose weights are all zero and those that saturate to one value whatever the input (interval
    arithmetic).  A constant other than the zero point that a tap reads beside padding stays: at the border it is none.
    Graph inputs and outputs keep their shapes, and every tensor keeps a channel.
    """
    return split_dead_channels(graph)[0]


def split_dead_channels(graph: Graph) -> tuple[Graph, dict[str, Array]]:
    """As `remove_dead_channels`; also the masks of the channels (last axis) that stay, by tensor."""
    graph = propagate_constants(graph)
    bounds = value_bounds(graph)
    constants = {name: constant_channels(bounds[name]) for name in graph.activations()}
    groups = channel_groups(graph)
    keep = groups.keep_masks(_live_groups(graph, groups, constants))
    folded = graph.copy()
    for i, node in enumerate(graph.nodes):
        if node.inputs[0] in keep and mixes_channels(node) and not keep[node.inputs[0]].all():
            folded.nodes[i] = _fold_constants(folded, node, ~keep[node.inputs[0]], constants)
    return keep_channels(folded, keep).check(), keep


def _live_groups(graph: Graph, groups: ChannelGroups, constants: Constants) -> Array:
    """The groups that stay: pinned, or read by weights other than zero for what stays; one a tensor at least."""
    live = groups.pinned.copy()
    before = -1
    while before != int(live.sum()):
        before = int(live.sum())
        for node in reversed(graph.nodes):
            if mixes_channels(node) and node.inputs[0] in groups.of:
                rows = live[groups.of[node.outputs[0]]]
                live[groups.of[node.inputs[0]][_needed(graph, node, rows, constants[node.inputs[0]])]] = True
        if before == int(live.sum()):
            for of in groups.of.values():
                live[of[:1]] |= not live[of].any()
    return live


def _needed(graph: Graph, node: Node, rows: Array, constants: tuple[Array, Array]) -> Array:
    """Which input channels of a mixing node its output channels `rows` need."""
    weights = graph.constant(node.inputs[1])[rows]
    if not is_weighted(node, graph):
        return np.ones(weights.shape[-1], bool)
    used = weights.reshape(-1, weights.shape[-1]).any(axis=0)
    constant, value = constants
    if node.op == "conv2d":
        beside = weights[:, _padded_taps(graph, node)].reshape(-1, weights.shape[-1]).any(axis=0)
        constant = constant & ((value == node.attrs["in_zero_point"]) | ~beside)
    return np.asarray(used & ~constant)


def _padded_taps(graph: Graph, node: Node) -> Array:
    """Which taps `[kernel_h, kernel_w]` ever read beside the image."""
    x, y, kernel = (graph.tensors[name].shape for name in (node.inputs[0], node.outputs[0], node.inputs[1]))
    outside = []
    for axis in (0, 1):
        taps = np.arange(kernel[1 + axis]) * node.attrs["dilations"][axis] - node.attrs["pads"][axis]
        last = taps + (y[1 + axis] - 1) * node.attrs["strides"][axis]
        outside.append((taps < 0) | (last >= x[1 + axis]))
    return np.asarray(outside[0][:, None] | outside[1])


def _fold_constants(graph: Graph, node: Node, removed: Array, constants: Constants) -> Node:
    weights, bias = (graph.constant(name).astype(np.int64) for name in node.inputs[1:3])
    values = np.where(removed, constants[node.inputs[0]][1].astype(np.int64), 0)
    sums = weights.reshape(weights.shape[0], -1, weights.shape[-1]).sum(axis=1)
    folded = (bias + sums @ values).astype(np.int32)
    return replace(node, inputs=(*node.inputs[:2], graph.add_constant(node.inputs[2], folded), *node.inputs[3:]))


def dead_channel_report(before: Graph, after: Graph) -> DeadChannelReport:
    """Compare a graph with what `remove_dead_channels` made of it; nodes are matched by the name of their output."""
    left = after.producers()
    rows = []
    for node in before.nodes:
        name = node.outputs[0]
        macs = operator(node.op).cost(node, before).macs
        kept, macs_left = 0, 0
        if name in left:
            kept, macs_left = _channels(after, name), operator(left[name].op).cost(left[name], after).macs
        rows.append(NodeSize(node.name, node.op, _channels(before, name), kept, macs, macs_left))
    return DeadChannelReport(tuple(rows))


def _channels(graph: Graph, name: str) -> int:
    return next(iter(graph.tensors[name].shape[::-1]), 1)

"""Cross-layer equalization: scale channels between layers so that the channels of a tensor fill its one range alike.

Method: M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019.  Here the channel scales come from observed activation ranges, every tensor that must share them (sums,
pools, reshapes) is scaled along, and the exponent is chosen by the noise that is expected at the layers that read the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.channel_map import STEPS_PER_OCTAVE
from mcugen.execute import Rows, evaluate_batches
from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.operator import clip_bounds
from mcugen.quantize.headroom import Tails, peak_count, range_with_headroom
from mcugen.quantize.ranges import INT16_LARGEST

Array = npt.NDArray[Any]

EXPONENTS = (0.25, 0.5)
WORTHWHILE = 0.7
"""The part of the noise without scaling that may remain: the estimate knows no saturation of unseen samples, which grows
with every channel that comes near the range's end."""
SMALLEST_CHANNEL = 2.0**-9
"""Channels below this part of the tensor's range round to zero (half a step of 255): they are left as they are, not revived."""
ROUNDED_WEIGHT_NOISE = 0.5
"""The part of plain rounding's noise that remains after optimised rounding."""
SHARING = ("max_pool2d", "average_pool2d", "reshape")


@dataclass(frozen=True)
class ChannelGroup:
    """Tensors whose channels must be scaled alike: by scale vectors of `channels` values, repeated to the tensor's last axis."""

    tensors: tuple[str, ...]
    channels: int
    writers: tuple[Node, ...]
    readers: tuple[Node, ...]


@dataclass(frozen=True)
class ChannelStatistics:
    """Of every activation and index of its last axis: the magnitude to be represented, and the variance."""

    ranges: Mapping[str, Array]
    variances: Mapping[str, Array]


def equalize(graph: Graph, channels: ChannelStatistics, int16: Collection[str] = ()) -> tuple[Graph, dict[str, Array]]:
    """The same function with channels rescaled between layers, and the factors [channels] of every tensor that was.

    `int16`: the tensors that are held in int16, whose rounding hardly counts.
    """
    result, scales = graph.copy(), {}
    importance = channel_importance(graph)
    for group in channel_groups(graph):
        scale = _choose_scale(result, group, channels, importance, int16)
        if scale is not None:
            _apply(result, group, scale)
            for name in group.tensors:
                scales[name] = np.tile(scale, graph.tensors[name].shape[-1] // group.channels)
    return result, scales


def channel_groups(graph: Graph) -> list[ChannelGroup]:
    """The groups that can be scaled: written by weighted layers, read by weighted layers, positively homogeneous in between."""
    root: dict[str, str] = {name: name for name in graph.activations()}
    blocked = set(graph.inputs) | set(graph.outputs)

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for node in graph.nodes:
        low, high = clip_bounds(node)
        names = [n for n in (*node.inputs, *node.outputs) if n in root]
        homogeneous = low in (0.0, -np.inf) and high == np.inf
        if is_layer(node):
            if not homogeneous:
                blocked.update(node.outputs)
        elif homogeneous and _shares_channels(node, graph):
            for name in names[1:]:
                root[find(name)] = find(names[0])
        else:
            blocked.update(names)
    members: dict[str, list[str]] = {}
    for name in graph.activations():
        members.setdefault(find(name), []).append(name)
    groups = []
    for names in members.values():
        if not blocked.intersection(names):
            writers = tuple(n for n in graph.nodes if is_layer(n) and n.outputs[0] in names)
            readers = tuple(n for n in graph.nodes if is_layer(n) and n.inputs[0] in names)
            channels = min(graph.tensors[name].shape[-1] for name in names)
            if readers and channels > 1:
                groups.append(ChannelGroup(tuple(names), channels, writers, readers))
    return groups


def is_layer(node: Node) -> bool:
    """Whether the node is a layer with weights per output channel."""
    return operator(node.op).weight_input is not None


def _shares_channels(node: Node, graph: Graph) -> bool:
    shapes = [graph.tensors[name].shape for name in (*node.inputs, *node.outputs)]
    if any(graph.is_constant(name) for name in node.inputs):
        return False
    if node.op == "add":
        return len(set(shapes)) == 1
    if node.op == "reshape":
        return bool(shapes[0] and shapes[1]) and shapes[1][-1] % shapes[0][-1] == 0
    return node.op in SHARING


def tap_power(node: Node, graph: Graph, weights: Array) -> Array:
    """The sum of squared weights [out channels, input channels] over the kernel's taps."""
    power = (weights.astype(np.float64) ** 2).reshape(len(weights), -1, weights.shape[-1]).sum(axis=1)
    return spread(node, graph, power)


def spread(node: Node, graph: Graph, values: Array) -> Array:
    """`values` [out channels, input channels of a group] as [out channels, input channels], zero where not connected."""
    channels = graph.tensors[node.inputs[0]].shape[-1]
    if values.shape[1] == channels and node.op != "depthwise_conv2d":
        return values
    full = np.zeros((len(values), channels))
    depth = values.shape[1]
    per_group = len(values) * depth // channels
    for out in range(len(values)):
        first = out // per_group * depth
        full[out, first : first + depth] = values[out]
    return full


def channel_importance(graph: Graph) -> dict[str, Array]:
    """How much noise power of each channel of a tensor reaches the outputs if noise is independent and nothing saturates."""
    importance: dict[str, Array] = {}
    for name in graph.activations():
        importance[name] = np.full(graph.tensors[name].shape[-1:] or (1,), 1.0 if name in graph.outputs else 0.0)
    for node in reversed(graph.nodes):
        after = importance[node.outputs[0]]
        for name in node.inputs:
            if name in importance:
                importance[name] = importance[name] + _pulled_back(node, graph, name, after)
    return importance


def _pulled_back(node: Node, graph: Graph, name: str, after: Array) -> Array:
    shape, out = (graph.tensors[n].shape or (1,) for n in (name, node.outputs[0]))
    if is_layer(node):
        power = tap_power(node, graph, graph.constant(node.inputs[1]))
        return np.asarray(after @ power) * (np.prod(out[:-1]) / np.prod(shape[:-1]))
    if after.size == shape[-1]:
        return after * (np.prod(out) / np.prod(shape)) ** (2 if node.op == "average_pool2d" else 0)
    if after.size % shape[-1] == 0:
        return np.asarray(after.reshape(-1, shape[-1]).mean(axis=0))
    return np.full(shape[-1], after.mean())


def _group_range(group: ChannelGroup, name: str, ranges: Mapping[str, Array]) -> Array:
    return np.asarray(ranges[name].reshape(-1, group.channels).max(axis=0))


def _choose_scale(
    graph: Graph,
    group: ChannelGroup,
    channels: ChannelStatistics,
    importance: Mapping[str, Array],
    int16: Collection[str],
) -> Array | None:
    """The best scale vector of the family `range^-exponent`, by `_expected_noise`; None for no scaling."""
    spans = {name: _group_range(group, name, channels.ranges) for name in group.tensors}
    largest = np.max([span / max(float(span.max()), 1e-30) for span in spans.values()], axis=0)
    live = largest >= SMALLEST_CHANNEL
    if not live.any():
        return None
    plain = np.ones(group.channels)
    best: tuple[float, Array | None] = (
        WORTHWHILE * _expected_noise(graph, group, spans, channels.variances, importance, plain, int16),
        None,
    )
    for exponent in EXPONENTS:
        scale = np.where(live, np.maximum(largest, SMALLEST_CHANNEL) ** -exponent, 1.0)
        scale = 2.0 ** (np.rint(np.log2(scale) * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE)
        noise = float(f"{_expected_noise(graph, group, spans, channels.variances, importance, scale, int16):.4g}")
        if noise < best[0]:
            best = (noise, scale)
    return best[1]


def _expected_noise(
    graph: Graph,
    group: ChannelGroup,
    spans: Mapping[str, Array],
    variances: Mapping[str, Array],
    importance: Mapping[str, Array],
    scale: Array,
    int16: Collection[str],
) -> float:
    """Noise power at the outputs of the group's readers from rounding the tensors and the readers' weights."""
    total = 0.0
    for node in group.readers:
        name = node.inputs[0]
        repeat = graph.tensors[name].shape[-1] // group.channels
        s, span = np.tile(scale, repeat), np.tile(spans[name], repeat)
        weights = layer_constant(graph, node)
        out = importance[node.outputs[0]]
        step = float((span * s).max()) / (INT16_LARGEST if name in int16 else 255)
        total += step**2 / 12 * float(out @ tap_power(node, graph, weights) @ (1 / s**2))
        peak = spread(node, graph, np.abs(weights).reshape(len(weights), -1, weights.shape[-1]).max(axis=1)) / s
        connected = spread(node, graph, np.ones((len(weights), weights.shape[-1])))
        taps = weights[0].size / weights.shape[-1]
        energy = connected @ (variances[name] * s**2)
        weight_step = peak.max(axis=1) / 127
        total += ROUNDED_WEIGHT_NOISE * taps * float(out @ (weight_step**2 / 12 * energy))
    return total


def _apply(graph: Graph, group: ChannelGroup, scale: Array) -> None:
    """Multiply what the group's writers write by `scale`, and divide what its readers read."""
    for node in group.writers:
        factor = np.tile(scale, graph.tensors[node.outputs[0]].shape[-1] // group.channels)
        for place in range(1, len(node.inputs)):
            data = layer_constant(graph, node, place)
            _replace(graph, node, place, data * factor.reshape(-1, *[1] * (data.ndim - 1)))
    for node in group.readers:
        weights = layer_constant(graph, node)
        factor = np.tile(scale, graph.tensors[node.inputs[0]].shape[-1] // group.channels)
        rows = spread(node, graph, np.ones((len(weights), weights.shape[-1]))) * factor
        own = [row[row > 0] for row in rows]
        divisor = np.stack(own).reshape(len(weights), *[1] * (weights.ndim - 2), weights.shape[-1])
        _replace(graph, node, 1, weights / divisor)


def layer_constant(graph: Graph, node: Node, place: int = 1) -> Array:
    """The constant that the graph now has at that input of the node, which an earlier step may have replaced."""
    return graph.constant(graph.nodes[_index(graph, node)].inputs[place])


def _index(graph: Graph, node: Node) -> int:
    return next(i for i, n in enumerate(graph.nodes) if n.name == node.name)


def _replace(graph: Graph, node: Node, place: int, data: Array) -> None:
    """Give the node its own constant; other readers of the old one keep it."""
    index = _index(graph, node)
    current = graph.nodes[index]
    new = graph.add_constant(f"{node.name}.equalized", data.astype(np.float32))
    inputs = tuple(new if i == place else n for i, n in enumerate(current.inputs))
    graph.nodes[index] = replace(current, inputs=inputs)


def channel_statistics(
    graph: Graph, samples: Mapping[str, Rows], progress: Callable[[int, int], None] | None = None
) -> ChannelStatistics:
    """Statistics of all activations over the samples, with headroom for unseen ones; one pass."""
    names = [name for name in graph.activations() if graph.tensors[name].shape]
    done, total = 0, len(next(iter(samples.values())))
    kept = peak_count(total) + 1
    largest = {name: np.zeros((0, graph.tensors[name].shape[-1])) for name in names}
    sums = {name: np.zeros((2, graph.tensors[name].shape[-1])) for name in names}
    rows = dict.fromkeys(names, 0)
    for batch in evaluate_batches(graph, samples, keep=[*names, graph.inputs[0]]):
        for name in names:
            flat = batch[name].reshape(-1, batch[name].shape[-1])
            largest[name] = _largest_rows(largest[name], np.abs(flat), kept)
            sums[name] += (flat.sum(axis=0, dtype=np.float64), np.einsum("ij,ij->j", flat, flat, dtype=np.float64))
            rows[name] += len(flat)
        done += len(batch[graph.inputs[0]])
        if progress is not None:
            progress(min(done, total), total)
    variances = {name: np.maximum(s[1] / rows[name] - (s[0] / rows[name]) ** 2, 0.0) for name, s in sums.items()}
    return ChannelStatistics({name: _with_headroom(graph, name, largest[name], total) for name in names}, variances)


def _largest_rows(known: Array, values: Array, count: int) -> Array:
    """The `count` largest of each column of both, descending."""
    if len(values) > count:
        values = np.partition(values, len(values) - count, axis=0)[-count:]
    return -np.sort(-np.concatenate([known, values]), axis=0)[:count]


def _with_headroom(graph: Graph, name: str, largest: Array, samples: int) -> Array:
    elements = max(1, graph.tensors[name].size // graph.tensors[name].shape[-1])
    tails = (Tails(column, np.zeros(len(column)), samples, elements) for column in largest.T)
    return np.array([range_with_headroom(tail)[1] for tail in tails])

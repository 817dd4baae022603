"""Repairing a pruned graph on calibration data: biases that keep the mean, weights that keep the least squared error.

Mean: M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, Data-Free Quantization Through Weight Equalization and Bias
Correction, 2019.  Least squares: Y. He, X. Zhang, J. Sun, Channel Pruning for Accelerating Very Deep Neural Networks,
2017; J.-H. Luo, J. Wu, W. Lin, ThiNet, 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import is_batchable
from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.operator import apply_clip
from mcugen.ops.weighted import has_weights
from mcugen.ops.window import pad_image, windows
from mcugen.prune.groups import mixes_channels

Array = npt.NDArray[Any]
Values = list[dict[str, Array]]

MOST_SAMPLES = 128
CHUNK = 16
SMALLEST_RIDGE = 1e-30
MOST_ROWS = 1 << 14
"""Outputs that a least-squares fit looks at, evenly drawn."""
RIDGE = 0.1
"""Of the mean square of a layer's inputs: it keeps the solution near the old weights where the data does not decide."""


def match(
    before: Graph,
    after: Graph,
    samples: Mapping[str, Array],
    *,
    keep: Mapping[str, Array] | None = None,
    reconstruct: bool = False,
) -> Graph:
    """`after` with the bias of every layer set so that its output keeps the mean that it has in `before`.

    Layers are repaired in order, each on what the repaired layers before it give.  `keep` says which channels of
    `before` are left in `after`, bool `[channels]` by tensor.  With `reconstruct` the weights of convolutions (not
    grouped) and fully connected layers are changed to the least squared error, too.  Uses at most 128 samples, evenly
    drawn.
    """
    result, before = after.copy(), before.pruned()
    place = {node.outputs[0]: i for i, node in enumerate(after.nodes)}
    pairs = list(zip(_chunks(before, samples), _chunks(before, samples), strict=True))
    last = {name: i for i, node in enumerate(before.nodes) for name in node.inputs}
    for i, node in enumerate(before.nodes):
        new = after.nodes[place[node.outputs[0]]]
        wanted = [_evaluate(before, _unclipped(node), values) for values, _ in pairs]
        if has_weights(node):
            mask = None if keep is None else keep[node.outputs[0]]
            targets = [arrays[0] if mask is None else arrays[0][..., mask] for arrays in wanted]
            new = _repair(result, new, [values for _, values in pairs], targets, reconstruct=reconstruct)
            result.nodes[place[node.outputs[0]]] = new
        for (was, now), arrays in zip(pairs, wanted, strict=True):
            now.update(zip(new.outputs, _evaluate(result, new, now), strict=True))
            was.update(zip(node.outputs, (apply_clip(node, array) for array in arrays), strict=True))
            for name in node.inputs:
                if last[name] == i:
                    was.pop(name, None)
                    now.pop(name, None)
    return result.pruned()


def _chunks(graph: Graph, samples: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """The inputs of some samples at a time, as arrays that the operators take."""
    total = len(next(iter(samples.values())))
    chosen = np.unique(np.linspace(0, total - 1, min(total, MOST_SAMPLES)).astype(int))
    size = CHUNK if is_batchable(graph) else 1
    for start in range(0, len(chosen), size):
        index = chosen[start : start + size]
        shapes = {name: graph.tensors[name].shape for name in graph.inputs}
        yield {name: samples[name][index].reshape((-1, *shape[1:]) if shape else ()) for name, shape in shapes.items()}


def _evaluate(graph: Graph, node: Node, values: Mapping[str, Array]) -> list[Array]:
    inputs = [values[name] if name in values else graph.constant(name) for name in node.inputs]
    return operator(node.op).evaluate(node, inputs)


def _unclipped(node: Node) -> Node:
    """The node without its fused activation; a clip of its own stays, and clipping its result again changes nothing."""
    if not operator(node.op).fuses_clip:
        return node
    return replace(node, attrs={k: v for k, v in node.attrs.items() if k not in ("clip_min", "clip_max")})


def _repair(graph: Graph, node: Node, values: Values, targets: list[Array], *, reconstruct: bool) -> Node:
    """The node with new constants, put into the graph."""
    plain = _unclipped(node)
    if reconstruct and mixes_channels(node):
        weights = _least_squares(graph, plain, values, targets)
        plain = replace(plain, inputs=(node.inputs[0], graph.add_constant(node.inputs[1], weights), *node.inputs[2:]))
    channels = targets[0].shape[-1]
    missing, count = np.zeros(channels), 0
    for chunk, target in zip(values, targets, strict=True):
        got = _evaluate(graph, plain, chunk)[0]
        missing += (target.astype(np.float64) - got).reshape(-1, channels).sum(axis=0)
        count += target.size // channels
    bias = missing / count
    if len(node.inputs) > 2:
        bias += graph.constant(node.inputs[2])
    name = graph.add_constant(f"{node.name}.bias", bias.astype(np.float32))
    return replace(node, inputs=(*plain.inputs[:2], name))


def _least_squares(graph: Graph, node: Node, values: Values, targets: list[Array]) -> Array:
    """Weights W + D, where D minimises |target - (W + D) x|^2 + ridge |D|^2, means taken off both, over the samples."""
    weights = graph.constant(node.inputs[1]).astype(np.float64)
    flat = weights.reshape(weights.shape[0], -1)
    x, residual = [], []
    for chunk, target in zip(values, targets, strict=True):
        rows = target.reshape(-1, len(flat))
        step = -(-len(rows) * len(targets) // MOST_ROWS)
        x.append(_patches(node, chunk[node.inputs[0]], weights.shape)[::step].astype(np.float64))
        residual.append(rows[::step] - x[-1] @ flat.T)
    a, b = (part - part.mean(axis=0) for part in (np.concatenate(x), np.concatenate(residual)))
    ridge = RIDGE * float(np.square(a).sum()) / a.shape[1] + SMALLEST_RIDGE
    if len(a) < a.shape[1]:
        change = a.T @ np.linalg.solve(a @ a.T + ridge * np.eye(len(a)), b)
    else:
        change = np.linalg.solve(a.T @ a + ridge * np.eye(a.shape[1]), a.T @ b)
    return np.asarray((flat + change.T).reshape(weights.shape), np.float32)


def _patches(node: Node, x: Array, shape: tuple[int, ...]) -> Array:
    """What each output reads, `[outputs, depth]`."""
    if node.op == "fully_connected":
        return x.reshape(-1, shape[1])
    a = node.attrs
    view = windows(pad_image(x, a["pads"], 0), shape[1:3], a["strides"], a["dilations"])
    return view.reshape(-1, int(np.prod(shape[1:])))

"""What a layer's weights see: rows of input values at sampled output positions, for the methods that choose integers by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Node
from mcugen.ops.window import pad_image, windows

Array = npt.NDArray[Any]

FEWEST_ROWS = 2048


def weight_matrix(node: Node, weights: Array) -> Array:
    """The weights as [groups, outputs of a group, depth], float64; every group reads its own input channels."""
    groups = group_count(node, weights)
    return weights.reshape(groups, len(weights) // groups, -1).astype(np.float64)


def group_count(node: Node, weights: Array) -> int:
    """How many separate matrix products the layer is."""
    if node.op == "depthwise_conv2d":
        return len(weights)
    return int(node.attrs.get("groups", 1))


def sample_positions(count: int, width: int, *, limit: int, seed: int) -> Array:
    """Sorted numbers of positions out of `count`: all of them, or as many rows of `width` values as `limit` allows."""
    rows = max(FEWEST_ROWS, limit // width)
    if count <= rows:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, rows, replace=False))


def input_rows(node: Node, x: Array, weights: Array, positions: Array) -> Array:
    """Input values [groups, positions, depth] in the order of `weight_matrix`; `x` has zero where the layer pads."""
    if node.op == "fully_connected":
        return x.reshape(1, -1, x.shape[-1])[:, positions]
    a = node.attrs
    view = windows(pad_image(x, a["pads"], 0), weights.shape[1:3], a["strides"], a["dilations"])
    n, out_h, out_w = view.shape[:3]
    sample, y, column = np.unravel_index(positions, (n, out_h, out_w))
    patches = view[sample, y, column]
    groups = group_count(node, weights)
    if node.op == "depthwise_conv2d":
        rows = patches.reshape(len(positions), -1, patches.shape[-1]).transpose(2, 0, 1)
        return np.repeat(rows, groups // patches.shape[-1], axis=0)
    depth = weights.shape[-1]
    parts = [patches[..., g * depth : (g + 1) * depth].reshape(len(positions), -1) for g in range(groups)]
    return np.stack(parts)

"""Depthwise convolution on cores without packed arithmetic: two rows of one channel at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.cost_scalar import depthwise_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_scalar import PAIR_LIMIT, Words, round_up, scalar_requantization
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_s8_scalar` kernel, for columns that are not dilated and begin at most at the image's end."""
    if "scalar" not in target.variants or layer.dilation_w != 1:
        return
    records = pack_channels(layer)
    if records is None:
        return
    params = convolution_params(layer) | {"channel_multiplier": layer.out_c // layer.in_c}
    del params["dilation_w"]
    taps = layer.kernel_h * layer.kernel_w
    columns = (layer.out_w - 1) * layer.stride_w + layer.kernel_w
    if columns < layer.pad_left:
        return
    yield KernelCall(
        function="mcugen_depthwise_conv2d_s8_scalar",
        headers=("depthwise_conv2d_s8_scalar.h",),
        params=params,
        constants={"channels": records},
        scratch=4 * (round_up(taps, 2) + columns * layer.kernel_h + 1),
        overlap={0: row_pair_overlap(layer)},
        cycles=depthwise_cycles(layer, columns),
        code_bytes=284,
        shared_code=shared("mcugen_depthwise_rows_s8_scalar", "mcugen_strip_s8_scalar"),
        variant="scalar",
    )


def pack_channels(layer: ConvLayer) -> Words | None:
    """Records as the kernel's struct describes them; None where the layer's integers are out of the kernel's range."""
    scaled = scalar_requantization(layer)
    taps = layer.kernel_h * layer.kernel_w
    weights = np.zeros((layer.out_c, round_up(taps, 4)), np.int8)
    columnwise = layer.weights.reshape(layer.out_c, layer.kernel_h, layer.kernel_w).transpose(0, 2, 1)
    weights[:, :taps] = columnwise.reshape(layer.out_c, taps)
    if scaled is None or np.abs(weights.astype(np.int64)).reshape(layer.out_c, -1, 2).sum(axis=2).max() > PAIR_LIMIT:
        return None
    bias, multiplier = (column.astype(np.int32).view(np.uint32)[:, None] for column in scaled)
    return np.concatenate([bias, multiplier, weights.view("<u4").astype(np.uint32)], axis=1).reshape(-1)


def row_pair_overlap(layer: ConvLayer) -> int:
    """How far before its input the output must begin where two rows of all channels are written while they are read."""
    distance = 0
    for first in range(0, layer.out_h, 2):
        written = min(first + 2, layer.out_h) * layer.out_w * layer.out_c
        needed = max(0, first * layer.stride_h - layer.pad_top) * layer.in_w * layer.in_c
        distance = max(distance, written - min(needed, layer.in_h * layer.in_w * layer.in_c))
    return distance

"""Depthwise convolution that reads or writes int16 on cores with MVE: 8 channels of a pixel at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.depthwise_conv2d_mve import LANES, pack_channels, row_overlap
from mcugen.kernels.layer import ConvLayer, convolution_params, plain_overlap
from mcugen.kernels.pack_mve import VECTOR, round_up
from mcugen.kernels.pack_s16_mve import can_scale
from mcugen.kernels.pool_dsp import taps_of
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d_s16"
FIELDS_3X3 = (
    *("in_h", "in_w", "in_c", "out_h", "out_w", "stride_h", "stride_w", "pad_top", "pad_left", "out_zero_point"),
    *("act_min", "act_max"),
)


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_s16_mve` kernel, and for 3x3 windows over int16 one that keeps rows in scratch."""
    one_each = layer.out_c == layer.in_c == layer.groups
    if "mve" not in target.variants or not one_each or not can_scale(layer):
        return
    params = convolution_params(layer)
    del params["out_c"]
    zero = layer.in_zero_point * layer.weights.reshape(layer.out_c, -1).astype(np.int64).sum(axis=1)
    multiplier, shift = layer.multiplier.astype(np.int64), layer.shift.astype(np.int64)
    scales = [multiplier, shift] if layer.in_bytes == 1 else [multiplier]
    constants = {"weights": pack_channels(layer, layer.bias.astype(np.int64) + zero, scales)}
    yield KernelCall(
        function="mcugen_depthwise_conv2d_s16_mve",
        headers=("depthwise_conv2d_s16_mve.h",),
        params={**params, "in_bytes": layer.in_bytes, "out_bytes": layer.out_bytes},
        constants=constants,
        overlap={0: plain_overlap(layer)},
        cycles=depthwise_cycles(layer),
        code_bytes=440,
        variant="mve",
    )
    window = (layer.kernel_h, layer.kernel_w, layer.dilation_h, layer.dilation_w)
    if window == (3, 3, 1, 1) and layer.in_bytes == 2 and layer.stride_h <= 3 and layer.pad_left <= 2:
        columns = (layer.out_w - 1) * layer.stride_w + 3
        kind = "s16_s8" if layer.out_bytes == 1 else "s16"
        yield KernelCall(
            function="mcugen_depthwise_conv2d_3x3_s16_mve",
            headers=("depthwise_conv2d_3x3_s16_mve.h",),
            params={name: params[name] for name in FIELDS_3X3} | {"out_bytes": layer.out_bytes},
            constants=constants,
            scratch=3 * (round_up(columns * layer.in_c * 2, 4) + VECTOR) + VECTOR,
            overlap={0: row_overlap(layer)},
            over_read={0: -layer.in_w * layer.in_c * 2 % VECTOR},
            cycles=row_cycles(layer, columns),
            code_bytes=300,
            shared_code=shared(f"mcugen_depthwise_row_{kind}_mve"),
            variant="mve",
        )


def depthwise_cycles(layer: ConvLayer) -> float:
    """Instructions of the whole layer by the kernel for every window, which leaves out padded taps."""
    params = convolution_params(layer)
    rows, columns = taps_of(params, "h"), taps_of(params, "w")
    taps, lines = int(rows.sum()) * int(columns.sum()), int(rows.sum()) * len(columns)
    blocks, narrow = -(-layer.in_c // LANES), int(layer.in_bytes == 1)
    pixels = len(rows) * len(columns)
    return 40 + pixels * 30 + blocks * (pixels * (30 + 6 * narrow) + lines * 8 + taps * (9.5 + narrow))


def row_cycles(layer: ConvLayer, columns: int) -> float:
    """Instructions of the whole layer by the kernel for 3x3 windows."""
    pixel = 9.0 + 75 * -(-layer.in_c // LANES)
    rows = layer.out_h * layer.stride_h
    copy = 40 + 4.0 * -(-columns * layer.in_c * 2 // VECTOR)
    return rows * copy + layer.out_h * (50 + layer.out_w * pixel)

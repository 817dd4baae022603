"""Depthwise convolution that reads or writes int16 on cores with the DSP instructions: 2 channels at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mcugen.kernels.conv2d_dsp import inner_pixels
from mcugen.kernels.layer import ConvLayer, plain_overlap
from mcugen.kernels.pack_s16_dsp import Requantization, requantization, store_kind
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d_s16"
FIELDS = (
    "in_bytes", "in_h", "in_w", "out_h", "out_w", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h",
    "dilation_w", "pad_top", "pad_left", "in_zero_point", "out_zero_point", "act_min", "act_max",
)  # fmt: skip

FIELDS_OF_3X3 = frozenset(
    ("store", "in_h", "in_w", "channels", "out_h", "out_w", "stride_h", "stride_w", "pad_top", "pad_left", "out_zero_point",
     "act_min", "act_max")
)  # fmt: skip


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_s16_dsp` kernel, for one output channel for each input channel, and that for 3x3 windows of int16."""
    scale = requantization(layer)
    if "dsp" not in target.variants or layer.out_c != layer.in_c or layer.groups != layer.in_c or scale is None:
        return
    params = layer.fields(*FIELDS) | {"channels": layer.in_c}
    general = KernelCall(
        function="mcugen_depthwise_conv2d_s16_dsp",
        headers=("depthwise_conv2d_s16_dsp.h",),
        params=params | {"store": store_kind(layer.out_dtype, layer.act_min), "in_shift": scale.in_shift},
        constants={"weights": pack_pairs(layer, scale)},
        overlap={0: plain_overlap(layer, "row")},
        over_read={0: layer.in_c % 2 * layer.in_bytes},
        cycles=depthwise_cycles(layer),
        code_bytes=700,
        variant="dsp",
    )
    yield general
    if scale.in_shift == 0 and takes_pairs(layer):
        yield dataclasses.replace(
            general,
            function="mcugen_depthwise_conv2d_3x3_s16_dsp",
            headers=("depthwise_conv2d_3x3_s16_dsp.h",),
            params={field: value for field, value in general.params.items() if field in FIELDS_OF_3X3},
            cycles=pair_cycles(layer),
            code_bytes=600,
            shared_code=shared("mcugen_depthwise_pair_s16_dsp"),
        )


def takes_pairs(layer: ConvLayer) -> bool:
    """Whether every pair of pixels misses at most its first or its last column."""
    kernel = (layer.kernel_h, layer.kernel_w, layer.dilation_h, layer.dilation_w) == (3, 3, 1, 1)
    if not kernel or layer.in_dtype != "int16" or layer.in_c % 2 or layer.out_w < 2 or layer.pad_left > 1:
        return False
    apart = layer.stride_w
    ends = (layer.out_w - 1) * apart - layer.pad_left + 3
    first_fits = layer.pad_left == 0 or apart + 2 <= layer.in_w
    return apart in (1, 2) and ends <= layer.in_w + 1 and first_fits


def pack_pairs(layer: ConvLayer, scale: Requantization) -> npt.NDArray[np.uint32]:
    """For every two channels initial[2], a word of both weights for each tap, multiplier[2]; inputs count less their zero point."""
    channels = layer.out_c + layer.out_c % 2
    weights = np.zeros((channels, layer.depth), np.int64)
    weights[: layer.out_c] = layer.weights.reshape(layer.out_c, -1)
    zero = layer.in_zero_point << scale.in_shift
    initial, multiplier = (np.zeros((channels, 1), np.int64) for _ in range(2))
    initial[: layer.out_c, 0] = scale.bias + zero * weights[: layer.out_c].sum(axis=1)
    multiplier[: layer.out_c, 0] = scale.multiplier
    taps = (weights[0::2] & 0xFFFF) | (weights[1::2] & 0xFFFF) << 16
    columns = [initial[0::2], initial[1::2], taps, multiplier[0::2], multiplier[1::2]]
    return (np.concatenate(columns, axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def depthwise_cycles(layer: ConvLayer) -> float:
    """Cortex-M4 cycles, fitted to what was measured with gcc, within 12 %."""
    inner = inner_pixels(layer)
    outer = layer.out_h * layer.out_w - inner
    inner_tap, outer_tap = (8.5, 11.0) if layer.in_bytes == 2 else (15.5, 15.0)
    return 60 + -(-layer.in_c // 2) * (inner * (18 + inner_tap * layer.depth) + outer * (30 + outer_tap * layer.depth))


def pair_cycles(layer: ConvLayer) -> float:
    """Cortex-M4 cycles of the 3x3 kernel, fitted to what was measured with gcc, within 3 %."""
    y = np.arange(layer.out_h) * layer.stride_h - layer.pad_top
    inside = int(np.sum((y >= 0) & (y + 3 <= layer.in_h)))
    pairs = -(-layer.in_c // 2)
    edges = (layer.out_h - inside) * layer.out_w * (100 + pairs * 110)
    return 60 + edges + inside * (40 + -(-layer.out_w // 2) * (110 + pairs * (102 + 6 * (layer.stride_w - 1))))

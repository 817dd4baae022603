"""Depthwise convolution with one output a channel on cores with MVE: 8 channels of a pixel at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mcugen.kernels.conv2d_dsp import inner_pixels
from mcugen.kernels.conv2d_mve import window_cycles
from mcugen.kernels.depthwise_conv2d_dsp import pixel_overlap
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.overlap import access_distance
from mcugen.kernels.pack_mve import VECTOR, clamp_cycles, needs_any, round_up
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
LANES = 8
FIELDS_3X3 = (
    *("in_h", "in_w", "in_c", "out_h", "out_w", "stride_h", "stride_w", "pad_top", "pad_left"),
    *("in_zero_point", "out_zero_point", "act_min", "act_max"),
)


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_s8_mve` kernel, and for 3x3 windows one that keeps rows in scratch."""
    if "mve" not in target.variants or layer.out_c != layer.in_c:
        return
    flags = {"pairs": int(has_pairs(layer)), "any": int(needs_any(layer))}
    params = convolution_params(layer) | flags
    del params["out_c"]
    constants = {"weights": pack_weights(layer)}
    yield KernelCall(
        function="mcugen_depthwise_conv2d_s8_mve",
        headers=("depthwise_conv2d_s8_mve.h",),
        params=params,
        constants=constants,
        scratch=layer.depth * layer.in_c + VECTOR,
        overlap={0: pixel_overlap(layer)},
        over_read={0: VECTOR - 1},
        cycles=depthwise_cycles(layer),
        code_bytes=320,
        shared_code=shared("mcugen_depthwise_pixel_mve"),
        variant="mve",
    )
    window = (layer.kernel_h, layer.kernel_w, layer.dilation_h, layer.dilation_w)
    if window == (3, 3, 1, 1) and flags == {"pairs": 1, "any": 0} and layer.stride_h <= 3 and layer.pad_left <= 2:
        columns = (layer.out_w - 1) * layer.stride_w + 3
        yield KernelCall(
            function="mcugen_depthwise_conv2d_3x3_s8_mve",
            headers=("depthwise_conv2d_3x3_s8_mve.h",),
            params={name: params[name] for name in FIELDS_3X3},
            constants=constants,
            scratch=3 * (round_up(columns * layer.in_c, 4) + VECTOR) + VECTOR,
            overlap={0: row_overlap(layer)},
            over_read={0: -layer.in_w * layer.in_c % VECTOR},
            cycles=row_cycles(layer, columns),
            code_bytes=300,
            shared_code=shared("mcugen_depthwise_row_3x3_mve"),
            variant="mve",
        )


def row_overlap(layer: ConvLayer) -> int:
    """How far before its input the output must begin where a row is computed behind the last of its input rows is copied."""
    end = np.minimum(np.arange(layer.out_h) * layer.stride_h - layer.pad_top + 3, layer.in_h).clip(0)
    start = np.concatenate([[0], end[:-1]])
    row, out_row = layer.in_w * layer.in_c * layer.in_bytes, layer.out_w * layer.in_c * layer.out_bytes
    first = np.arange(layer.out_h) * out_row
    return access_distance(
        *(start * row, end * row, first, first + out_row),
        read_size=layer.in_h * row,
        buffered=True,
    )


def has_pairs(layer: ConvLayer) -> bool:
    """Whether two neighbouring taps of a row always fit 16 bits together."""
    size = np.abs(layer.weights.astype(np.int64)).reshape(layer.out_c, layer.kernel_h, layer.kernel_w)
    even = size[:, :, : layer.kernel_w // 2 * 2]
    return bool(np.all(even[:, :, 0::2] + even[:, :, 1::2] <= 255))


def pack_weights(layer: ConvLayer) -> npt.NDArray[np.int32]:
    """The stream of depthwise_pixel_s8_mve.h."""
    multiplier = layer.multiplier.astype(np.int64)
    scales = [multiplier, layer.shift.astype(np.int64)] if needs_any(layer) else [multiplier // 2]
    return pack_channels(layer, layer.bias.astype(np.int64), scales)


def pack_channels(
    layer: ConvLayer, bias: npt.NDArray[np.int64], scales: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int32]:
    """For every 8 channels bias[8], weights[taps][8] and each of the scales [8]; of words first the even channels."""
    taps = layer.kernel_h * layer.kernel_w
    channels = round_up(layer.in_c, LANES)
    padded = np.zeros((channels, taps), np.int8)
    padded[: layer.in_c] = layer.weights.reshape(layer.in_c, taps)
    tiles = padded.reshape(-1, LANES, taps).transpose(0, 2, 1)
    words = np.ascontiguousarray(tiles).view(np.uint8).reshape(channels // LANES, -1).view("<i4")
    parts = [_even_odd(bias, channels), words, *(_even_odd(scale, channels) for scale in scales)]
    return np.concatenate(parts, axis=1).reshape(-1)


def _even_odd(values: npt.NDArray[np.int64], channels: int) -> npt.NDArray[np.int32]:
    """`[blocks, 8]`: of every 8 channels first the even ones."""
    padded = np.zeros(channels, np.int32)
    padded[: values.size] = values
    return padded.reshape(-1, 4, 2).transpose(0, 2, 1).reshape(-1, LANES)


def depthwise_cycles(layer: ConvLayer) -> float:
    """Instructions of the whole layer by the kernel for every window."""
    pairs, single = divmod(layer.kernel_w, 2) if has_pairs(layer) else (0, layer.kernel_w)
    block = 75.0 + layer.kernel_h * (22 + 17 * pairs + 9 * single)
    pixels = layer.out_h * layer.out_w
    copied = window_cycles(layer) * (1 - inner_pixels(layer) / pixels)
    return pixels * (60 + block * -(-layer.in_c // LANES)) + copied + clamp_cycles(layer)


def row_cycles(layer: ConvLayer, columns: int) -> float:
    """Instructions of the whole layer by the kernel for 3x3 windows."""
    pixel = 9.0 + 73 * -(-layer.in_c // LANES)
    rows = layer.out_h * layer.stride_h
    copy = 50 + 5.0 * -(-columns * layer.in_c // VECTOR)
    return rows * copy + layer.out_h * (50 + layer.out_w * pixel) + clamp_cycles(layer)

"""Depthwise convolution of any shape on cores with the DSP instructions: 4 channels and two taps at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
FIELDS = (
    *("in_h", "in_w", "in_c", "out_h", "out_w", "kernel_h", "kernel_w", "stride_h", "stride_w"),
    *("dilation_h", "dilation_w", "pad_top", "pad_left", "in_zero_point", "out_zero_point", "act_min", "act_max"),
)


def pack_weights(layer: ConvLayer) -> npt.NDArray[np.uint32]:
    """The stream of depthwise_conv2d_s8_dsp.h: biases, weights and requantization of 4 channels after the other."""
    quads, multiplier = -(-layer.in_c // 4), layer.out_c // layer.in_c
    taps = layer.kernel_h * layer.kernel_w
    padded = np.zeros((quads * 4, multiplier, taps + taps % 2), np.int8)
    padded[: layer.in_c, :, :taps] = layer.weights.reshape(layer.in_c, multiplier, taps)
    # [quad, output, pair of taps, half of the quad, tap of the pair, channel of the half]
    tiles = padded.reshape(quads, 2, 2, multiplier, -1, 2).transpose(0, 3, 4, 1, 5, 2)
    words = np.ascontiguousarray(tiles).view(np.uint8).reshape(quads, multiplier, -1).view("<u4")
    shift = _by_quad(layer.shift.astype(np.int64), layer)
    bias = _by_quad(layer.bias.astype(np.int64), layer)
    shifts = (shift << np.arange(0, 32, 8)).sum(axis=2, keepdims=True)
    parts = [bias, words.astype(np.int64), _by_quad(layer.multiplier.astype(np.int64), layer), shifts]
    return (np.concatenate(parts, axis=2) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def _by_quad(values: npt.NDArray[np.int64], layer: ConvLayer) -> npt.NDArray[np.int64]:
    """Per-channel values `[out_c]` as `[quad, output of a channel, channel of the quad]`, filled up with zeros."""
    quads, multiplier = -(-layer.in_c // 4), layer.out_c // layer.in_c
    padded = np.zeros((quads * 4, multiplier), np.int64)
    padded[: layer.in_c] = values.reshape(layer.in_c, multiplier)
    return padded.reshape(quads, 4, multiplier).transpose(0, 2, 1)


def pixel_overlap(layer: ConvLayer) -> int:
    """How far before its input the output of a kernel must begin that computes pixel after pixel, row by row."""
    y = np.arange(layer.out_h)[:, None] * layer.stride_h - layer.pad_top
    x = np.arange(layer.out_w)[None, :] * layer.stride_w - layer.pad_left
    here = y.clip(0) * layer.in_w + np.where(y >= 0, x.clip(0), 0)
    next_row = (y + layer.stride_h).clip(0) * layer.in_w
    needed = np.minimum(here, next_row) * layer.in_c
    written = (np.arange(layer.out_h * layer.out_w).reshape(here.shape) + 1) * layer.out_c
    return max(0, int((written - needed).max()))


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_s8_dsp` kernel, for every depthwise layer."""
    if "dsp" not in target.variants:
        return
    pairs = (layer.kernel_h * layer.kernel_w + 1) // 2
    yield KernelCall(
        function="mcugen_depthwise_conv2d_s8_dsp",
        headers=("depthwise_conv2d_s8_dsp.h",),
        params=layer.fields(*FIELDS) | {"channel_multiplier": layer.out_c // layer.in_c},
        constants={"weights": pack_weights(layer)},
        scratch=8 * pairs + -(-layer.in_c // 4) * 4,
        overlap={0: pixel_overlap(layer)},
        over_read={0: -layer.in_c % 4},
        cycles=depthwise_cycles(layer),
        code_bytes=296,
        shared_code=shared("mcugen_depthwise_pixel_s8_dsp"),
        variant="dsp",
    )


def depthwise_cycles(layer: ConvLayer) -> float:
    """Cortex-M4 cycles, fitted to 11 measured layers (within 4 %); words that are not aligned cost a cycle more.

    Windows inside the image share their pointers with the one before them.
    """
    taps = layer.kernel_h * layer.kernel_w
    inside = [
        int(np.sum((start >= 0) & (start + (kernel - 1) * dilation < size)))
        for start, kernel, dilation, size in (
            (np.arange(layer.out_h) * layer.stride_h - layer.pad_top, layer.kernel_h, layer.dilation_h, layer.in_h),
            (np.arange(layer.out_w) * layer.stride_w - layer.pad_left, layer.kernel_w, layer.dilation_w, layer.in_w),
        )
    ]
    pixels = layer.out_h * layer.out_w
    pointed = pixels - inside[0] * max(0, inside[1] - 1)
    quads = -(-layer.in_c // 4) * (layer.out_c // layer.in_c)
    pair = 25.1 + (1.5 if layer.in_c % 4 else 0.0)
    return pointed * 14.6 * taps + pixels * (58.0 + quads * (58.0 + pair * ((taps + 1) // 2)))

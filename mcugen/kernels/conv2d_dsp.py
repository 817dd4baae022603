"""Convolution of any kernel, stride, dilation and padding on cores with the DSP instructions: 3 channels of
2 pixels at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mcugen.kernels.cost_dsp import matmul_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.overlap import access_distance
from mcugen.kernels.pack_dsp import blocks_of_3_and_2, pack_stream, scaled_requantization
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"
BATCH_BYTES = 512
"""Columns of several pixel pairs are unpacked at once up to this size."""

POINT_BYTES, INNER_BYTES, PADDED_BYTES, SHARED_BYTES = 256, 392, 508, 112
"""Code of one layer with 1x1 windows, larger ones inside the image, and others; code and parameters where it is shared."""
BLOCKS = ("mcugen_matmul_s8_dsp", "mcugen_column_rows_s8_dsp")


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_s8_dsp` kernel, for one group and at least 2 output channels; specialised or shared."""
    if "dsp" not in target.variants or layer.groups != 1 or layer.out_c < 2:
        return
    scaled = scaled_requantization(layer)
    if scaled is None:
        return
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    threes, twos = blocks_of_3_and_2(layer.out_c)
    pixels = layer.out_h * layer.out_w
    steps = -(-layer.depth // 4)
    batch = max(1, min(BATCH_BYTES // (16 * steps), pixels // 2))
    staged = 4 * steps if layer.in_c % 4 else 0
    call = KernelCall(
        function="mcugen_conv2d_s8_dsp",
        headers=("conv2d_s8_dsp.h",),
        params={**convolution_params(layer), "blocks3": threes, "batch": batch},
        constants={"weights": pack_stream(weights, *scaled, [3] * threes + [2] * twos)},
        scratch=16 * steps * batch + staged,
        overlap={0: pixel_overlap(layer, 2 * batch)},
        over_read={0: -layer.kernel_w * layer.in_c % 4 if layer.kernel_h == 1 else 0},
        cycles=matmul_cycles(steps, threes, twos, pixels, batch) + window_cycles(layer, steps),
        code_bytes=specialized_bytes(layer),
        shared_code=shared(*BLOCKS),
        variant="dsp",
    )
    yield call
    if staged == 0:
        yield dataclasses.replace(
            call,
            inline=False,
            code_bytes=SHARED_BYTES,
            shared_code=shared(*BLOCKS, "mcugen_conv2d_s8_dsp_shared"),
            cycles=call.cycles + 66 * pixels,
        )


def specialized_bytes(layer: ConvLayer) -> int:
    if inner_pixels(layer) < layer.out_h * layer.out_w:
        return PADDED_BYTES
    return POINT_BYTES if layer.kernel_h * layer.kernel_w == 1 else INNER_BYTES


def pixel_overlap(layer: ConvLayer, pixels: int, *, buffered: bool = True) -> int:
    """How far before its input the output must begin where `pixels` pixels are computed at a time, in ascending order.

    `buffered`: their windows have been read before the first of them is written.
    """
    y, x = (a.reshape(-1) for a in np.mgrid[: layer.out_h, : layer.out_w])
    y0 = y * layer.stride_h - layer.pad_top
    x0 = x * layer.stride_w - layer.pad_left
    pixel = layer.in_c * layer.in_bytes
    row = layer.in_w * pixel
    lowest = np.maximum(y0, 0) * row + np.maximum(x0, 0) * pixel
    y_end = np.minimum(y0 + (layer.kernel_h - 1) * layer.dilation_h, layer.in_h - 1)
    highest = y_end * row + (np.minimum(x0 + (layer.kernel_w - 1) * layer.dilation_w, layer.in_w - 1) + 1) * pixel
    first = np.arange(0, y.size, pixels)
    last = np.minimum(first + pixels, y.size)
    return access_distance(
        np.minimum.reduceat(lowest, first),
        np.maximum.reduceat(highest, first),
        first * layer.out_c * layer.out_bytes,
        last * layer.out_c * layer.out_bytes,
        read_size=layer.in_h * row,
        buffered=buffered,
    )


def inner_pixels(layer: ConvLayer) -> int:
    """How many windows lie wholly in the image and are unpacked in one go; none where the taps of a row are apart."""
    y = np.arange(layer.out_h) * layer.stride_h - layer.pad_top
    x = np.arange(layer.out_w) * layer.stride_w - layer.pad_left
    rows = (y >= 0) & (y + (layer.kernel_h - 1) * layer.dilation_h < layer.in_h)
    columns = (x >= 0) & (x + (layer.kernel_w - 1) * layer.dilation_w < layer.in_w)
    return int(rows.sum() * columns.sum()) if layer.dilation_w == 1 else 0


def window_cycles(layer: ConvLayer, steps: int) -> float:
    """Unpacking all windows, `steps` words each; fitted, within 2 % of a layer (6 % where in_c is no multiple of 4)."""
    inner = inner_pixels(layer)
    outer = layer.out_h * layer.out_w - inner
    rows = layer.kernel_h
    runs = rows * (1 if layer.dilation_w == 1 else layer.kernel_w)
    run = layer.kernel_w * layer.in_c
    unpack = 6.25 * steps * (inner + outer)
    if layer.in_c % 4 == 0:
        return unpack + inner * (53 + rows * (9.5 + 2 * (run // 4 % 2))) + outer * (221 + 33 * runs)
    edge = outer * (136 + 2.5 * runs + 9.3 * layer.depth)
    if run % 4 == 0 or rows == 1:
        return unpack + edge + inner * (53 + 9.5 * rows)
    return unpack + edge + inner * (85 + rows * (11.8 + 6.15 * -(-run // 4)))

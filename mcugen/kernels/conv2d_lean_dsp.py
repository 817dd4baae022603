"""Convolution on cores with the DSP instructions with half the scratch of `conv2d_dsp`, for a few more cycles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mcugen.kernels.conv2d_1x1_dsp import is_pointwise
from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.cost_dsp import matmul_lean_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_dsp import blocks_of_3_and_2, pack_stream, scaled_requantization
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"

POINT_BYTES, INNER_BYTES, PADDED_BYTES, SHARED_BYTES = 192, 368, 464, 108
"""Code of one layer with 1x1 windows, larger ones inside the image, and others; code and parameters where it is shared."""
BLOCK = "mcugen_matmul_lean_s8_dsp"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_lean_s8_dsp` kernel, for one group, input channels in fours and at least 2 output channels.

    Specialised or shared.
    """
    if "dsp" not in target.variants or layer.groups != 1 or layer.out_c < 2 or layer.in_c % 4:
        return
    scaled = scaled_requantization(layer)
    if scaled is None:
        return
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    threes, twos = blocks_of_3_and_2(layer.out_c)
    steps = layer.depth // 4
    call = KernelCall(
        function="mcugen_conv2d_lean_s8_dsp",
        headers=("conv2d_lean_s8_dsp.h",),
        params={**convolution_params(layer), "blocks3": threes},
        constants={"weights": pack_stream(weights, *scaled, [3] * threes + [2] * twos)},
        scratch=8 * steps,
        overlap={0: pixel_overlap(layer, 2)},
        cycles=matmul_lean_cycles(steps, threes, twos, layer.out_h * layer.out_w) + lean_window_cycles(layer),
        code_bytes=specialized_bytes(layer),
        shared_code=shared(BLOCK),
        variant="dsp",
    )
    yield call
    slower = layer.out_h * layer.out_w * (150 + 22 * layer.kernel_h)
    yield dataclasses.replace(
        call,
        inline=False,
        code_bytes=SHARED_BYTES,
        shared_code=shared(BLOCK, "mcugen_conv2d_lean_s8_dsp_shared"),
        cycles=call.cycles + slower,
    )


def specialized_bytes(layer: ConvLayer) -> int:
    if inner_pixels(layer) < layer.out_h * layer.out_w:
        return PADDED_BYTES
    return POINT_BYTES if layer.kernel_h * layer.kernel_w == 1 else INNER_BYTES


def lean_window_cycles(layer: ConvLayer) -> float:
    """Copying all windows; fitted, within 3 % of a layer, 8 % where a layer has very few channels."""
    pixels = layer.out_h * layer.out_w
    outer = pixels - inner_pixels(layer)
    taps = layer.kernel_w if layer.dilation_w == 1 else 1
    runs = layer.kernel_h * (layer.kernel_w // taps)
    words = taps * layer.in_c // 4
    padded = 53 if layer.pad_top or layer.pad_left else 0
    strided = 0 if is_pointwise(layer) else 11
    copy = runs * (6.3 * (words % 4) + 18.75 * (words // 4))
    return pixels * (strided + padded + 14.3 * (runs - 1) + copy) + outer * 9.9 * runs

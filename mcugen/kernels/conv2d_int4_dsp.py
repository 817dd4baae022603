"""Convolution with weights of 4 bits on cores with the DSP instructions: 3 channels of 2 pixels at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.conv2d_plain_dsp import copy_cycles
from mcugen.kernels.cost_dsp import column_int4_cycles, matmul_int4_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_dsp import blocks_of_3_and_2
from mcugen.kernels.pack_int4_dsp import int4_requantization, pack_int4_stream
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_conv2d"

POINT_BYTES, INNER_BYTES, PADDED_BYTES = 180, 248, 450
"""Code of one layer whose windows are read in place, of one whose windows are copied, and of one with padding."""


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_int4_s8_dsp` kernel, for one group and at least 2 output channels."""
    if layer.weight_format != "int4" or "dsp" not in target.variants or layer.groups != 1 or layer.out_c < 2:
        return
    scaled = int4_requantization(layer)
    if scaled is None:
        return
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    threes, twos = blocks_of_3_and_2(layer.out_c)
    steps = -(-layer.depth // 8)
    copied, code_bytes = window_copies(layer)
    yield KernelCall(
        function="mcugen_conv2d_int4_s8_dsp",
        headers=("conv2d_int4_s8_dsp.h",),
        params={**convolution_params(layer), "blocks3": threes},
        constants={"weights": pack_int4_stream(weights, *scaled, [3] * threes + [2] * twos)},
        scratch=8 + 32 * steps + (8 * steps if copied else 0),
        overlap={0: pixel_overlap(layer, 2)},
        over_read={0: -layer.depth % 8 if layer.kernel_h == 1 else 0},
        cycles=conv2d_int4_cycles(layer, steps, threes, twos),
        code_bytes=code_bytes,
        shared_code=shared("mcugen_matmul_int4_s8_dsp", "mcugen_column_int4_s8_dsp"),
        variant="dsp",
    )


def window_copies(layer: ConvLayer) -> tuple[bool, int]:
    """Whether windows are copied before they are read, and the bytes of code of the layer."""
    padded = inner_pixels(layer) < layer.out_h * layer.out_w
    copied = padded or layer.kernel_h > 1
    return copied, PADDED_BYTES if padded else INNER_BYTES if copied else POINT_BYTES


def conv2d_int4_cycles(layer: ConvLayer, steps: int, threes: int, twos: int) -> float:
    """The whole layer; an odd last pixel costs like a pair."""
    pixels = layer.out_h * layer.out_w
    columns = column_int4_cycles(2 * steps) * pixels + copy_cycles(layer)
    return columns + matmul_int4_cycles(steps, threes, twos) * ((pixels + 1) // 2)

"""Pointwise convolution on cores with the DSP instructions: 3 channels of 2 pixels at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.cost_dsp import column_pair_cycles, matmul_cycles
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_dsp import blocks_of_3_and_2, pack_stream, scaled_requantization
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"
BATCH_BYTES = 256
"""Columns of several pixel pairs are unpacked at once up to this size: a call costs about 120 cycles."""

EVEN_BYTES, ODD_BYTES, SHARED_BYTES = 104, 162, 64
"""Code of one layer with an even and an odd number of pixels; code and parameters where it is shared."""
BLOCKS = ("mcugen_matmul_s8_dsp", "mcugen_column_pairs_s8_dsp")


def is_pointwise(layer: ConvLayer) -> bool:
    """Whether every output pixel reads exactly the input pixel of the same place."""
    kernel = (layer.kernel_h, layer.kernel_w, layer.stride_h, layer.stride_w, layer.groups)
    return kernel == (1, 1, 1, 1, 1) and (layer.pad_top, layer.pad_left) == (0, 0) and layer.out_h == layer.in_h


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_1x1_s8_dsp` kernel, for at least 2 output channels; specialised or shared."""
    if "dsp" not in target.variants or not is_pointwise(layer) or layer.out_c < 2:
        return
    scaled = scaled_requantization(layer)
    if scaled is None:
        return
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    threes, twos = blocks_of_3_and_2(layer.out_c)
    pixels = layer.out_h * layer.out_w
    steps = -(-layer.in_c // 4)
    pair_bytes = 16 * steps
    batch = max(1, min(BATCH_BYTES // pair_bytes, pixels // 2))
    call = KernelCall(
        function="mcugen_conv2d_1x1_s8_dsp",
        headers=("conv2d_1x1_s8_dsp.h",),
        params={
            "pixels": pixels,
            "in_c": layer.in_c,
            "out_c": layer.out_c,
            "blocks3": threes,
            "batch": batch,
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"weights": pack_stream(weights, *scaled, [3] * threes + [2] * twos)},
        scratch=batch * pair_bytes,
        overlap={0: pixel_overlap(layer, 2 * batch)},
        over_read={0: -layer.in_c % 4},
        cycles=pointwise_cycles(pixels, steps, threes, twos, batch),
        code_bytes=ODD_BYTES if pixels % 2 else EVEN_BYTES,
        shared_code=shared(*BLOCKS),
        variant="dsp",
    )
    yield call
    yield dataclasses.replace(
        call,
        inline=False,
        code_bytes=SHARED_BYTES,
        shared_code=shared(*BLOCKS, "mcugen_conv2d_1x1_s8_dsp_shared"),
        cycles=call.cycles * 1.002 + 60,
    )


def pointwise_cycles(pixels: int, steps: int, threes: int, twos: int, batch: int) -> float:
    """Cycles of the whole layer; an odd last pixel costs as much as a pair."""
    calls = -(-(pixels // 2) // batch) + pixels % 2
    columns = 56 * calls + column_pair_cycles(steps) * ((pixels + 1) // 2)
    return 34 + columns + matmul_cycles(steps, threes, twos, pixels, batch)

"""Pointwise convolution that reads or writes int16 on cores with MVE: 4 channels of 2 pixels at a time, read in place."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_1x1_dsp import is_pointwise
from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_mve import VECTOR
from mcugen.kernels.pack_s16_mve import can_scale, matmul_cycles, matrix_code, pack_stream
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_1x1_s16_mve` kernel."""
    if "mve" not in target.variants or not is_pointwise(layer) or not can_scale(layer):
        return
    yield pointwise_call(layer, pixel_overlap(layer, 2, buffered=layer.out_c <= 4))


def pointwise_call(layer: ConvLayer, overlap: int) -> KernelCall:
    """The layer as a matrix product of pixels that are read where they lie."""
    pixels = layer.out_h * layer.out_w
    return KernelCall(
        function="mcugen_conv2d_1x1_s16_mve",
        headers=("conv2d_1x1_s16_mve.h",),
        params={
            "in_bytes": layer.in_bytes,
            "out_bytes": layer.out_bytes,
            "pixels": pixels,
            "in_c": layer.in_c,
            "out_c": layer.out_c,
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"weights": pack_stream(layer)},
        overlap={0: overlap},
        over_read={0: -layer.in_c * layer.in_bytes % VECTOR},
        cycles=20 + 8.0 * (pixels // 2) + matmul_cycles(layer),
        code_bytes=110 if pixels > 1 else 60,
        shared_code=matrix_code(layer, pairs=pixels > 1, single=bool(pixels % 2)),
        variant="mve",
    )

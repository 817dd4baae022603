"""Pointwise convolution on cores with MVE: 4 channels of 2 pixels at a time, read in place."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_1x1_dsp import is_pointwise
from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_mve import VECTOR, matmul_cycles, matrix_code, needs_any, pack_stream
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_1x1_s8_mve` kernel."""
    if "mve" not in target.variants or not is_pointwise(layer):
        return
    pixels = layer.out_h * layer.out_w
    yield KernelCall(
        function="mcugen_conv2d_1x1_s8_mve",
        headers=("conv2d_1x1_s8_mve.h",),
        params={
            "pixels": pixels,
            "in_c": layer.in_c,
            "out_c": layer.out_c,
            "any": int(needs_any(layer)),
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"weights": pack_stream(layer)},
        overlap={0: pixel_overlap(layer, 2, buffered=layer.out_c <= 4)},
        over_read={0: -layer.in_c % VECTOR},
        cycles=20 + 8.0 * (pixels // 2) + matmul_cycles(layer),
        code_bytes=110,
        shared_code=matrix_code(layer, pairs=pixels > 1, single=bool(pixels % 2)),
        variant="mve",
    )

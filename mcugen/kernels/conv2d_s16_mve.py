"""Convolution that reads or writes int16 on cores with MVE: 4 channels of 2 pixels, their windows copied."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_mve import VECTOR
from mcugen.kernels.pack_s16_mve import can_scale, matmul_cycles, matrix_code, pack_stream, row_bytes
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_s16_mve` kernel, for one group."""
    if "mve" not in target.variants or layer.groups != 1 or not can_scale(layer):
        return
    types = {"in_bytes": layer.in_bytes, "out_bytes": layer.out_bytes}
    pixels = layer.out_h * layer.out_w
    yield KernelCall(
        function="mcugen_conv2d_s16_mve",
        headers=("conv2d_s16_mve.h",),
        params={**convolution_params(layer), **types},
        constants={"weights": pack_stream(layer)},
        scratch=2 * row_bytes(layer) + VECTOR,
        overlap={0: pixel_overlap(layer, 2)},
        over_read={0: VECTOR - 1},
        cycles=60 + matmul_cycles(layer) + window_cycles(layer),
        code_bytes=440,
        shared_code=matrix_code(layer, pairs=pixels > 1, single=bool(pixels % 2)),
        variant="mve",
    )


def window_cycles(layer: ConvLayer) -> float:
    """Instructions of copying all windows."""
    inner = inner_pixels(layer)
    outer = layer.out_h * layer.out_w - inner
    taps = layer.kernel_w if layer.dilation_w > 1 else 1
    vectors = taps * -(-layer.kernel_w * layer.in_c * layer.in_bytes // (taps * VECTOR))
    row = 4.0 * vectors + 4
    return inner * (24 + layer.kernel_h * row) + outer * (30 + layer.kernel_h * (row + 22 * taps))

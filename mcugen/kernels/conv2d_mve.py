"""Convolution of any kernel, stride, dilation and padding on cores with MVE: 4 channels of 2 pixels, their windows copied."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_mve import VECTOR, matmul_cycles, matrix_code, needs_any, pack_stream, round_up
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_s8_mve` kernel, for one group."""
    if "mve" not in target.variants or layer.groups != 1:
        return
    yield KernelCall(
        function="mcugen_conv2d_s8_mve",
        headers=("conv2d_s8_mve.h",),
        params={**convolution_params(layer), "any": int(needs_any(layer))},
        constants={"weights": pack_stream(layer)},
        scratch=2 * round_up(layer.depth, VECTOR) + VECTOR,
        overlap={0: pixel_overlap(layer, 2)},
        over_read={0: VECTOR - 1},
        cycles=60 + matmul_cycles(layer) + window_cycles(layer),
        code_bytes=420,
        shared_code=matrix_code(layer, pairs=True, single=True),
        variant="mve",
    )


def window_cycles(layer: ConvLayer) -> float:
    """Instructions of copying all windows."""
    inner = inner_pixels(layer)
    outer = layer.out_h * layer.out_w - inner
    taps = layer.kernel_w if layer.dilation_w > 1 else 1
    vectors = taps * -(-layer.kernel_w * layer.in_c // (taps * VECTOR))
    row = 4.0 * vectors + 4
    return inner * (24 + layer.kernel_h * row) + outer * (30 + layer.kernel_h * (row + 22 * taps))

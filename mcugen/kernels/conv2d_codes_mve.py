"""Convolution with weights of 4 bits on cores with MVE: 4 channels of 2 pixels, their windows copied or read in place."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_1x1_dsp import is_pointwise
from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.conv2d_mve import window_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_codes_mve import STEP, kind_of, matmul_cycles, matrix_code, packed_weights, stream_constants
from mcugen.kernels.pack_mve import VECTOR, round_up
from mcugen.program import KernelCall
from mcugen.targets import Target
from mcugen.weight_format import PackedWeights

OP = "packed_conv2d"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_codes_s8_mve` kernel, for one group, or `conv2d_1x1_codes_s8_mve`."""
    packed = packed_weights(layer, target)
    if packed is None or layer.groups != 1:
        return
    if is_pointwise(layer):
        yield pointwise_call(layer, packed, pixel_overlap(layer, 2, buffered=layer.out_c <= 4))
        return
    yield KernelCall(
        function="mcugen_conv2d_codes_s8_mve",
        headers=("conv2d_codes_s8_mve.h",),
        params={**convolution_params(layer), "kind": kind_of(layer)},
        constants=stream_constants(layer, packed),
        scratch=2 * round_up(layer.depth, STEP) + VECTOR,
        overlap={0: pixel_overlap(layer, 2)},
        over_read={0: VECTOR - 1},
        cycles=60 + matmul_cycles(layer) + window_cycles(layer),
        code_bytes=420,
        shared_code=matrix_code(layer),
        variant="mve",
    )


def pointwise_call(layer: ConvLayer, packed: PackedWeights, overlap: int) -> KernelCall:
    """The layer as a matrix product of pixels that are read where they lie."""
    pixels = layer.out_h * layer.out_w
    return KernelCall(
        function="mcugen_conv2d_1x1_codes_s8_mve",
        headers=("conv2d_1x1_codes_s8_mve.h",),
        params={
            "pixels": pixels,
            "in_c": layer.depth,
            "out_c": layer.out_c,
            "kind": kind_of(layer),
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants=stream_constants(layer, packed),
        overlap={0: overlap},
        over_read={0: -layer.depth % STEP},
        cycles=20 + 8.0 * (pixels // 2) + matmul_cycles(layer),
        code_bytes=110 if pixels > 1 else 60,
        shared_code=matrix_code(layer),
        variant="mve",
    )

"""Convolution with weights of 4 bits that reads or writes int16 on DSP cores: 2 channels of 2 pixels at a time, without a table."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_codes_s16_dsp import columns_cycles, columns_staged
from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.cost_dsp import matmul_int4_s16_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_s16_dsp import pack_int4_stream_s16, requantization, store_kind
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_conv2d_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_int4_s16_dsp` kernel, for one group and an even number of output channels."""
    if layer.weight_format != "int4" or "dsp" not in target.variants or layer.groups != 1 or layer.out_c % 2:
        return
    scale = requantization(layer)
    if scale is None:
        return
    steps, pixels = -(-layer.depth // 8), layer.out_h * layer.out_w
    staged = columns_staged(layer)
    column = f"mcugen_codes_column_{'s16' if layer.in_bytes == 2 else 's8_s16'}_dsp"
    store = {
        "in_bytes": layer.in_bytes,
        "store": store_kind(layer.out_dtype, layer.act_min),
        "in_shift": scale.in_shift,
        "staged": int(staged),
    }
    yield KernelCall(
        function="mcugen_conv2d_int4_s16_dsp",
        headers=("conv2d_int4_s16_dsp.h",),
        params={**convolution_params(layer), **store},
        constants={"weights": pack_int4_stream_s16(layer, scale, 2)},
        scratch=8 + 32 * steps + (8 * steps * layer.in_bytes if staged else 0),
        overlap={0: pixel_overlap(layer, 2)},
        cycles=columns_cycles(layer) + matmul_int4_s16_cycles(steps, layer.out_c // 2) * ((pixels + 1) // 2),
        code_bytes=600 if staged else 350,
        shared_code=shared("mcugen_matmul_int4_s16_dsp", column),
        variant="dsp",
    )

"""Convolution whose weights are codes of 4 bits on cores with the DSP instructions: 2 channels of 2 pixels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.conv2d_int4_dsp import window_copies
from mcugen.kernels.conv2d_plain_dsp import copy_cycles
from mcugen.kernels.cost_dsp import codes_2x2_cycles, codes_column_cycles, codes_table_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_codes_dsp import TABLE_BYTES, code_constants
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_conv2d"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_codes_s8_dsp` kernel, for one group."""
    if "dsp" not in target.variants or layer.groups != 1:
        return
    constants = code_constants(layer, 2)
    if constants is None:
        return
    steps, blocks, pixels = -(-layer.depth // 8), -(-layer.out_c // 2), layer.out_h * layer.out_w
    copied, code_bytes = window_copies(layer)
    grouped = "factors" in constants
    pair = blocks * codes_2x2_cycles(steps, grouped=grouped)
    columns = codes_column_cycles(steps) * pixels + copy_cycles(layer)
    yield KernelCall(
        function="mcugen_conv2d_codes_s8_dsp",
        headers=("conv2d_codes_s8_dsp.h",),
        params=convolution_params(layer),
        constants=constants,
        scratch=TABLE_BYTES + 32 * steps + (8 * steps if copied else 0),
        overlap={0: pixel_overlap(layer, 2)},
        cycles=codes_table_cycles() + columns + pair * ((pixels + 1) // 2),
        code_bytes=code_bytes + (530 if grouped else 440),
        shared_code=shared("mcugen_codes_table_s8_dsp", "mcugen_codes_column_s8_dsp", "mcugen_codes_2x2_s8_dsp"),
        variant="dsp",
    )

"""Convolution with weights of 4 bits that reads or writes int16 on DSP cores: 2 channels of 2 pixels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.cost_dsp import codes_2x2_cycles, codes_column_s16_cycles, codes_table_cycles, int4_2x2_s16_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_codes_dsp import TABLE_BYTES, code_constants
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_conv2d_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_codes_s16_dsp` kernel, for one group."""
    if "dsp" not in target.variants or layer.groups != 1:
        return
    constants = code_constants(layer, 2)
    if constants is None:
        return
    steps, blocks, pixels = -(-layer.depth // 8), -(-layer.out_c // 2), layer.out_h * layer.out_w
    table, grouped = "table" in constants, "factors" in constants
    inner = inner_pixels(layer)
    whole_words = layer.kernel_w * layer.in_c * layer.in_bytes % 4 == 0 and layer.dilation_w == 1
    copied = not whole_words or inner < pixels
    pair = blocks * (codes_2x2_cycles(steps, grouped=grouped) if table else int4_2x2_s16_cycles(steps))
    functions = ("mcugen_codes_table_s8_dsp", "mcugen_codes_2x2_s8_dsp") if table else ("mcugen_int4_2x2_s16_dsp",)
    column = f"mcugen_codes_column_{'s16' if layer.in_bytes == 2 else 's8_s16'}_dsp"
    yield KernelCall(
        function="mcugen_conv2d_codes_s16_dsp",
        headers=("conv2d_codes_s16_dsp.h",),
        params={"in_bytes": layer.in_bytes, "out_bytes": layer.out_bytes, **convolution_params(layer)},
        constants=constants,
        scratch=(TABLE_BYTES if table else 0) + 32 * steps + (8 * steps * layer.in_bytes if copied else 0),
        overlap={0: pixel_overlap(layer, 2)},
        cycles=(codes_table_cycles() if table else 0)
        + _window_cycles(layer, steps, pixels, inner if whole_words else 0)
        + pair * ((pixels + 1) // 2),
        code_bytes=700 if copied else 440,
        shared_code=shared(*functions, column),
        variant="dsp",
    )


COPY_CYCLES = 1.6
"""To copy an element of a window before it is read."""


def _window_cycles(layer: ConvLayer, steps: int, pixels: int, direct: int) -> float:
    """Filling all columns, those of `direct` pixels row by row."""
    rows = layer.kernel_h * (20 + codes_column_s16_cycles(0, layer.in_bytes))
    filled = pixels * (30 + codes_column_s16_cycles(steps, layer.in_bytes)) + direct * rows
    return filled + (pixels - direct) * (60 + 40 * layer.kernel_h + COPY_CYCLES * layer.depth * layer.in_bytes)

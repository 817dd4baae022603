"""Convolution whose weights are codes of 4 bits and that reads or writes int16 on DSP cores: 2 channels of 2 pixels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.cost_dsp import codes_2x2_cycles, codes_column_s16_cycles, codes_table_cycles
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
    grouped, staged = "factors" in constants, columns_staged(layer)
    pair = blocks * codes_2x2_cycles(steps, grouped=grouped)
    column = f"mcugen_codes_column_{'s16' if layer.in_bytes == 2 else 's8_s16'}_dsp"
    widths = {"in_bytes": layer.in_bytes, "out_bytes": layer.out_bytes, "staged": int(staged)}
    yield KernelCall(
        function="mcugen_conv2d_codes_s16_dsp",
        headers=("conv2d_codes_s16_dsp.h",),
        params={**convolution_params(layer), **widths},
        constants=constants,
        scratch=TABLE_BYTES + 32 * steps + (8 * steps * layer.in_bytes if staged else 0),
        overlap={0: pixel_overlap(layer, 2)},
        cycles=codes_table_cycles() + columns_cycles(layer) + pair * ((pixels + 1) // 2),
        code_bytes=700 if staged else 440,
        shared_code=shared("mcugen_codes_table_s8_dsp", "mcugen_codes_2x2_s8_dsp", column),
        variant="dsp",
    )


COPY_CYCLES, PAD_CYCLES = 1.6, 3.9
"""To copy a byte of a window that lies in the image, and of one that hangs over its edge, before it is read."""


def _whole_words(layer: ConvLayer) -> bool:
    return layer.kernel_w * layer.in_c * layer.in_bytes % 4 == 0 and layer.dilation_w == 1


def columns_staged(layer: ConvLayer) -> bool:
    """Whether some window is copied before its column is filled."""
    return not _whole_words(layer) or inner_pixels(layer) < layer.out_h * layer.out_w


def columns_cycles(layer: ConvLayer) -> float:
    """Filling all columns."""
    steps, pixels, inner = -(-layer.depth // 8), layer.out_h * layer.out_w, inner_pixels(layer)
    size, in_place = layer.depth * layer.in_bytes, _whole_words(layer)
    each = 14 + 84 * layer.kernel_h if in_place else 115 + 55 * layer.kernel_h + COPY_CYCLES * size
    edge = 115 + 55 * layer.kernel_h + PAD_CYCLES * size
    filled = codes_column_s16_cycles(steps, layer.in_bytes) - codes_column_s16_cycles(0, layer.in_bytes)
    return pixels * filled + inner * each + (pixels - inner) * edge

"""Convolution that reads or writes int16 on cores with the DSP instructions: 3 channels of 2 pixels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_dsp import blocks_of_3_and_2, round_up
from mcugen.kernels.pack_s16_dsp import pack_stream_s16, requantization, store_kind
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d_s16"
BATCH_BYTES = 512
"""Columns of several pixel pairs are filled at once up to this size."""


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_s16_dsp` kernel, for one group and at least 2 output channels."""
    scale = requantization(layer)
    if "dsp" not in target.variants or layer.groups != 1 or layer.out_c < 2 or scale is None:
        return
    threes, twos = blocks_of_3_and_2(layer.out_c)
    pixels = layer.out_h * layer.out_w
    steps = -(-layer.depth // 4)
    batch = max(1, min(BATCH_BYTES // (16 * steps), pixels // 2))
    inside = inner_pixels(layer) == pixels
    direct = layer.in_c % 4 == 0 or (layer.kernel_w * layer.in_c % 4 == 0 and inside)
    store = {
        "in_bytes": layer.in_bytes,
        "store": store_kind(layer.out_dtype, layer.act_min),
        "in_shift": scale.in_shift,
    }
    yield KernelCall(
        function="mcugen_conv2d_s16_dsp",
        headers=("conv2d_s16_dsp.h",),
        params={**convolution_params(layer), **store, "blocks3": threes, "batch": batch},
        constants={"weights": pack_stream_s16(layer, scale, [3] * threes + [2] * twos)},
        scratch=16 * steps * batch + (0 if direct else round_up(layer.depth, 4) * layer.in_bytes),
        overlap={0: pixel_overlap(layer, 2 * batch)},
        cycles=matmul_s16_cycles(steps, threes, twos, pixels, batch) + column_cycles(layer),
        code_bytes=CODE_BYTES[direct],
        shared_code=shared("mcugen_matmul_s16_dsp", *(["mcugen_column_s16_dsp"] if layer.in_bytes == 2 else [])),
        variant="dsp",
    )


CODE_BYTES = {True: 400, False: 560}


def matmul_s16_cycles(steps: int, threes: int, twos: int, pixels: int, batch: int) -> float:
    """All calls of `mcugen_matmul_s16_dsp`; an odd last pixel costs like a pair."""
    calls = -(-(pixels // 2) // batch) + pixels % 2
    three = 27 * steps + 6 * -(-steps // 8) + 48
    two = 19 * steps + 6 * -(-steps // 4) + 38
    return 90 * calls + (32 + threes * three + twos * two) * ((pixels + 1) // 2)


def column_cycles(layer: ConvLayer) -> float:
    """Filling all columns; fitted, within 6 % of a layer."""
    pixels, inner = layer.out_h * layer.out_w, inner_pixels(layer)
    each = 1.4 if layer.in_bytes == 2 else 2.5
    if layer.in_c % 4 == 0:
        return pixels * (60 + each * layer.depth) + (pixels - inner) * (150 + 40 * layer.kernel_h)
    # without a border the compiler knows how much it copies
    rows, element = (0, 2.0 * layer.in_bytes) if inner == pixels else (40, 6.0) if layer.in_bytes == 2 else (25, 2.4)
    staged = 20 + rows * layer.kernel_h + element * layer.depth if layer.kernel_w * layer.in_c % 4 else 0
    edge = 250 + 5 * layer.depth
    return pixels * (60 + each * layer.depth) + inner * staged + (pixels - inner) * edge

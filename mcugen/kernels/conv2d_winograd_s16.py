"""3x3 stride-1 convolution from int8 to int16 by Winograd's F(2x2, 3x3) on cores with the DSP instructions."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_winograd import (
    FIELDS,
    applies,
    pack_requantization,
    pack_weights,
    scaled_multiplier,
    tile_overlap,
    winograd_cycles,
)
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_s16_dsp import STORE_U15, store_kind
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_winograd_s16_dsp` kernel: as `conv2d_winograd_s8_dsp`, with outputs of 16 bits."""
    multiplier = scaled_multiplier(layer)
    types = (layer.in_dtype, layer.out_dtype)
    if "dsp" not in target.variants or types != ("int8", "int16") or not applies(layer) or multiplier is None:
        return
    outputs = layer.out_h * layer.out_w * layer.out_c
    relu = 2.3 * outputs if store_kind(layer.out_dtype, layer.act_min) == STORE_U15 else 0.0
    yield KernelCall(
        function="mcugen_conv2d_winograd_s16_dsp",
        headers=("conv2d_winograd_s16_dsp.h",),
        params=layer.fields(*FIELDS),
        constants={"weights": pack_weights(layer), "requantization": pack_requantization(layer, multiplier)},
        scratch=64 * -(-layer.in_c // 16) * 16 + max(24 * layer.in_c, 512 + 16 * -(-layer.out_c // 4) * 4),
        overlap={0: tile_overlap(layer)},
        cycles=winograd_cycles(layer) + relu,
        code_bytes=500,
        shared_code=shared(
            *(f"mcugen_winograd_{part}_dsp" for part in ("copy_s8", "input_s8", "output_s16", "patch_s8", "sums_s8"))
        ),
        variant="dsp",
    )

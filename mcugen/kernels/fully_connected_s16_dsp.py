"""Fully connected layer that reads or writes int16 on cores with the DSP instructions: 4 channels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.kernels.pack_s16_dsp import pack_stream_s16, requantization, store_kind
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "fully_connected_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_s16_dsp` kernel, for one vector."""
    scale = requantization(layer)
    if "dsp" not in target.variants or scale is None:
        return
    fours, steps = -(-layer.out_c // 4), -(-layer.in_c // 4)
    params = layer.fields("in_bytes", "in_c", "out_c", *ENDS)
    narrow = layer.in_bytes == 1
    yield KernelCall(
        function="mcugen_fully_connected_s16_dsp",
        headers=("fully_connected_s16_dsp.h",),
        params=params | {"store": store_kind(layer.out_dtype, layer.act_min), "in_shift": scale.in_shift},
        constants={"weights": pack_stream_s16(layer, scale, [4] * fours)},
        scratch=8 * steps if narrow else 0,
        over_read={0: (4 * steps - layer.in_c) * layer.in_bytes},
        cycles=60 + fours * (23 * steps + 6 * -(-steps // 4) + 108) + (12 * steps if narrow else 0),
        code_bytes=200,
        shared_code=shared("mcugen_matvec_s16_dsp"),
        variant="dsp",
    )

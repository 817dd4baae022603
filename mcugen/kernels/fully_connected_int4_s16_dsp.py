"""Fully connected layer with weights of 4 bits that reads or writes int16 on DSP cores: 4 channels at a time, without a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.cost_dsp import codes_column_s16_cycles, matvec_int4_s16_cycles
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_s16_dsp import Requantization, pack_int4_stream_s16, store_kind
from mcugen.kernels.shared_code import shared
from mcugen.program import Array, KernelCall
from mcugen.targets import Target

OP = "packed_fully_connected_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_int4_s16_dsp` kernel, for one vector."""
    if layer.weight_format != "int4" or "dsp" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    fours, steps = -(-layer.out_c // 4), -(-layer.depth // 8)
    in_place = layer.in_bytes == 2 and layer.depth % 8 == 0
    column = f"mcugen_codes_column_{'s16' if layer.in_bytes == 2 else 's8_s16'}_dsp"
    params = layer.fields("in_bytes", "in_c", "out_c", "out_zero_point", "act_min", "act_max")
    scale = Requantization(0, layer.bias.astype(np.int64), layer.multiplier.astype(np.int64))
    constants: dict[str, Array] = {"weights": pack_int4_stream_s16(layer, scale, 4)}
    if layer.needs_shift:
        constants["shift"] = layer.shift
    yield KernelCall(
        function="mcugen_fully_connected_int4_s16_dsp",
        headers=("fully_connected_int4_s16_dsp.h",),
        params={**params, "store": store_kind(layer.out_dtype, layer.act_min)},
        constants=constants,
        scratch=0 if in_place else 16 * steps,
        overlap={} if in_place else {0: -layer.depth * layer.in_bytes},
        cycles=(60 if in_place else 200)
        + codes_column_s16_cycles(steps, layer.in_bytes)
        + fours * matvec_int4_s16_cycles(steps),
        code_bytes=230,
        shared_code=shared("mcugen_matvec_int4_s16_dsp", *(() if in_place else (column,))),
        variant="dsp",
    )

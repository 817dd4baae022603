"""Fully connected layer with weights of 4 bits on cores with the DSP instructions: 4 outputs at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.cost_dsp import column_int4_cycles, matvec_int4_cycles
from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.kernels.pack_int4_dsp import int4_requantization, pack_int4_stream
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_int4_s8_dsp` kernel, for one row of input."""
    if layer.weight_format != "int4" or "dsp" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    scaled = int4_requantization(layer)
    if scaled is None:
        return
    steps = -(-layer.depth // 8)
    fours, ones = divmod(layer.out_c, 4)
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    yield KernelCall(
        function="mcugen_fully_connected_int4_s8_dsp",
        headers=("fully_connected_int4_s8_dsp.h",),
        params=layer.fields("in_c", "out_c", *ENDS),
        constants={"weights": pack_int4_stream(weights, *scaled, [4] * fours + [1] * ones)},
        scratch=16 * steps,
        overlap={0: -layer.depth},
        over_read={0: -layer.depth % 8},
        cycles=column_int4_cycles(2 * steps) + matvec_int4_cycles(steps, fours, ones),
        code_bytes=72,
        shared_code=shared("mcugen_matvec_int4_s8_dsp", "mcugen_column_int4_s8_dsp"),
        variant="dsp",
    )

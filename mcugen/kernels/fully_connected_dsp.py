"""Fully connected layer on cores with the DSP instructions: 4 outputs at a time, the input unpacked once or as it is
read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mcugen.kernels.cost_dsp import column_cycles, matvec_cycles, matvec_direct_cycles
from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.kernels.pack_dsp import pack_column_stream, scaled_requantization
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """For one row of input: `fully_connected_s8_dsp`, and `fully_connected_direct_s8_dsp`, which needs no scratch."""
    if "dsp" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    scaled = scaled_requantization(layer)
    stream = scaled and pack_column_stream(layer.weights.reshape(layer.out_c, -1).astype(np.int64), *scaled)
    if stream is None:
        return
    depth = layer.depth
    steps = -(-depth // 4)
    fours, ones = divmod(layer.out_c, 4)
    blocks = [4] * fours + [1] * ones
    call = KernelCall(
        function="mcugen_fully_connected_s8_dsp",
        headers=("fully_connected_s8_dsp.h",),
        params=layer.fields("in_c", "out_c", *ENDS),
        constants={"weights": stream},
        scratch=8 * steps,
        overlap={0: -depth},
        over_read={0: -depth % 4},
        cycles=column_cycles(steps) + matvec_cycles(steps, fours, ones),
        code_bytes=60,
        shared_code=shared("mcugen_matvec_s8_dsp", "mcugen_column_s8_dsp"),
        variant="dsp",
    )
    yield call
    yield dataclasses.replace(
        call,
        function="mcugen_fully_connected_direct_s8_dsp",
        headers=("fully_connected_direct_s8_dsp.h",),
        scratch=0,
        code_bytes=56,
        shared_code=shared("mcugen_matvec_direct_s8_dsp"),
        overlap={0: layer.out_c - blocks[-1] if len(blocks) > 1 else -depth},
        cycles=matvec_direct_cycles(steps, fours, ones),
    )

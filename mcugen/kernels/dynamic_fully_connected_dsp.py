"""Fully connected layer on dynamic tensors on cores with the DSP instructions: four rows at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from mcugen.kernels.cost_dsp import column_cycles
from mcugen.kernels.pack_dsp import round_up
from mcugen.kernels.pack_gates_dsp import BLOCK, GROUP, pack_sums, sums_fit
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "dynamic_fully_connected"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `dynamic_fully_connected_s8_dsp` kernel for the integers of the portable `call`."""
    weights = call.constants["weights"]
    if "dsp" not in target.variants or not sums_fit(weights):
        return
    rows, depth = weights.shape
    turns, blocks = -(-depth // GROUP), -(-rows // BLOCK)
    yield dataclasses.replace(
        call,
        function="mcugen_dynamic_fully_connected_s8_dsp",
        headers=("dynamic_fully_connected_s8_dsp.h",),
        constants={**call.constants, "weights": pack_sums(weights)},
        scratch=2 * GROUP * turns + 4 * round_up(rows, BLOCK),
        over_read={0: max(0, -depth % 4 - 2)},
        cycles=column_cycles(-(-depth // 4)) + blocks * (turns * 42.0 + 32.0) + rows * 60.0 + 150.0,
        code_bytes=420,
        shared_code=shared("mcugen_sums_s8_dsp", "mcugen_column_s8_dsp"),
        variant="dsp",
    )

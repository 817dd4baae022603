"""Fully connected layer on dynamic tensors on cores with the DSP instructions: four rows at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mcugen.kernels.cost_dsp import column_cycles
from mcugen.kernels.pack_dsp import ACCUMULATOR_LIMIT, pack_words, round_up
from mcugen.kernels.pack_gates_dsp import BLOCK, GROUP
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "dynamic_fully_connected"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `dynamic_fully_connected_s8_dsp` kernel for the integers of the portable `call`."""
    weights = call.constants["weights"].astype(np.int64)
    largest = int(np.abs(weights).sum(axis=1).max()) * 128
    if "dsp" not in target.variants or weights.min() < -127 or largest >= ACCUMULATOR_LIMIT:
        return
    rows, depth = weights.shape
    full = np.pad(weights, ((0, -rows % BLOCK), (0, -depth % GROUP)))
    initial = (-127 * full[:, 1::2].sum(axis=1) & 0xFFFFFFFF).astype(np.uint32)
    blocks = range(0, len(full), BLOCK)
    parts = [(initial[i : i + BLOCK], pack_words(full[i : i + BLOCK]).reshape(-1)) for i in blocks]
    turns = full.shape[1] // GROUP
    yield dataclasses.replace(
        call,
        function="mcugen_dynamic_fully_connected_s8_dsp",
        headers=("dynamic_fully_connected_s8_dsp.h",),
        constants={**call.constants, "weights": np.concatenate([word for part in parts for word in part])},
        scratch=2 * full.shape[1] + 4 * round_up(rows, BLOCK),
        over_read={0: max(0, -depth % 4 - 2)},
        cycles=column_cycles(-(-depth // 4)) + len(blocks) * (turns * 42.0 + 32.0) + rows * 60.0 + 150.0,
        code_bytes=420,
        shared_code=shared("mcugen_sums_s8_dsp", "mcugen_column_s8_dsp"),
        variant="dsp",
    )

"""Average pools on cores with MVE: eight channels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.average_pool2d_dsp import MOST_TAPS
from mcugen.kernels.pool_dsp import pool_overlap, taps_of
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "average_pool2d"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `average_pool2d_s8_mve` kernel for the integers of the portable `call`."""
    params = call.params
    if "mve" not in target.variants or params["kernel_h"] * params["kernel_w"] > MOST_TAPS:
        return
    rows, columns = taps_of(params, "h"), taps_of(params, "w")
    pixels, blocks = len(rows) * len(columns), -(-params["channels"] // 8)
    inner = 10.0 * int(rows.sum()) * len(columns) + 4.2 * int(rows.sum()) * int(columns.sum())
    yield KernelCall(
        function="mcugen_average_pool2d_s8_mve",
        headers=("average_pool2d_s8_mve.h",),
        params=params,
        constants=call.constants,
        overlap={0: pool_overlap(params)},
        cycles=50.0 + pixels * (60 + 40.0 * blocks) + blocks * inner,
        code_bytes=420,
        variant="mve",
    )

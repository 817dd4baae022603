"""Max pools over int16 on cores with MVE: eight channels at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mcugen.kernels.pool_dsp import taps_of
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "max_pool2d_s16"
UNROLLED = 4


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `max_pool2d_s16_mve` kernel for the plain `call`."""
    if "mve" not in target.variants:
        return
    yield KernelCall(
        function="mcugen_max_pool2d_s16_mve",
        headers=("pool_s16_mve.h",),
        params=call.params,
        overlap=call.overlap,
        cycles=maximum_cycles(call.params),
        code_bytes=300,
        variant="mve",
    )


def maximum_cycles(params: Mapping[str, int]) -> float:
    """Instructions, fitted to what was measured with gcc, which unrolls the smallest windows."""
    rows, columns = taps_of(params, "h"), taps_of(params, "w")
    pixels, blocks = len(rows) * len(columns), -(-params["channels"] // 8)
    if params["kernel_h"] * params["kernel_w"] <= UNROLLED:
        return 50 + pixels * (5 + 20.0 * blocks)
    lines = pixels if params["kernel_w"] == params["in_w"] else int(rows.sum()) * len(columns)
    return 50 + pixels * (32 + 10.0 * blocks) + blocks * 5.0 * (lines + int(rows.sum()) * int(columns.sum()))

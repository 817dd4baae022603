"""Max pools over int16 on cores with the DSP instructions: two channels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pool_dsp import taps_of
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "max_pool2d_s16"
UNROLLED = 4


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `max_pool2d_s16_dsp` kernel for the plain `call`, for an even number of channels."""
    if "dsp" not in target.variants or call.params["channels"] % 2:
        return
    yield KernelCall(
        function="mcugen_max_pool2d_s16_dsp",
        headers=("max_pool2d_s16_dsp.h",),
        params=call.params,
        overlap=call.overlap,
        cycles=maximum_cycles(call),
        code_bytes=220,
        variant="dsp",
    )


def maximum_cycles(call: KernelCall) -> float:
    """Cortex-M4 cycles, fitted to what was measured with gcc."""
    rows, columns = taps_of(call.params, "h"), taps_of(call.params, "w")
    pairs, taps = call.params["channels"] // 2, int(rows.sum()) * int(columns.sum())
    unrolled = call.params["kernel_h"] * call.params["kernel_w"] <= UNROLLED
    each, tap = (4.0, 2.1) if unrolled else (25.0, 8.6)
    return len(rows) * len(columns) * (60 + pairs * each) + pairs * taps * tap

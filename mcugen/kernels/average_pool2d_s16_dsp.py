"""Average pools that read or write int16 on cores with the DSP instructions: two channels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pack_s16_dsp import store_kind
from mcugen.kernels.pool_dsp import taps_of
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "average_pool2d_s16"
UNROLLED = 4


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `average_pool2d_s16_dsp` kernel for the integers of the plain `call`."""
    if "dsp" not in target.variants or call.params["channels"] < 2:
        return
    params = dict(call.params)
    out = "int16" if params.pop("out_bytes") == 2 else "int8"
    yield KernelCall(
        function="mcugen_average_pool2d_s16_dsp",
        headers=("average_pool2d_s16_dsp.h",),
        params=params | {"store": store_kind(out, params["act_min"])},
        constants=call.constants,
        overlap=call.overlap,
        over_read={0: params["channels"] % 2 * params["in_bytes"]},
        cycles=average_cycles(call),
        code_bytes=300,
        variant="dsp",
    )


def average_cycles(call: KernelCall) -> float:
    """Cortex-M4 cycles, fitted to what was measured with gcc, within 10 %; the compiler unrolls the smallest windows."""
    rows, columns = taps_of(call.params, "h"), taps_of(call.params, "w")
    pairs, taps = -(-call.params["channels"] // 2), int(rows.sum()) * int(columns.sum())
    wide = call.params["in_bytes"] == 2
    unrolled = wide and call.params["kernel_h"] * call.params["kernel_w"] <= UNROLLED
    each, tap = (12.0, 4.0) if unrolled else (35.0, 8.3 if wide else 12.2)
    return len(rows) * len(columns) * (60 + pairs * each) + pairs * taps * tap

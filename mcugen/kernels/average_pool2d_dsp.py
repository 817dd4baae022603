"""Average pools on cores with the DSP instructions: eight channels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pool_dsp import PoolCycles, pool_cycles, pool_overlap
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "average_pool2d"
MOST_TAPS = 255
"""Sums of as many int8 fit int16."""
CYCLES = PoolCycles(word=-20, word_tap=16.9, pixel=106, row=-6.8, eight=219, eight_tap=12, one=47, one_tap=10.3)


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `average_pool2d_s8_dsp` kernel for the integers of the portable `call`."""
    taps = call.params["kernel_h"] * call.params["kernel_w"]
    if "dsp" not in target.variants or call.params["channels"] < 4 or taps > MOST_TAPS:
        return
    yield KernelCall(
        function="mcugen_average_pool2d_s8_dsp",
        headers=("average_pool2d_s8_dsp.h",),
        params=call.params,
        constants=call.constants,
        overlap={0: pool_overlap(call.params)},
        cycles=pool_cycles(call.params, CYCLES),
        code_bytes=248,
        shared_code=shared("mcugen_average_pixel_s8_dsp"),
        variant="dsp",
    )

"""Maximum pools on cores with the DSP instructions: eight channels at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pool_dsp import PoolCycles, pool_cycles, pool_overlap
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "max_pool2d"
CYCLES = PoolCycles(word=-50, word_tap=18.3, pixel=101, row=13.4, eight=19, eight_tap=17, one=0, one_tap=11.4)


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `max_pool2d_s8_dsp` kernel for the integers of the portable `call`."""
    if "dsp" not in target.variants or call.params["channels"] < 4:
        return
    yield KernelCall(
        function="mcugen_max_pool2d_s8_dsp",
        headers=("max_pool2d_s8_dsp.h",),
        params=call.params,
        overlap={0: pool_overlap(call.params)},
        cycles=pool_cycles(call.params, CYCLES),
        code_bytes=120,
        shared_code=shared("mcugen_max_pixel_s8_dsp"),
        variant="dsp",
    )

"""Product of two tensors of one shape on cores with the DSP instructions."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.add_dsp import elements
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "mul"
FIELDS = ("zero_point1", "zero_point2", "out_zero_point", "multiplier", "shift", "act_min", "act_max")


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `mul_s8_dsp` kernel for the integers of the portable `call`; no operand may be broadcast or constant."""
    size = elements(call)
    if "dsp" not in target.variants or call.constants or size is None:
        return
    bounded = call.params["act_min"] > -128 or call.params["act_max"] < 127
    yield KernelCall(
        function="mcugen_mul_s8_dsp",
        headers=("mul_s8_dsp.h",),
        params={field: call.params[field] for field in FIELDS} | {"size": size},
        overlap={0: 0, 1: 0},
        cycles=30.0 + size * (13.0 if bounded else 9.0),
        code_bytes=200,
        variant="dsp",
    )

"""Sum of two tensors of one shape on cores with the DSP instructions."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "add"
FIELDS = ("multiplier1", "multiplier2", "constant", "shift", "act_min", "act_max")


def elements(call: KernelCall) -> int | None:
    """The number of elements of a call with two operands; None where one of them is broadcast."""
    sizes = [call.params[f"size_{i}"] for i in range(4)]
    moving = [i for i, size in enumerate(sizes) if size > 1]
    strides = [[call.params[f"stride{operand}_{i}"] for i in moving] for operand in (1, 2)]
    if len(moving) > 1 or any(stride != [1] * len(moving) for stride in strides):
        return None
    return sizes[moving[0]] if moving else 1


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `add_s8_dsp` kernel for the integers of the portable `call`; no operand may be broadcast or constant."""
    size = elements(call)
    if "dsp" not in target.variants or call.constants or size is None:
        return
    yield KernelCall(
        function="mcugen_add_s8_dsp",
        headers=("add_s8_dsp.h",),
        params={field: call.params[field] for field in FIELDS} | {"size": size},
        overlap={0: 0, 1: 0},
        cycles=add_cycles(call, size),
        code_bytes=200,
        variant="dsp",
    )


def add_cycles(call: KernelCall, size: int) -> float:
    """Cortex-M4 cycles as measured with gcc; explicit bounds cost two compares an element."""
    bounded = call.params["act_min"] > -128 or call.params["act_max"] < 127
    return 30.0 + size * (13.1 if bounded else 7.1)

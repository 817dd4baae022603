"""Sum of two tensors of one shape on cores with MVE."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.add_dsp import FIELDS, elements
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "add"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `add_s8_mve` kernel for the integers of the portable `call`; no operand may be broadcast or constant."""
    size = elements(call)
    if "mve" not in target.variants or call.constants or size is None:
        return
    bounded = call.params["act_min"] > -128 or call.params["act_max"] < 127
    yield KernelCall(
        function="mcugen_add_s8_mve",
        headers=("add_s8_mve.h",),
        params={field: call.params[field] for field in FIELDS} | {"size": size},
        overlap={0: 0, 1: 0},
        cycles=30.0 + size * (4.6 if bounded else 3.3),
        code_bytes=150,
        variant="mve",
    )

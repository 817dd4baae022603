"""Sum of two tensors of one shape, any of the three int16, on cores with MVE."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.add_dsp import FIELDS, elements
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "add_s16"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `add_s16_mve` kernel for the integers of the plain `call`; no operand may be broadcast or constant."""
    size = elements(call)
    if "mve" not in target.variants or call.constants or size is None:
        return
    fields = ("in1_bytes", "in2_bytes", "out_bytes", *FIELDS)
    yield KernelCall(
        function="mcugen_add_s16_mve",
        headers=("add_s16_mve.h",),
        params={field: call.params[field] for field in fields} | {"size": size},
        overlap=call.overlap,
        cycles=40.0 + 34.0 * -(-size // 8),
        code_bytes=180,
        variant="mve",
    )

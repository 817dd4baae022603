"""Sum of two tensors of one shape, any of the three int16, on cores with the DSP instructions."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.add_dsp import FIELDS, elements
from mcugen.kernels.pack_s16_dsp import store_kind
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "add_s16"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `add_s16_dsp` kernel for the integers of the plain `call`; no operand may be broadcast or constant."""
    size = elements(call)
    if "dsp" not in target.variants or call.constants or size is None:
        return
    fields = ("in1_bytes", "in2_bytes", *FIELDS)
    out = "int16" if call.params["out_bytes"] == 2 else "int8"
    yield KernelCall(
        function="mcugen_add_s16_dsp",
        headers=("add_s16_dsp.h",),
        params={field: call.params[field] for field in fields}
        | {"size": size, "store": store_kind(out, call.params["act_min"])},
        overlap=call.overlap,
        cycles=30.0 + size * 8.0,
        code_bytes=120,
        variant="dsp",
    )

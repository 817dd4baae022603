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
        cycles=30.0 + size * cycles_each(call),
        code_bytes=120,
        variant="dsp",
    )


def cycles_each(call: KernelCall) -> float:
    """Cortex-M4 cycles of an element as measured with gcc."""
    narrow = [call.params["in1_bytes"], call.params["in2_bytes"]].count(1)
    return 9.0 + 1.5 * narrow + (0.5 if call.params["out_bytes"] == 1 else 0.0)

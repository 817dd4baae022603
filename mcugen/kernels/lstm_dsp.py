"""LSTM on cores with the DSP instructions: the sums of four rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pack_gates_dsp import gates_call, pack_gates, product_cycles, scaled_products
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "lstm"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `lstm_s8_dsp` kernel for the integers of the portable `call`."""
    products = scaled_products(call, target)
    if products is None:
        return
    hidden = call.params["hidden"]
    yield gates_call(
        call,
        pack_gates(products, slice(None)),
        scratch=10 * hidden,
        sums=product_cycles(4 * hidden, products),
        unit=160.0,
        code_bytes=616,
    )

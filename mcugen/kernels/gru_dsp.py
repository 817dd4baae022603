"""GRU on cores with the DSP instructions: the sums of four rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.pack_dsp import round_up
from mcugen.kernels.pack_gates_dsp import gates_call, pack_gates, product_cycles, scaled_products
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "gru"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `gru_s8_dsp` kernel for the integers of the portable `call`."""
    products = scaled_products(call, target)
    if products is None:
        return
    hidden = call.params["hidden"]
    gates, fresh = slice(0, 2 * hidden), slice(2 * hidden, 3 * hidden)
    behind = bool(call.params["linear_before_reset"])
    last = [pack_gates([product], fresh) for product in products] if behind else [pack_gates(products, fresh)]
    yield gates_call(
        call,
        np.concatenate([pack_gates(products, gates), *last]),
        scratch=(10 if behind else 8) * hidden + 6 + (0 if behind else round_up(hidden, 4)),
        sums=product_cycles(2 * hidden, products) + product_cycles(hidden, products),
        unit=130.0,
        code_bytes=616,
    )

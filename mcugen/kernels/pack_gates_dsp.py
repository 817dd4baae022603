"""Weight streams and cycles of the DSP kernels of recurrent layers (runtime_c/gates_s8_dsp.h)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize
from mcugen.kernels.cost_dsp import column_cycles
from mcugen.kernels.pack_dsp import ACCUMULATOR_LIMIT, Words, pack_words, round_up
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

Array = npt.NDArray[Any]
Product = tuple[Array, Array, Array]

BLOCK = 4
GROUP = 8
"""Inputs in one turn of the loops."""


def scaled_product(constants: Mapping[str, Array], which: str) -> Product | None:
    """Weights, bias and multiplier [rows ...] of a portable kernel's product `which`, for an accumulator scaled by 256.

    int64 each, the multiplier `M / 256 * 2^shift`.  None where a row does not allow it (see `scaled_requantization`).
    """
    weights = constants[f"{which}_weights"].astype(np.int64)
    rows = len(weights)
    zeros = np.zeros(rows, np.int64)
    bias, shift = (constants.get(f"{which}_{part}", zeros).astype(np.int64) for part in ("bias", "shift"))
    multiplier = constants[f"{which}_multiplier"].astype(np.int64)
    constant = ~weights.any(axis=1)
    bias = np.where(constant, 2 * requantize(bias, multiplier, shift, 0), bias)
    multiplier = np.where(constant, 1 << 31, multiplier << shift)
    largest = np.abs(bias) + 128 * np.abs(weights).sum(axis=1)
    fits = weights.min() >= -127 and largest.max() < ACCUMULATOR_LIMIT
    if not fits or np.any(multiplier % 256) or np.any(multiplier >= 1 << 39):
        return None
    return weights, bias, multiplier // 256


def pack_gates(products: Sequence[Product], rows: slice) -> Words:
    """The stream for some rows and the products that their sums are of."""
    parts: list[Words] = []
    count = len(range(*rows.indices(len(products[0][0]))))
    blocks = [_padded(product, rows, round_up(count, BLOCK)) for product in products]
    for first in range(0, round_up(count, BLOCK), BLOCK):
        block = slice(first, first + BLOCK)
        for weights, initial, multiplier in blocks:
            parts.append((initial[block] & 0xFFFFFFFF).astype(np.uint32))
            parts.append(pack_words(weights[block]).reshape(-1))
            parts.append(multiplier[block].astype(np.uint32))
    return np.concatenate(parts)


def _padded(product: Product, rows: slice, count: int) -> Product:
    """Weights, first values of the accumulators, multipliers, filled up with zeros."""
    weights, bias, multiplier = (array[rows] for array in product)
    more = count - len(weights)
    full = np.pad(weights, ((0, more), (0, -weights.shape[1] % GROUP)))
    initial = np.pad(256 * bias - 127 * weights[:, 1::2].sum(axis=1), (0, more))
    return full, initial, np.pad(multiplier, (0, more))


def scaled_products(call: KernelCall, target: Target) -> list[Product] | None:
    """The products of input and state of a portable `call`; None where the target or a row does not allow the kernel."""
    if "dsp" not in target.variants:
        return None
    found = [scaled_product(call.constants, which) for which in ("in", "state")]
    products = [product for product in found if product is not None]
    return products if len(products) == len(found) else None


def product_cycles(rows: int, products: Sequence[Product]) -> float:
    """The sums of so many rows over the products."""
    turns = sum(-(-int(product[0].shape[1]) // GROUP) for product in products)
    return -(-rows // BLOCK) * (turns * 42.0 + 40.0) + 40.0


def gates_call(
    call: KernelCall, weights: Words, *, scratch: int, sums: float, unit: float, code_bytes: int
) -> KernelCall:
    """The DSP kernel for a portable `call`: `scratch` behind the columns and the state; `sums` cycles a step, `unit` a unit."""
    steps, depth, hidden = (call.params[name] for name in ("steps", "in_c", "hidden"))
    kept = {name: data for name, data in call.constants.items() if name == "tanh" or name.startswith("initial_")}
    columns = [8 * (round_up(size, GROUP) // 4) for size in (depth, hidden)]
    unpacking = sum(column_cycles(-(-size // 4)) for size in (depth, hidden))
    return KernelCall(
        function=f"{call.function}_dsp",
        headers=(call.headers[0].replace(".h", "_dsp.h"),),
        params=call.params,
        constants={"weights": weights, **kept},
        scratch=sum(columns) + round_up(hidden, 4) + scratch,
        over_read={0: -depth % 4},
        cycles=steps * (sums + unpacking + hidden * unit + 60.0),
        code_bytes=code_bytes,
        shared_code=shared("mcugen_gates_s8_dsp", "mcugen_column_s8_dsp"),
        variant="dsp",
        reads=call.reads,
    )

"""Weight streams, scratch and cycles of the DSP kernels of recurrent layers (runtime_c/gates_s8_dsp.h)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize
from mcugen.graph import DYNAMIC_BYTES
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


def product_cycles(rows: int, products: Sequence[Product]) -> float:
    """The sums of so many rows over the products."""
    turns = sum(-(-int(product[0].shape[1]) // GROUP) for product in products)
    return -(-rows // BLOCK) * (turns * 42.0 + 40.0) + 40.0


def pack_sums(weights: Array) -> Words:
    """The stream of sums_s8_dsp.h for weights [rows, inputs]."""
    rows, depth = weights.shape
    full = np.pad(weights.astype(np.int64), ((0, -rows % BLOCK), (0, -depth % GROUP)))
    initial = (-127 * full[:, 1::2].sum(axis=1) & 0xFFFFFFFF).astype(np.uint32)
    blocks = range(0, len(full), BLOCK)
    parts = [(initial[i : i + BLOCK], pack_words(full[i : i + BLOCK]).reshape(-1)) for i in blocks]
    return np.concatenate([words for part in parts for words in part])


def sums_fit(weights: Array) -> bool:
    """Whether `pack_sums` can hold the weights, and no input makes a sum too large."""
    wide = weights.astype(np.int64)
    return bool(wide.min() >= -127 and np.abs(wide).sum(axis=1).max() * 128 < ACCUMULATOR_LIMIT)


def gates_calls(
    call: KernelCall, target: Target, *, gates: int, apart: bool = False, scratch: int, unit: float, code_bytes: int
) -> Iterator[KernelCall]:
    """The DSP kernel for the integers of a portable `call`, where target and weights allow it.

    The sums of the first `gates` gates are made together, then, if there are three, those of the last; with `apart` its products
    one after the other.  `scratch`: bytes behind the columns and the state; `unit`: cycles a unit and step beside the sums.
    """
    if "dsp" not in target.variants:
        return
    hidden = call.params["hidden"]
    rows = [slice(0, gates * hidden), *([slice(2 * hidden, 3 * hidden)] if gates == 2 else [])]
    if "in_row_sums" in call.constants:
        matrices = [call.constants[f"{which}_weights"] for which in ("in", "state")]
        if all(map(sums_fit, matrices)):
            yield _dynamic_call(call, matrices, scratch=scratch, unit=unit, code_bytes=code_bytes + 500)
        return
    found = [scaled_product(call.constants, which) for which in ("in", "state")]
    products = [product for product in found if product is not None]
    if len(products) < len(found):
        return
    parts = [pack_gates(products, part) for part in rows]
    if apart:
        parts[1:] = [pack_gates([product], rows[1]) for product in products]
    sums = sum(product_cycles(part.stop - part.start, products) for part in rows)
    yield _gates_call(
        call,
        {"weights": np.concatenate(parts)},
        scratch=scratch,
        sums=sums,
        unit=unit,
        code_bytes=code_bytes,
        shared_code=shared("mcugen_gates_s8_dsp", "mcugen_column_s8_dsp"),
    )


def _dynamic_call(
    call: KernelCall, matrices: Sequence[Array], *, scratch: int, unit: float, code_bytes: int
) -> KernelCall:
    hidden, rows = call.params["hidden"], len(matrices[0])
    blocks = [part for gate in range(0, rows, hidden) for part in (m[gate : gate + hidden] for m in matrices)]
    turns = sum(-(-m.shape[1] // GROUP) for m in matrices)
    constants = {name: call.constants[name] for name in ("state_bias", "state_shift") if name in call.constants}
    by_row = [call.constants[name] for name in ("in_row_sums", "in_multiplier", "in_bias", "state_multiplier")]
    return _gates_call(
        call,
        {"weights": np.concatenate(list(map(pack_sums, blocks))), "rows": np.stack(by_row, axis=1), **constants},
        scratch=scratch + 8 * round_up(hidden, BLOCK),
        sums=rows * 40.0 + len(blocks) * 40.0 + -(-rows // BLOCK) * (turns * 42.0 + 40.0),
        unit=unit,
        code_bytes=code_bytes,
        shared_code=shared("mcugen_sums_s8_dsp", "mcugen_column_s8_dsp"),
    )


def _gates_call(
    call: KernelCall,
    constants: Mapping[str, Array],
    *,
    scratch: int,
    sums: float,
    unit: float,
    code_bytes: int,
    shared_code: Mapping[str, int],
) -> KernelCall:
    steps, depth, hidden = (call.params[name] for name in ("steps", "in_c", "hidden"))
    kept = {name: data for name, data in call.constants.items() if name == "tanh" or name.startswith("initial_")}
    columns = [8 * (round_up(size, GROUP) // 4) for size in (depth, hidden)]
    unpacking = sum(column_cycles(-(-size // 4)) for size in (depth, hidden))
    behind = DYNAMIC_BYTES if "rows" in constants else 0
    return KernelCall(
        function=f"{call.function}_dsp",
        headers=(call.headers[0].replace(".h", "_dsp.h"),),
        params=call.params,
        constants={**constants, **kept},
        scratch=sum(columns) + round_up(hidden, 4) + scratch,
        over_read={0: max(0, -depth % 4 - behind)},
        cycles=steps * (sums + unpacking + hidden * unit + 60.0),
        code_bytes=code_bytes,
        shared_code=shared_code,
        variant="dsp",
        reads=call.reads,
    )

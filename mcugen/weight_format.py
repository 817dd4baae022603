"""How the weights of a layer are stored: in fewer bits than int8 where their integers keep to few values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CODES = 16
"""A code of 4 bits names one of so many values."""
INT4_LIMIT = 7
GROUP_REACH = 126
"""A value of 4 bits times the factor of its group stays within int8: 7 * 18."""
INDEX_LIMIT = 1023
"""Weights of a 256-entry codebook lie in [-1023, 1023]: finer than int8, and far from overflowing an accumulator."""


@dataclass(frozen=True)
class WeightFormat:
    """A way to store weights: `bits` of a code, inputs of an output channel that share a factor (0: none), bytes of a table.

    `values`: the integers that codes stand for; None where each layer has a table of its own.
    """

    name: str
    bits: int
    group: int = 0
    table_bytes: int = 0
    values: tuple[int, ...] | None = None


_INT4 = (*range(8), *range(-8, 0))
_POW2 = (0, *(1 << e for e in range(7)), 0, *(-(1 << e) for e in range(7)))

WEIGHT_FORMATS: Mapping[str, WeightFormat] = MappingProxyType(
    {
        "int4": WeightFormat("int4", 4, values=_INT4),
        "int4x32": WeightFormat("int4x32", 4, group=32, values=_INT4),
        "codebook": WeightFormat("codebook", 4, table_bytes=CODES),
        "codebook256": WeightFormat("codebook256", 8, table_bytes=512),
        "pow2": WeightFormat("pow2", 4, values=_POW2),
    }
)
"""int4: [-7, 7]; int4x32: the same times a factor for every 32 inputs of a channel; codebook: 16 integers of the layer's own;
codebook256: 256 integers in [-1023, 1023]; pow2: 0 and powers of two up to 64, of either sign."""


@dataclass(frozen=True)
class PackedWeights:
    """Weights as stored: two codes a byte, the first in the lower half (8-bit codes: one a byte), over all channels on end.

    `table`: the integer of every code, int8 `[16]` or int16 `[256]`; `factors` uint8 `[out_c, groups]`: None without groups.
    """

    codes: npt.NDArray[np.uint8]
    table: Array
    factors: npt.NDArray[np.uint8] | None = None

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.table.nbytes + (0 if self.factors is None else self.factors.nbytes)


def code_matrix(packed: PackedWeights, out_c: int) -> npt.NDArray[np.uint8]:
    """The codes of 4 bits one by one, [out_c, depth]."""
    codes = np.stack([packed.codes & 15, packed.codes >> 4], axis=1).reshape(-1)
    return codes[: len(codes) // out_c * out_c].reshape(out_c, -1)


def weight_bytes(shape: tuple[int, ...], word: str) -> int:
    """Bytes that weights of `shape` (output channel first) take in the format of that name; "int8" is one a weight."""
    count = int(np.prod(shape, dtype=np.int64))
    if word not in WEIGHT_FORMATS:
        return count
    form = WEIGHT_FORMATS[word]
    factors = shape[0] * -(-(count // shape[0]) // form.group) if form.group else 0
    return -(-count * form.bits // 8) + form.table_bytes + factors


def pack_weights(weights: Array, word: str) -> PackedWeights | None:
    """The integers `[out_c, ...]` in the format of that name, or None where they do not keep to it."""
    form = WEIGHT_FORMATS[word]
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    factors = None
    if form.group:
        found = group_factors(flat, form.group)
        if found is None:
            return None
        factors = found.astype(np.uint8)
        flat = flat // np.repeat(found, form.group, axis=1)[:, : flat.shape[1]]
    values = np.unique(flat)
    count = 1 << form.bits
    if form.values is not None:
        table = np.array(form.values)
    elif len(values) <= count:
        table = np.concatenate([values, np.zeros(count - len(values), np.int64)])
    else:
        return None
    if not np.isin(values, table).all():
        return None
    order = np.argsort(table, kind="stable")
    index = order[np.searchsorted(table, flat.reshape(-1), sorter=order)]
    if form.bits == 8:
        return PackedWeights(index.astype(np.uint8), table.astype(np.int16))
    pairs = np.zeros(index.size + index.size % 2, np.int64)
    pairs[: index.size] = index
    return PackedWeights((pairs[0::2] | pairs[1::2] << 4).astype(np.uint8), table.astype(np.int8), factors)


def group_factors(flat: Array, group: int) -> Array | None:
    """The least factor `[out_c, groups]` by which each group of `flat` [out_c, depth] is integers in [-7, 7], or None."""
    outputs, depth = flat.shape
    groups = -(-depth // group)
    padded = np.zeros((outputs, groups * group), np.int64)
    padded[:, :depth] = flat
    blocks = padded.reshape(outputs, groups, group)
    found = np.zeros((outputs, groups), np.int64)
    for factor in range(GROUP_REACH // INT4_LIMIT, 0, -1):
        fits = (blocks % factor == 0).all(axis=2) & (np.abs(blocks) <= INT4_LIMIT * factor).all(axis=2)
        found = np.where(fits, factor, found)
    return found if found.all() else None

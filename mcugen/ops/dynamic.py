"""Tensors whose parameters are found at run time: block floating point, one exponent and zero point for a whole tensor.

A dynamic tensor of n values is n + 2 bytes: int8 integers q, an int8 exponent e, an int8 zero point z; `real = 2^e * (q - z)`.
A layer computes int32 values v, |v| < 2^30, whose unit is 2^E, and ends with `settle`: n is the smallest shift for which
`r(high, n) - r(low, n) <= 255`, with low and high the extremes of v and 0, and `r(v, n) = (v + 2^(n - 1)) >> n` (v itself for
n = 0); then `z = -128 - r(low, n)`, `q = z + r(v, n)`, and e is E + n, saturated to int8.
Rounding is within half a step 2^e, and e is the smallest possible: a step is below 1/127 of the range of this very tensor.
(Block floating point: J. H. Wilkinson, Rounding Errors in Algebraic Processes, 1963.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import DYNAMIC_BYTES

Array = npt.NDArray[Any]

MANTISSA_BITS = 15
VALUE_LIMIT = 2.0**29
"""Products and biases stay below it, so that their sum stays below 2^30."""
LARGEST_SHIFT = 31


def split(x: Array) -> tuple[Array, Array, Array]:
    """Integers `[N, n]`, exponents and zero points `[N, 1]` of a dynamic tensor, int64."""
    wide = x.astype(np.int64)
    return wide[:, :-DYNAMIC_BYTES], wide[:, -2:-1], wide[:, -1:]


def rounding_shift(value: Array, shift: Array) -> Array:
    """`value / 2^shift`, halves up; shifts of 31 and more are 31."""
    shift = np.minimum(shift, LARGEST_SHIFT)
    return np.asarray((value + ((np.int64(1) << shift) >> 1)) >> shift)


def settle(values: Array, exponent: Array) -> Array:
    """The dynamic tensor `[N, n + 2]` of values `[N, n]` in units of 2^exponent, `[N, 1]`."""
    low = np.minimum(values.min(axis=1, keepdims=True), 0)
    high = np.maximum(values.max(axis=1, keepdims=True), 0)
    shift = np.zeros_like(low)
    while np.any(wide := rounding_shift(high, shift) - rounding_shift(low, shift) > 255):
        shift = shift + wide
    zero_point = -128 - rounding_shift(low, shift)
    integers = zero_point + rounding_shift(values, shift)
    return np.concatenate([integers, np.clip(exponent + shift, -128, 127), zero_point], axis=1).astype(np.int8)


def binary_scale(scale: float) -> tuple[int, int]:
    """`mantissa` in [2^14, 2^15) and `exponent` with `scale ~ mantissa * 2^exponent`, to 2^-15 of it."""
    exponent = int(np.floor(np.log2(scale))) + 1 - MANTISSA_BITS
    mantissa = int(np.rint(scale / 2.0**exponent))
    return (mantissa, exponent) if mantissa < 1 << MANTISSA_BITS else (mantissa // 2, exponent + 1)

"""The integer arithmetic of TensorFlow Lite's reference kernels; twin of runtime_c/fixed_point_tflite.h, bit for bit.

Written from the definitions in TensorFlow Lite (`kernels/internal/common.h`, `quantization_util.cc`, `reference/`) and gemmlowp's
fixed-point functions.  All functions work in int64 on values proved to fit int32, and every rounding is written out.
"""

from __future__ import annotations

from math import floor, frexp
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

INT32_MAX = 2**31 - 1
ADD_LEFT_SHIFT = 20
SOFTMAX_INPUT_BITS = 5
SOFTMAX_SUM_BITS = 12
EXP_EIGHTH = 1895147668
"""exp(-1/8) in Q0.31."""
ONE_THIRD = 715827883
EXP_POWERS = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242))
"""exp(-2^k) in Q0.31, by k."""
RECIPROCAL_START = (1515870810, -1010580540)
"""48/17 and -32/17 in Q2.29."""


def quantize_multiplier(scale: Array | float) -> tuple[Array, Array]:
    """int32 multipliers in [2^30, 2^31) (or 0) and int8 exponents with `scale ~ multiplier * 2^(exponent - 31)`."""
    pairs = [_one_multiplier(float(s)) for s in np.atleast_1d(np.asarray(scale, np.float64))]
    return np.array([p[0] for p in pairs], np.int32), np.array([p[1] for p in pairs], np.int8)


def _one_multiplier(scale: float) -> tuple[int, int]:
    if not 0 <= scale < 2.0**30:
        raise ValueError("scale must be finite and in [0, 2^30)")
    fraction, exponent = frexp(scale)
    multiplier = floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, exponent = 2**30, exponent + 1
    return (0, 0) if exponent < -31 else (multiplier, exponent)


def high_multiply(a: Array | int, b: Array | int) -> Array:
    """SaturatingRoundingDoublingHighMul: `(a * b + nudge) / 2^31`, towards zero; ties away from zero at one sign only."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    return np.asarray(np.minimum(np.sign(nudged) * (np.abs(nudged) >> 31), INT32_MAX))


def divide_by_power(x: Array, exponent: Array | int) -> Array:
    """RoundingDivideByPOT: `x / 2^exponent`, the nearest, ties away from zero."""
    exponents = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponents) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponents) + ((x & mask) > threshold))


def requantize(acc: Array, multiplier: Array | int, exponent: Array | int) -> Array:
    """MultiplyByQuantizedMultiplier, rounding twice; int64, not saturated."""
    exponents = np.asarray(exponent, np.int64)
    shifted = acc.astype(np.int64) << np.maximum(exponents, 0)
    return divide_by_power(high_multiply(shifted, np.asarray(multiplier, np.int64)), np.maximum(-exponents, 0))


def rounded_average(total: Array, count: Array | int) -> Array:
    """`total / count`, the nearest, ties away from zero."""
    counts = np.asarray(count, np.int64)
    magnitude = (np.abs(total) + counts // 2) // counts
    return np.asarray(np.where(total > 0, magnitude, -magnitude))


def softmax_parameters(scale: float) -> tuple[int, int, int]:
    """Multiplier, left shift and the lowest difference to the row's largest value that still counts."""
    real = min(float(scale) * 2.0 ** (31 - SOFTMAX_INPUT_BITS), 2.0**31 - 1.0)
    multiplier, exponent = _one_multiplier(real)
    radius = (2.0**SOFTMAX_INPUT_BITS - 1) * 2.0 ** (31 - SOFTMAX_INPUT_BITS) / 2.0**exponent
    return multiplier, exponent, -floor(radius)


def softmax(q: Array, multiplier: int, exponent: int, lowest: int) -> Array:
    """int8 probabilities at scale 1/256 and zero point -128 along the last axis."""
    difference = q.astype(np.int64) - q.astype(np.int64).max(axis=-1, keepdims=True)
    counted = difference >= lowest
    scaled = high_multiply(np.where(counted, difference, 0) << exponent, multiplier)
    exponential = exp_on_negative(scaled)
    total = np.where(counted, divide_by_power(exponential, SOFTMAX_SUM_BITS), 0).sum(axis=-1, keepdims=True)
    headroom = 32 - _bit_length(total)
    reciprocal = one_over_one_plus((total << headroom) - (1 << 31))
    product = high_multiply(reciprocal, exponential)
    result = divide_by_power(product, SOFTMAX_SUM_BITS - headroom + 31 - 8) - 128
    return np.asarray(np.clip(np.where(counted, result, -128), -128, 127).astype(np.int8))


def _bit_length(x: Array) -> Array:
    return np.asarray(np.floor(np.log2(x.astype(np.float64))).astype(np.int64) + 1)


def _shift_left(x: Array, bits: int) -> Array:
    return np.asarray(np.clip(x << bits, -INT32_MAX - 1, INT32_MAX))


def exp_on_negative(a: Array) -> Array:
    """exp of Q5.26 values <= 0, in Q0.31: a Taylor polynomial around -1/8 and a product of powers."""
    quarter = 1 << 24
    reduced = (a & (quarter - 1)) - quarter
    result = _exp_quarter(_shift_left(reduced, SOFTMAX_INPUT_BITS))
    remainder = reduced - a
    for power, factor in EXP_POWERS:
        result = np.where(remainder & (1 << (26 + power)), high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_quarter(a: Array) -> Array:
    """exp on [-1/4, 0) in Q0.31."""
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4_4 = divide_by_power(high_multiply(x2, x2), 2)
    rest = divide_by_power(high_multiply(x4_4 + x3, ONE_THIRD) + x2, 1)
    return np.asarray(np.minimum(EXP_EIGHTH + high_multiply(EXP_EIGHTH, x + rest), INT32_MAX))


def one_over_one_plus(a: Array) -> Array:
    """1 / (1 + a) for a in [0, 1), both Q0.31, by three steps of Newton's method in Q2.29."""
    total = a + INT32_MAX
    half = (total + np.where(total >= 0, 1, -1)) // 2  # never negative here
    x = RECIPROCAL_START[0] + high_multiply(half, RECIPROCAL_START[1])
    for _ in range(3):
        x = x + _shift_left(high_multiply(x, (1 << 29) - high_multiply(half, x)), 2)
    return _shift_left(x, 1)

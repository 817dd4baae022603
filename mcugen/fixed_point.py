"""The integer arithmetic of the reference; twin of runtime_c/fixed_point.h, bit for bit.

All functions are exact: they work in int64 on values proved to fit, and every rounding is written out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

INT32_LIMIT = 2**31
COARSE_SCALE = 2.0**-14
"""From this scale up, multipliers are multiples of 256, so that kernels whose accumulator is scaled by 256 give equal bits."""


def quantize_multiplier(scale: Array | float, *, coarse: bool = True) -> tuple[Array, Array]:
    """The multiplier and shift with `scale ~ multiplier / 2^(32 - shift)`.

    `scale`: float64 >= 0, any shape.  Returns int32 multipliers in [0, 2^31) and uint8 shifts of the same shape: the smallest
    shift for which the rounded multiplier is below 2^31; with `coarse` a multiple of 256 where scale >= 2^-14.
    Raises ValueError for a scale that is negative, not finite, or 2^30 and more.
    """
    scale = np.atleast_1d(np.asarray(scale, np.float64))
    if not np.all(np.isfinite(scale)) or np.any(scale < 0) or np.any(scale >= 2.0**30):
        raise ValueError("scale must be finite and in [0, 2^30)")
    shift = np.zeros(scale.shape, np.int64)
    multiplier = _rounded_multiplier(scale, shift, coarse)
    while np.any(multiplier >= INT32_LIMIT):
        shift += multiplier >= INT32_LIMIT
        multiplier = _rounded_multiplier(scale, shift, coarse)
    return multiplier.astype(np.int32), shift.astype(np.uint8)


def _rounded_multiplier(scale: Array, shift: Array, coarse: bool) -> Array:
    fine = np.floor(scale * 2.0 ** (32.0 - shift) + 0.5)
    multiple = np.floor(scale * 2.0 ** (24.0 - shift) + 0.5) * 256
    return np.where(coarse & (scale >= COARSE_SCALE), multiple, fine).astype(np.int64)


def requantize(acc: Array, multiplier: Array, shift: Array, zero_point: int) -> Array:
    """`zero_point + ((acc * 2^shift * multiplier + 2^31) >> 32)`, int64, not saturated; `|acc * 2^shift| < 2^31` is the caller's."""
    scaled = acc.astype(np.int64) << shift.astype(np.int64)
    return ((scaled * multiplier.astype(np.int64) + (1 << 31)) >> 32) + zero_point


def saturate(value: Array, low: int = -128, high: int = 127, dtype: str = "int8") -> Array:
    return np.clip(value, low, high).astype(dtype)


def requantize_s8(
    acc: Array, multiplier: Array, shift: Array, zero_point: int, low: int = -128, high: int = 127
) -> Array:
    """`requantize`, saturated to int8 and to [low, high]; per-channel parameters run along the last axis."""
    return saturate(requantize(acc, multiplier, shift, zero_point), low, high)


def requantize_output(acc: Array, multiplier: Array, shift: Array, attrs: Mapping[str, Any]) -> Array:
    """`requantize` as a node's attributes say: `out_zero_point`, `act_min`, `act_max`, and `out_dtype` where it is not int8."""
    value = requantize(acc, multiplier, shift, attrs["out_zero_point"])
    return saturate(value, attrs["act_min"], attrs["act_max"], attrs.get("out_dtype", "int8"))


def exact_matmul(a: Array, b: Array) -> Array:
    """Integer matrix product through a float64 GEMM, exact while every partial sum is below 2^53; returns int64."""
    return np.rint(a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def weighted_sum_params(
    ratios: list[float], zero_points: list[int], out_zero_point: int, reach: Sequence[int] | None = None
) -> tuple[list[int], int, int]:
    """Integers for `y = sat8((sum(q_i * M_i) + C) >> n)` with `y - out_zero_point ~ sum(ratio_i * (q_i - zero_point_i))`.

    Returns int16 multipliers M_i, the constant C (zero points and rounding folded in) and the shift n: the largest n <= 22
    for which every M_i fits int16 and no input can make the sum leave int32.  `reach`: the largest magnitude of each q_i
    (None: int8's).  Raises ValueError when even n = 0 does not fit (a ratio above 32767).
    """
    largest = [128] * len(ratios) if reach is None else reach
    for n in range(22, -1, -1):
        multipliers = [int(np.floor(ratio * 2.0**n + 0.5)) for ratio in ratios]
        if any(abs(m) > 32767 for m in multipliers):
            continue
        rounding = (1 << n) >> 1
        constant = (
            out_zero_point * (1 << n) + rounding - sum(m * z for m, z in zip(multipliers, zero_points, strict=True))
        )
        if abs(constant) + sum(abs(m) * q for m, q in zip(multipliers, largest, strict=True)) < INT32_LIMIT:
            return multipliers, constant, n
    raise ValueError(f"ratios {ratios} do not fit 16-bit multipliers")

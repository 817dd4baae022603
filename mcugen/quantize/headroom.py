"""Ranges of the outputs beyond the calibration data: the few largest values tell how much larger unseen ones will be.

Method: peaks over a threshold with exponential excesses (J. Pickands, "Statistical Inference Using Extreme Order Statistics", 1975,
at shape zero).  The range minimises the squared error that is expected on unseen samples: rounding inside, saturation beyond.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TAIL_SHARE = 0.1
FEWEST_PEAKS = 5
CANDIDATES = 121
REACH = 12.0
LEVELS = 255


def range_with_headroom(values: Array) -> tuple[float, float]:
    """The range of a tensor's values [samples, elements] that is expected to serve unseen samples best.

    An end at which most samples pile up (the zero of a Relu, the one of a probability) or with too few samples stays as observed.
    """
    low, high = float(values.min()), float(values.max())
    if len(values) < 2 * FEWEST_PEAKS or high <= low:
        return low, high
    size = values.shape[1]
    best_high, best_low = high, low
    for _ in range(2):
        best_high = _bound(values.max(axis=1), size, other=min(best_low, 0.0))
        best_low = -_bound(-values.min(axis=1), size, other=-max(best_high, 0.0))
    return best_low, best_high


def _bound(extremes: Array, size: int, *, other: float) -> float:
    """The upper end for per-sample maxima `extremes`, with the range's lower end at `other`."""
    ordered = np.sort(extremes.astype(np.float64))[::-1]
    peaks = max(FEWEST_PEAKS, int(len(ordered) * TAIL_SHARE))
    threshold = ordered[peaks]
    excess = float((ordered[:peaks] - threshold).mean())
    if excess <= 1e-6 * abs(ordered[0]):
        return float(ordered[0])
    bounds = threshold + excess * np.linspace(0, REACH, CANDIDATES)
    saturation = peaks / len(ordered) * 2 * excess**2 * np.exp(-(bounds - threshold) / excess)
    rounding = size * (np.maximum(bounds - other, 0) / LEVELS) ** 2 / 12
    return float(bounds[np.argmin(saturation + rounding)])

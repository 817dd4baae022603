"""Observers: from the histogram of a tensor's values to the range that its integers shall cover.

An observer is a function of this file named `range_by_NAME`; `--observer NAME` finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import QuantParams

Array = npt.NDArray[Any]
Range = tuple[float, float]

LEVELS = 256
INT16_LARGEST = 32767
INT16_LEVELS = 65535
"""-32768 is reached by saturation alone."""
SEARCH_STEPS = 100
SMALLEST_FRACTION = 0.3
ENTROPY_STEPS = 64


@dataclass(frozen=True)
class Histogram:
    """Counts of a tensor's values in equal bins over [low, high], and how many integers shall stand for them."""

    low: float
    high: float
    counts: npt.NDArray[np.int64]
    levels: int = LEVELS

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        edges = np.linspace(self.low, self.high, len(self.counts) + 1)
        return np.asarray((edges[:-1] + edges[1:]) / 2)


def observer(name: str) -> Callable[[Histogram], Range]:
    """The observer of that name: minmax, percentile, mse or entropy."""
    found = globals().get(f"range_by_{name}")
    if found is None:
        raise ValueError(f"no observer '{name}': choose {', '.join(observer_names())}")
    return found  # type: ignore[no-any-return]


def observer_names() -> list[str]:
    return sorted(name.removeprefix("range_by_") for name in globals() if name.startswith("range_by_"))


def range_by_minmax(histogram: Histogram) -> Range:
    """The whole observed range."""
    return histogram.low, histogram.high


def range_by_percentile(histogram: Histogram, percent: float = 99.99) -> Range:
    """The range without the outermost `100 - percent` percent of the values, half at each end."""
    cumulative = np.cumsum(histogram.counts) / max(1, histogram.counts.sum())
    tail = (1 - percent / 100) / 2
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    first = int(np.searchsorted(cumulative, tail, side="right"))
    last = int(np.searchsorted(cumulative, 1 - tail, side="left"))
    return float(edges[first]), float(edges[min(last + 1, len(edges) - 1)])


def range_by_mse(histogram: Histogram) -> Range:
    """The range with the least squared error of rounding and saturating, searched by shrinking each end in turn."""
    low, high = histogram.low, histogram.high
    best = (_squared_error(histogram, low, high), low, high)
    fractions = np.linspace(1.0, SMALLEST_FRACTION, SEARCH_STEPS)
    for fraction in fractions:
        best = min(best, (_squared_error(histogram, low * fraction, high * fraction), low * fraction, high * fraction))
    for _ in range(2):
        _, b_low, b_high = best
        for fraction in fractions:
            best = min(best, (_squared_error(histogram, b_low, high * fraction), b_low, high * fraction))
        _, b_low, b_high = best
        for fraction in fractions:
            best = min(best, (_squared_error(histogram, low * fraction, b_high), low * fraction, b_high))
    return best[1], best[2]


def _squared_error(histogram: Histogram, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (histogram.levels - 1)
    if step <= 0:
        return float("inf")
    centres = histogram.centres
    outside = np.maximum(low - centres, 0) + np.maximum(centres - high, 0)
    return float(histogram.counts @ np.where(outside > 0, outside**2, step**2 / 12))


def range_by_entropy(histogram: Histogram) -> Range:
    """The symmetric-fraction range with the least Kullback-Leibler divergence (S. Migacz, 8-bit inference with TensorRT, 2017)."""
    best = (float("inf"), 1.0)
    for fraction in np.linspace(1.0, SMALLEST_FRACTION, ENTROPY_STEPS):
        best = min(best, (_divergence(histogram, float(fraction)), float(fraction)))
    return histogram.low * best[1], histogram.high * best[1]


def _divergence(histogram: Histogram, fraction: float) -> float:
    centres, counts = histogram.centres, histogram.counts.astype(np.float64)
    low, high = histogram.low * fraction, histogram.high * fraction
    inside = (centres >= low) & (centres <= high)
    if not inside.any():
        return float("inf")
    p = counts[inside].copy()
    p[0] += counts[centres < low].sum()
    p[-1] += counts[centres > high].sum()
    levels = histogram.levels
    level = np.minimum(((centres[inside] - low) / max(high - low, 1e-30) * levels).astype(int), levels - 1)
    live = p > 0
    sums = np.bincount(level, counts[inside], levels)
    members = np.bincount(level[live], minlength=levels)
    q = np.where(live, sums[level] / np.maximum(members[level], 1), 0)
    p, q = p / p.sum(), q / max(q.sum(), 1e-30)
    mask = p > 0
    return float(np.sum(p[mask] * np.log(p[mask] / np.maximum(q[mask], 1e-12))))


def quant_params(low: float, high: float, dtype: str = "int8") -> QuantParams:
    """Parameters whose integers cover [low, high] and hold zero exactly: asymmetric for int8, symmetric for int16."""
    low, high = min(low, 0.0), max(high, 0.0)
    if dtype == "int16":
        return QuantParams.per_tensor(max(-low, high, 1e-30) / INT16_LARGEST, 0, dtype)
    if high - low < 1e-30:
        return QuantParams.per_tensor(1.0 / 128, 0)
    scale = (high - low) / (LEVELS - 1)
    zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
    return QuantParams.per_tensor(scale, zero_point)

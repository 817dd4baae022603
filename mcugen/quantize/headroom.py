"""Ranges beyond the calibration data: the few largest values tell how much larger those of unseen samples will be.

Method: peaks over a threshold with exponential excesses (J. Pickands, "Statistical Inference Using Extreme Order
Statistics", Annals of Statistics 3, 1975, at shape zero).  The range minimises the squared error that is to be expected on
unseen samples: rounding inside, saturation outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import Rows, evaluate_batches
from mcugen.graph import Graph

Array = npt.NDArray[Any]

PEAKS_PER_SAMPLE = 0.1
FEWEST_PEAKS = 5
MOST_PEAKS = 1000
CANDIDATES = 121
REACH = 12.0

LEVELS = 255


@dataclass(frozen=True)
class Tails:
    """The largest and the smallest values of a tensor over all samples, most extreme first, one more than the peaks counted."""

    high: Array
    low: Array
    samples: int
    elements: int


def observe_tails(graph: Graph, samples: Mapping[str, Rows], names: Sequence[str]) -> dict[str, Tails]:
    """The tails of the named activations over the samples; one pass, memory bounded by one batch."""
    count = len(next(iter(samples.values())))
    kept = peak_count(count) + 1
    high: dict[str, Array] = {name: np.empty(0) for name in names}
    low: dict[str, Array] = {name: np.empty(0) for name in names}
    for batch in evaluate_batches(graph, samples, keep=names):
        for name in names:
            flat = batch[name].reshape(-1).astype(np.float64)
            high[name] = _largest(np.concatenate([high[name], flat]), kept)
            low[name] = -_largest(np.concatenate([-low[name], -flat]), kept)
    return {name: Tails(high[name], low[name], count, graph.tensors[name].size) for name in names}


def _largest(values: Array, count: int) -> Array:
    if len(values) > count:
        values = np.partition(values, len(values) - count)[-count:]
    return np.sort(values)[::-1]


def range_with_headroom(tails: Tails, levels: int = LEVELS, *, saturation: float = 1.0) -> tuple[float, float]:
    """The range that is expected to serve unseen samples best with `levels` steps; with too few samples, the observed one.

    `saturation`: what the squared error of a saturated value counts where that of a rounded one counts 1.  An end at which
    values pile up, as the zero of a Relu, stays as observed.
    """
    low, high = float(tails.low[0]), float(tails.high[0])
    if tails.samples < 2 * FEWEST_PEAKS or len(tails.high) <= FEWEST_PEAKS or high <= low:
        return low, high
    best_low, best_high = low, high
    for _ in range(2):
        best_high = _bound(tails.high, tails, levels, saturation, other=min(best_low, 0.0))
        best_low = -_bound(-tails.low, tails, levels, saturation, other=-max(best_high, 0.0))
    return best_low, best_high


def peak_count(samples: int) -> int:
    """How many of a tensor's values over that many samples count as its tail."""
    return min(max(FEWEST_PEAKS, int(samples * PEAKS_PER_SAMPLE)), MOST_PEAKS)


def _bound(ordered: Array, tails: Tails, levels: int, saturation: float, *, other: float) -> float:
    """The upper end for the largest values `ordered`, with the range's lower end at `other`."""
    peaks = len(ordered) - 1
    threshold = float(ordered[-1])
    excess = float((ordered[:peaks] - threshold).mean())
    if excess <= 1e-6 * abs(float(ordered[0])):
        return float(ordered[0])
    bounds = threshold + excess * np.linspace(0, REACH, CANDIDATES)
    beyond = saturation * peaks / tails.samples * 2 * excess**2 * np.exp(-(bounds - threshold) / excess)
    rounding = tails.elements * (np.maximum(bounds - other, 0) / levels) ** 2 / 12
    return float(bounds[np.argmin(beyond + rounding)])

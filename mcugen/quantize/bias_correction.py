"""Bias correction: the bias that makes the mean output of a quantized layer right behind its activation.

Method: the empirical form of M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019, on the quantized layers before.  Samples whose mean error lies far from that of the
others (an input that saturates) count as if they lay near, so that they do not spoil the bias for all (P. Huber, "Robust
Estimation of a Location Parameter", 1964).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FARTHEST = 2.0
"""Median absolute deviations from the median at which a sample's mean error is cut."""
LEAST_SHARE = 0.02
"""An output that lets fewer of its rows through is corrected as if it had no activation."""
ROUNDS = 3


def correct_bias(wanted: Array, given: Array, bounds: tuple[float, float], sample: Array) -> Array:
    """The change of the bias [groups, outputs].

    `wanted`, `given` [groups, rows, outputs]: the layer's output before its activation, in float and with the quantized
    inputs and weights and the bias as it is; `bounds`: the activation's; `sample` [rows]: the sample of each row, rising.
    """
    low, high = bounds
    target = np.clip(wanted, low, high)
    linear = _passed(wanted, bounds).mean(axis=1, keepdims=True) < LEAST_SHARE
    starts = np.flatnonzero(np.diff(sample, prepend=-1))
    change = np.zeros((wanted.shape[0], 1, wanted.shape[2]))
    for _ in range(ROUNDS if np.isfinite(low) or np.isfinite(high) else 1):
        moved = given + change
        passed = np.where(linear, True, _passed(moved, bounds))
        error = np.where(linear, wanted - moved, target - np.clip(moved, low, high))
        change += _robust_mean(error, passed, starts)[:, None]
    return change[:, 0]


def _passed(values: Array, bounds: tuple[float, float]) -> Array:
    return np.asarray((values > bounds[0]) & (values < bounds[1]))


def _robust_mean(error: Array, passed: Array, starts: Array) -> Array:
    """The mean error over the rows that pass; the samples, which begin at `starts`, weigh by their passing rows."""
    counts = np.add.reduceat(passed.astype(np.float64), starts, axis=1)
    means = np.add.reduceat(error, starts, axis=1) / np.maximum(counts, 1)
    middle = np.median(means, axis=1, keepdims=True)
    spread = np.median(np.abs(means - middle), axis=1, keepdims=True)
    cut = np.clip(means, middle - FARTHEST * spread, middle + FARTHEST * spread)
    return np.asarray((cut * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1))

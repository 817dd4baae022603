"""Bias correction: the bias that makes the mean output of a quantized layer right where its activation lets it through.

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
"""An output that lets fewer of its rows through is corrected by all rows."""


def correct_bias(error: Array, passed: Array, sample: Array) -> Array:
    """The change of the bias [groups, outputs].

    `error` [groups, rows, outputs]: wanted minus given; `passed`, of the same shape: whether the activation lets the wanted
    value through; `sample` [rows]: the sample of each row, rising.
    """
    enough = passed.mean(axis=1, keepdims=True) >= LEAST_SHARE
    weight = np.where(enough, passed, True).astype(np.float64)
    starts = np.flatnonzero(np.diff(sample, prepend=-1))
    counts = np.add.reduceat(weight, starts, axis=1)
    sums = np.add.reduceat(weight * error, starts, axis=1)
    means = sums / np.maximum(counts, 1)
    known = np.where(counts > 0, means, np.nan)
    middle = np.nanmedian(known, axis=1, keepdims=True)
    spread = np.nanmedian(np.abs(known - middle), axis=1, keepdims=True)
    cut = np.clip(means, middle - FARTHEST * spread, middle + FARTHEST * spread)
    return np.asarray((cut * counts).sum(axis=1) / counts.sum(axis=1))

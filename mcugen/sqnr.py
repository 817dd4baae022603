"""The signal-to-quantization-noise ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BOOTSTRAPS = 1000


def sqnr_db(signal: Array, result: Array) -> float:
    """10 log10 of signal power over noise power; infinite without noise."""
    noise = float(np.sum((signal.astype(np.float64) - result) ** 2))
    power = float(np.sum(signal.astype(np.float64) ** 2))
    return float("inf") if noise == 0 else 10 * float(np.log10(max(power, 1e-300) / noise))


def bootstrap_interval(signal: Array, result: Array) -> tuple[float, float]:
    """95 % interval of the SQNR when the samples are drawn again with replacement, seeded."""
    power = np.sum(signal.astype(np.float64) ** 2, axis=1)
    noise = np.sum((signal - result) ** 2, axis=1)
    if not noise.any():
        return float("inf"), float("inf")
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(power), (BOOTSTRAPS, len(power)))
    ratio = power[draws].sum(axis=1) / np.maximum(noise[draws].sum(axis=1), 1e-300)
    low, high = np.percentile(10 * np.log10(np.maximum(ratio, 1e-300)), [2.5, 97.5])
    return float(low), float(high)

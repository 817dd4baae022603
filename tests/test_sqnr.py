"""The signal-to-noise ratio at its edges."""

from __future__ import annotations

import numpy as np

from mcugen.sqnr import bootstrap_interval, sqnr_db


def test_no_noise_is_infinite_in_every_figure() -> None:
    signal = np.arange(6.0).reshape(3, 2)
    assert sqnr_db(signal, signal) == np.inf
    assert bootstrap_interval(signal, signal) == (np.inf, np.inf)
    low, high = bootstrap_interval(signal, signal + 0.01)
    assert low <= sqnr_db(signal, signal + 0.01) <= high

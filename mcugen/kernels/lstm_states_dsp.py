"""LSTM with states from and to outside on cores with the DSP instructions: as the plain one."""

from __future__ import annotations

from mcugen.kernels.lstm_dsp import candidates

OP = "lstm_states"

__all__ = ["OP", "candidates"]

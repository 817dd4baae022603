"""LSTM on cores with the DSP instructions: the sums of four rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pack_gates_dsp import gates_calls
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "lstm"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `lstm_s8_dsp` kernel for the integers of the portable `call`."""
    hidden = call.params["hidden"]
    yield from gates_calls(call, target, gates=4, scratch=10 * hidden, unit=160.0, code_bytes=616)

"""RNN on cores with the DSP instructions: the sums of four rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pack_dsp import round_up
from mcugen.kernels.pack_gates_dsp import gates_calls
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "rnn"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `rnn_s8_dsp` kernel for the integers of the portable `call`."""
    scratch = 2 * round_up(call.params["hidden"], 4)
    yield from gates_calls(call, target, gates=1, scratch=scratch, unit=40.0, code_bytes=272)

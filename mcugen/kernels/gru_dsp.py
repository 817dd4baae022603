"""GRU on cores with the DSP instructions: the sums of four rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.pack_dsp import round_up
from mcugen.kernels.pack_gates_dsp import gates_calls
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "gru"


def candidates(call: KernelCall, target: Target) -> Iterator[KernelCall]:
    """The `gru_s8_dsp` kernel for the integers of the portable `call`."""
    hidden, behind = call.params["hidden"], bool(call.params["linear_before_reset"])
    scratch = (10 if behind else 8) * hidden + 6 + (0 if behind else round_up(hidden, 4))
    yield from gates_calls(call, target, gates=2, apart=behind, scratch=scratch, unit=130.0, code_bytes=616)

"""What a run of a model yields: outputs, and where the target can tell, what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from mcugen.run.interface import Int8Array


@dataclass(frozen=True)
class StepCost:
    """What one step of the model costs in one run; `cycles` is None where the core's cycles are not modelled."""

    index: int
    instructions: int
    cycles: int | None


@dataclass(frozen=True)
class OperationCounts:
    """How often one run does what decides its cycles."""

    loads: int
    stores: int
    multiplies: int
    taken_branches: int
    unaligned: int


@dataclass(frozen=True)
class RunCost:
    """What one run costs; `stack` is in bytes, below the caller's frame."""

    instructions: int
    cycles: int | None
    stack: int
    steps: tuple[StepCost, ...]
    operations: OperationCounts | None


@dataclass(frozen=True)
class RunResult:
    """Outputs, one int8 array [samples, bytes] an output, and the cost of the dearest run that was measured.

    The cost fields are None (steps: empty) where the run was on the host.  `text` is what the program printed.
    """

    outputs: list[Int8Array]
    instructions: int | None = None
    cycles: int | None = None
    stack: int | None = None
    steps: tuple[StepCost, ...] = ()
    operations: OperationCounts | None = None
    text: str = ""


@dataclass(frozen=True)
class Sizes:
    """Bytes of the model in a linked program; the test program and start-up code are not in it.

    `weights` are all constants (weights, biases, tables), `code` is instructions with their literals, `runtime` what
    the model pulls out of the compiler's library and memcpy and the like, `data` and `bss` the model's global
    variables (none, in generated code), `arena` its `struct NAME_arena`.  Flash also holds the initial values of
    `data`.
    """

    weights: int
    code: int
    runtime: int
    data: int
    bss: int
    arena: int

    @property
    def flash_total(self) -> int:
        return self.weights + self.code + self.runtime + self.data

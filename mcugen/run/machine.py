"""What every emulated machine offers to the code that drives it."""

from __future__ import annotations

from typing import Protocol

from mcugen.errors import VerificationFailed
from mcugen.run.elf import Image
from mcugen.run.results import RunCost

STACK_PAINT = 0xA5


class Machine(Protocol):
    """A booted machine with a program loaded, stopped at its first instruction."""

    def read(self, address: int, size: int) -> bytes:
        """Memory as bytes."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Puts bytes into memory."""
        ...

    def resume(self, stop: int) -> None:
        """Runs on until the instruction at `stop` is next; VerificationFailed on a fault, an exit or no end."""
        ...

    def measure(self, model: str) -> RunCost:
        """Runs from bench_begin, where the machine is stopped, to bench_end, and says what that cost."""
        ...

    @property
    def text(self) -> str:
        """What the program has printed."""
        ...

    def close(self) -> None:
        """Ends the machine."""
        ...


def paint_stack(machine: Machine, image: Image, stack_pointer: int) -> None:
    """Fills the free stack with a pattern, so that `stack_used` can tell what was touched."""
    limit = image.address("__stack_limit")
    if stack_pointer > limit:
        machine.write(limit, bytes([STACK_PAINT]) * (stack_pointer - limit))


def stack_used(machine: Machine, image: Image, stack_pointer: int) -> int:
    """Bytes below `stack_pointer` that were touched since `paint_stack`; VerificationFailed when all of them were."""
    limit = image.address("__stack_limit")
    free = machine.read(limit, stack_pointer - limit)
    untouched = len(free) - len(free.lstrip(bytes([STACK_PAINT])))
    if untouched == 0:
        raise VerificationFailed(
            f"the stack of {len(free)} bytes overflowed", hint="run it with a linker script whose STACK_SIZE is larger"
        )
    return len(free) - untouched

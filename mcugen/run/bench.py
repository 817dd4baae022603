"""Driving a linked bench program through vectors on any machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcugen.errors import VerificationFailed
from mcugen.run.elf import Image
from mcugen.run.interface import Int8Array, ModelInterface
from mcugen.run.machine import Machine
from mcugen.run.results import RunCost

ARENA_POISON = 0xA5
Boot = Callable[[bool], Machine]
"""Boots a fresh machine; True where `measure` will be called."""
Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


def run_vectors(
    boot: Boot,
    image: Image,
    interface: ModelInterface,
    rows: Int8Array,
    *,
    counted: int = 1,
    progress: Progress | None = None,
) -> tuple[Int8Array, list[RunCost], str]:
    """Runs the model on each row of input bytes: output rows, the costs of the first `counted` runs, printed text.

    The arena is filled with a pattern at the start, and not cleared between runs.  Raises VerificationFailed when the
    program crashes, does not end, or returns an error.
    """
    outputs = np.zeros((len(rows), interface.output_bytes), np.int8)
    costs: list[RunCost] = []
    text = ""
    counted = min(counted, len(rows))
    # a fresh machine begins a stream anew
    rest = range(0 if interface.stateful and counted < len(rows) else counted, len(rows))
    for counting, samples in ((True, range(counted)), (False, rest)):
        if not samples:
            continue
        machine = boot(counting)
        try:
            _start(machine, image)
            for sample in samples:
                outputs[sample], cost = _run_one(
                    machine, image, interface, rows[sample], counting=counting, sample=sample
                )
                costs += [cost] if cost is not None else []
                if progress is not None:
                    progress(sample + 1, len(rows))
            text += machine.text
        finally:
            machine.close()
    return outputs, costs, text


def _start(machine: Machine, image: Image) -> None:
    machine.resume(image.address("bench_wait"))
    machine.write(image.address("bench_repeat"), b"\1\0\0\0")
    arena = image.symbols["bench_arena"]
    machine.write(arena.address, bytes([ARENA_POISON]) * arena.size)


def _run_one(
    machine: Machine, image: Image, interface: ModelInterface, row: Int8Array, *, counting: bool, sample: int
) -> tuple[Int8Array, RunCost | None]:
    """One vector, from bench_wait to the next bench_wait."""
    machine.write(image.address("bench_input"), row.tobytes())
    cost = None
    if counting:
        machine.resume(image.address("bench_begin"))
        cost = machine.measure(interface.name)
    machine.resume(image.address("bench_done"))
    status = int.from_bytes(machine.read(image.address("bench_status"), 4), "little", signed=True)
    if status != 0:
        raise VerificationFailed(f"{interface.name}_run returned {status} on sample {sample}")
    output = np.frombuffer(machine.read(image.address("bench_output"), interface.output_bytes), np.int8)
    machine.resume(image.address("bench_wait"))
    return output, cost

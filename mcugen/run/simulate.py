"""One call from C sources to outputs, costs and sizes, on whatever a target is emulated with."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcugen.errors import ToolchainError
from mcugen.run.baremetal import Program, link_bench
from mcugen.run.bench import Boot, Progress, run_vectors
from mcugen.run.elf import read_sizes
from mcugen.run.emulator import unicorn_booter
from mcugen.run.interface import Int8Array, ModelInterface, check_outputs
from mcugen.run.qemu import qemu_booter
from mcugen.run.results import RunCost, RunResult, Sizes
from mcugen.run.toolchain import Compiler
from mcugen.targets import Target
from mcugen.whole_file import write_whole


@dataclass(frozen=True)
class Simulation:
    """What a model does and costs on an emulated target; `stack_frames` is each function's own frame in bytes."""

    result: RunResult
    sizes: Sizes
    emulator: str
    stack_frames: dict[str, int]


def simulate(
    target: Target,
    compiler: Compiler,
    sources: Sequence[Path],
    includes: Sequence[Path] = (),
    *,
    interface: ModelInterface,
    vectors: Sequence[Int8Array],
    golden: Sequence[Int8Array] | None = None,
    keep_elf: Path | None = None,
    emulator: str | None = None,
    optimize: str | None = None,
    defines: Sequence[str] = (),
    counted: int = 1,
    timeout: float = 300.0,
    progress: Progress | None = None,
) -> Simulation:
    """Compiles a model for a target, runs it there on every vector, and says what the dearest counted run costs.

    `vectors` is one int8 array [samples, bytes] an input, `golden` one an output.  `emulator` is "unicorn" or "qemu",
    by default the target's own.  `counted` is how many of the first samples are measured, which is slower.  `keep_elf`
    keeps the program: on its own it runs the first sample and exits with 0 where its output is golden.  `timeout` is
    in seconds, for each stretch of a run.  Raises ToolchainError when something is missing or does not compile,
    VerificationFailed when the program crashes or an output differs from `golden`.
    """
    rows = interface.pack(vectors)
    expected = None if golden is None else interface.pack_outputs(golden)
    chosen = emulator or target.emulator
    with tempfile.TemporaryDirectory(prefix="mcugen-") as name:
        program = link_bench(
            target,
            compiler,
            sources,
            includes,
            defines,
            interface=interface,
            script=_script(target, chosen),
            out=Path(name) / "program.elf",
            optimize=optimize,
            golden_input=rows[0].tobytes() if len(rows) else None,
            golden_output=None if expected is None or not len(expected) else expected[0].tobytes(),
        )
        if keep_elf is not None:
            keep_elf.parent.mkdir(parents=True, exist_ok=True)
            write_whole(keep_elf, program.path.read_bytes(), option="--elf")
        boot = _booter(program, target, chosen, timeout)
        outputs, costs, text = run_vectors(boot, program.image, interface, rows, counted=counted, progress=progress)
    if expected is not None:
        check_outputs(interface, outputs, expected, where=f"{target.name} ({chosen})")
    result = _result(interface.unpack(outputs), costs, text)
    return Simulation(result, read_sizes(program.image), chosen, dict(program.image.stack_frames))


def _script(target: Target, emulator: str) -> str:
    machine = {"unicorn": target.unicorn, "qemu": target.qemu}.get(emulator)
    if machine is None:
        able = [name for name, there in (("unicorn", target.unicorn), ("qemu", target.qemu)) if there is not None]
        hint = f"use {' or '.join(able)}" if able else "verify it on the host, or choose a target such as cortex-m4"
        raise ToolchainError(f"target {target.name} is not emulated by {emulator}", hint=hint)
    return machine.script


def _booter(program: Program, target: Target, emulator: str, timeout: float) -> Boot:
    if emulator == "unicorn":
        return unicorn_booter(program.image, target, timeout=timeout)
    return qemu_booter(program.path, program.image, target, timeout=timeout)


def _result(outputs: list[Int8Array], costs: Sequence[RunCost], text: str) -> RunResult:
    if not costs:
        return RunResult(outputs, text=text)
    dearest = max(costs, key=lambda cost: (cost.cycles or 0, cost.instructions))
    return RunResult(
        outputs,
        instructions=dearest.instructions,
        cycles=dearest.cycles,
        stack=max(cost.stack for cost in costs),
        steps=dearest.steps,
        operations=dearest.operations,
        text=text,
    )

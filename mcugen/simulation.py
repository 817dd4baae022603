"""A built model on an emulated core: proved against the reference, and what it costs there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import McugenError, ToolchainError
from mcugen.execute import reference
from mcugen.package import Package
from mcugen.run.baremetal import link_bench
from mcugen.run.elf import read_sizes
from mcugen.run.results import OperationCounts, Sizes
from mcugen.run.simulate import Simulation as Emulated
from mcugen.run.simulate import simulate
from mcugen.run.stack import run_stack
from mcugen.run.toolchain import Compiler, find_cross_compiler
from mcugen.targets import Target, load_target
from mcugen.verification import verification_vectors

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

DEFAULT_VECTORS = 8


@dataclass(frozen=True)
class LayerCost:
    """One layer's share of a run; `cycles` is None where the core's cycles are not modelled."""

    index: int
    name: str
    op: str
    variant: str
    macs: int
    constants: int
    """Bytes of flash that its weights and tables take."""
    instructions: int
    cycles: int | None

    @property
    def cycles_per_mac(self) -> float | None:
        return self.cycles / self.macs if self.cycles is not None and self.macs else None


@dataclass(frozen=True)
class Simulation:
    """One inference on an emulated core, equal to the reference on `vectors` vectors.

    `instructions`, `cycles` and `stack` (bytes below the caller's frame) are of the dearest run that was counted;
    `sizes` are the linked model's.
    """

    name: str
    target: str
    cpu: str
    emulator: str
    compiler: str
    vectors: int
    macs: int
    instructions: int
    cycles: int | None
    stack: int
    sizes: Sizes
    layers: tuple[LayerCost, ...]
    operations: OperationCounts | None

    @property
    def cycles_per_mac(self) -> float | None:
        return self.cycles / self.macs if self.cycles is not None and self.macs else None

    def to_dict(self) -> dict[str, Any]:
        sizes = self.sizes
        return {
            "name": self.name,
            "target": self.target,
            "cpu": self.cpu,
            "emulator": self.emulator,
            "compiler": self.compiler,
            "bit_exact": True,
            "vectors": self.vectors,
            "macs": self.macs,
            "instructions": self.instructions,
            "cycles": self.cycles,
            "cycles_per_mac": self.cycles_per_mac,
            "stack": self.stack,
            "flash": flash_record(sizes),
            "ram": {
                "arena": sizes.arena,
                "data": sizes.data + sizes.bss,
                "stack": self.stack,
                "total": sizes.arena + sizes.data + sizes.bss + self.stack,
            },
            "layers": [{**asdict(layer), "cycles_per_mac": layer.cycles_per_mac} for layer in self.layers],
            "operations": asdict(self.operations) if self.operations is not None else None,
        }


def flash_record(sizes: Sizes) -> dict[str, int]:
    """Flash in bytes: `code` is the model's own, `runtime` what it takes from the compiler's library."""
    return {
        "total": sizes.flash_total,
        "weights": sizes.weights,
        "code": sizes.code,
        "runtime": sizes.runtime,
        "data": sizes.data,
    }


def core_of(target: str | Target, cpu: str | None) -> Target:
    """The core to run on; raises McugenError where the two are of different families, and for the host."""
    wanted = load_target(target) if isinstance(target, str) else target
    if wanted.family == "host":
        raise McugenError(
            "the host is no emulated core",
            hint="`mcugen verify` runs the C on this computer; `--target cortex-m4` emulates one",
        )
    return wanted if cpu is None else wanted.on_cpu(load_target(cpu))


@dataclass(frozen=True)
class Linked:
    """What a package takes in a program that was linked for a core; `stack` is a run's, read from its code."""

    sizes: Sizes
    stack: int


def link(package: Package, target: Target, compiler: Compiler) -> Linked:
    """What the package takes in a linked program for the target; raises ToolchainError where it does not compile."""
    machine = target.unicorn or target.qemu
    if machine is None:
        raise ToolchainError(f"target {target.name} has no linker script", hint="give it a [unicorn] or [qemu] table")
    with tempfile.TemporaryDirectory(prefix="mcugen-") as folder:
        program = link_bench(
            target,
            compiler,
            package.sources,
            package.includes,
            interface=package.interface,
            script=machine.script,
            out=Path(folder) / "program.elf",
        )
        return Linked(read_sizes(program.image), run_stack(program.image, package.name, target.family))


def simulate_package(
    package: Package,
    target: Target,
    *,
    elf: Path | None = None,
    vectors: int = DEFAULT_VECTORS,
    compiler: str | None = None,
    emulator: str | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Run the package on an emulated core and compare every output byte with the reference.

    The vectors are calibration samples, random values and extremes, `vectors` in all; the first is counted.  `elf`
    keeps the program.  Raises VerificationFailed for a difference, a crash or an error code, and ToolchainError.
    """
    graph = package.graph
    chosen = find_cross_compiler(target, compiler)
    inputs = _vectors(package, vectors)
    expected = reference(graph, inputs)
    simulated = simulate(
        target,
        chosen,
        package.sources,
        package.includes,
        interface=package.interface,
        vectors=[_rows(inputs[name]) for name in graph.inputs],
        golden=[_rows(expected[name]) for name in graph.outputs],
        keep_elf=elf,
        emulator=emulator,
        progress=progress,
    )
    return _result(package, target, chosen, len(inputs[graph.inputs[0]]), simulated)


def _rows(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(len(array), -1).view(np.int8)


def _vectors(package: Package, count: int) -> dict[str, Array]:
    """`count` vectors from all over the list; of a stream as many calls as fill the window, and one more."""
    every = verification_vectors(package.graph, package.vectors)
    if package.stream is None:
        return _pick(every, count)
    return {name: array[: max(count, package.stream.calls + 1)] for name, array in every.items()}


def _pick(vectors: Mapping[str, Array], count: int) -> dict[str, Array]:
    """`count` vectors from all over the list, the first sample and the last extreme among them."""
    total = len(next(iter(vectors.values())))
    index = np.unique(np.linspace(0, total - 1, max(1, min(count, total))).round().astype(int))
    return {name: array[index] for name, array in vectors.items()}


def _result(package: Package, target: Target, compiler: Compiler, vectors: int, simulated: Emulated) -> Simulation:
    run, layers = simulated.result, package.report["layers"]
    assert run.instructions is not None and run.stack is not None
    costs = tuple(
        LayerCost(
            index=layer["index"],
            name=layer["name"],
            op=layer["op"],
            variant=layer["variant"],
            macs=layer["macs"],
            constants=layer["constants"],
            instructions=step.instructions,
            cycles=step.cycles,
        )
        for step in run.steps
        for layer in layers[step.index : step.index + 1]
    )
    return Simulation(
        name=package.name,
        target=target.name,
        cpu=target.cpu,
        emulator=simulated.emulator,
        compiler=compiler.version,
        vectors=vectors,
        macs=package.report["macs"],
        instructions=run.instructions,
        cycles=run.cycles,
        stack=run.stack,
        sizes=simulated.sizes,
        layers=costs,
        operations=run.operations,
    )

"""Proof by comparison: the compiled C against the NumPy reference, every byte of every output, and of every layer if asked."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import VerificationFailed
from mcugen.execute import reference
from mcugen.graph import Graph
from mcugen.package import Package
from mcugen.run.host import HostModel, TraceRecord
from mcugen.run.toolchain import find_host_compiler

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

RANDOM_VECTORS = 32
CHUNK = 64


@dataclass(frozen=True)
class Verification:
    """What was compared, all of it equal (a difference raises VerificationFailed)."""

    vectors: int
    outputs_compared: int
    layers_compared: int
    compiler: str
    variants: int = 1
    """How many choices of kernels, by the core the C is compiled for, were compared."""

    def to_dict(self) -> dict[str, Any]:
        return {"bit_exact": True, **asdict(self)}


def verification_vectors(graph: Graph, samples: Mapping[str, Array] | None) -> dict[str, Array]:
    """Integer inputs: the samples given, seeded random values, and the extremes (all low, all high, zero point, checkers)."""
    rng = np.random.default_rng(1)
    vectors = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        assert tensor.quant is not None
        shape = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
        low, high = tensor.quant.low, tensor.quant.high
        random = rng.integers(low, high + 1, (RANDOM_VECTORS, *shape))
        edges = rng.choice([low, high], (4, *shape))
        flat = [np.full((1, *shape), value) for value in (low, high, int(tensor.quant.zero_point))]
        parts = [random, edges, *flat]
        if samples is not None:
            parts.insert(0, samples[name].reshape(-1, *shape))
        vectors[name] = np.concatenate(parts).astype(tensor.dtype)
    return vectors


@contextlib.contextmanager
def on_host(
    package: Package, *, compiler: str | None = None, trace: bool = False, defines: Sequence[str] = ()
) -> Iterator[HostModel]:
    """The package's C, compiled for this computer and loaded.  Raises ToolchainError."""
    ram = package.report["ram"]
    with HostModel(
        package.sources,
        package.includes,
        interface=package.interface,
        arena_size=ram["arena"],
        arena_align=ram["alignment"],
        compiler=find_host_compiler(compiler),
        defines=defines,
        trace=trace,
    ) as model:
        yield model


def prove(
    package: Package,
    vectors: Mapping[str, Array],
    *,
    layers: bool = False,
    compiler: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """`verify_package` for each choice of kernels that the C offers, compiled for this computer; `layers` traces, too.

    A difference is named by its layer in any case.  Raises VerificationFailed and ToolchainError.
    """
    results = [
        _prove_one(package, vectors, layers=layers, compiler=compiler, defines=defines, progress=progress)
        for defines in emulations(package.report)
    ]
    return replace(
        results[0],
        outputs_compared=sum(result.outputs_compared for result in results),
        layers_compared=sum(result.layers_compared for result in results),
        variants=len(results),
    )


def emulations(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Macros with which this computer runs each of the kernels that the C has for different cores."""
    conditions = " ".join(condition for layer in report["layers"] for condition in layer["conditions"])
    features = sorted(set(re.findall(r"MCUGEN_USE_(\w+)", conditions)))
    return [(), *((f"MCUGEN_EMULATE_{feature}=1",) for feature in features)]


def _prove_one(
    package: Package,
    vectors: Mapping[str, Array],
    *,
    layers: bool,
    compiler: str | None,
    defines: Sequence[str],
    progress: Progress | None,
) -> Verification:
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(on_host(package, compiler=compiler, defines=defines))
        traced = None
        if layers:
            traced = stack.enter_context(on_host(package, compiler=compiler, defines=defines, trace=True))
        try:
            return verify_package(package, model, vectors, traced=traced, progress=progress)
        except VerificationFailed:
            if layers:
                raise
            # the same comparison again, so that the message can name the layer
            traced = stack.enter_context(on_host(package, compiler=compiler, defines=defines, trace=True))
            verify_package(package, model, vectors, traced=traced)
            raise


def verify_package(
    package: Package,
    model: HostModel,
    vectors: Mapping[str, Array],
    *,
    traced: HostModel | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compare outputs over all vectors; with `traced` (a tracing build) also every layer, over the first vectors.

    Raises VerificationFailed naming output or layer, vector, index, expected and got.
    """
    graph = package.graph
    count = len(next(iter(vectors.values())))
    compared = 0
    for start in range(0, count, CHUNK):
        part = {name: array[start : start + CHUNK] for name, array in vectors.items()}
        expected = reference(graph, part)
        got = run_integers(package, model, part)
        for name in graph.outputs:
            _compare(
                package, f"output '{name}'", expected[name].reshape(got[name].shape), got[name], start, traced, part
            )
            compared += got[name].size
        if progress is not None:
            progress(min(start + CHUNK, count), count)
    layers = 0
    if traced is not None:
        for index in _spread(count):
            layers += compare_layers(
                package, traced, {name: array[index : index + 1] for name, array in vectors.items()}, index
            )
    return Verification(count, compared, layers, model.compiler)


def _spread(count: int) -> list[int]:
    """A few vectors from every part of the list: samples, random, extremes."""
    return sorted({*range(min(count, 3)), *range(max(0, count - 8), count)})


def run_integers(package: Package, model: HostModel, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Integer outputs `[N, ...]` of the compiled C for integer inputs `[N, ...]`."""
    graph = package.graph
    rows = [np.ascontiguousarray(inputs[n]).reshape(len(inputs[n]), -1).view(np.int8) for n in graph.inputs]
    outputs = model.run(rows)
    result = {}
    for name, array in zip(graph.outputs, outputs, strict=True):
        tensor = graph.tensors[name]
        shape = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
        result[name] = np.ascontiguousarray(array).view(tensor.dtype).reshape(len(array), *shape)
    return result


def _compare(
    package: Package,
    what: str,
    expected: Array,
    got: Array,
    start: int,
    traced: HostModel | None,
    part: Mapping[str, Array],
) -> None:
    if np.array_equal(expected, got):
        return
    where = np.argwhere(expected != got)
    vector, index = int(where[0][0]), tuple(int(i) for i in where[0][1:])
    if traced is not None:
        compare_layers(package, traced, {n: a[vector : vector + 1] for n, a in part.items()}, start + vector)
    raise VerificationFailed(
        f"{package.name}: {what} differs from the reference in {len(where)} of {expected.size} values; the first in vector "
        f"{start + vector} at {list(index)}: expected {int(expected[where[0][0]][index])}, got {int(got[where[0][0]][index])}",
        hint="`mcugen verify --layers` names the first layer that differs; please report it with the model",
    )


def _joined(records: Sequence[TraceRecord], report: Mapping[str, Any]) -> Iterator[TraceRecord]:
    """The trace with the rows of each layer that runs row by row together, in the order of the layers."""
    regions = report.get("row_regions", [])
    inside = {step for region in regions for step in range(region["first"], region["last"] + 1)}
    parts: dict[int, list[bytes]] = {}
    for step, _, data in records:
        if step in inside:
            parts.setdefault(step, []).append(data)
    yield from ((step, 0, b"".join(parts[step])) for step in sorted(parts))
    yield from (record for record in records if record[0] not in inside)


def compare_layers(package: Package, traced: HostModel, sample: Mapping[str, Array], vector: int) -> int:
    """Compare every layer's tensor for one sample; the number of values compared."""
    graph = package.graph
    layers = package.report["layers"]
    names = [name for layer in layers for name in layer["writes"]]
    expected = reference(graph, sample, keep=list(dict.fromkeys(names)))
    rows = [np.ascontiguousarray(sample[n]).reshape(1, -1).view(np.int8) for n in graph.inputs]
    compared = 0
    last_step = {name: i for i, layer in enumerate(layers) for name in layer["writes"]}
    for step, output, data in _joined(traced.trace(rows), package.report):
        name = layers[step]["writes"][output]
        if last_step[name] != step:
            continue  # written in parts: whole after its last step
        want = np.ascontiguousarray(expected[name]).reshape(-1)
        have = np.frombuffer(bytes(data), want.dtype)
        different = np.flatnonzero(want != have)
        if len(different):
            at = [int(i) for i in np.unravel_index(int(different[0]), graph.tensors[name].shape)]
            raise VerificationFailed(
                f"{package.name}: layer {step} '{layers[step]['name']}' ({layers[step]['op']}, {layers[step]['variant']}) differs "
                f"in {len(different)} of {want.size} values; the first in vector {vector} at {at}: "
                f"expected {int(want[different[0]])}, got {int(have[different[0]])}",
                hint="please report it with the model",
            )
        compared += want.size
    return compared

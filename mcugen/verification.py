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
from mcugen.streaming import calls_of_windows, newest, window_outputs, windows_of

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
    windows: int = 0
    """Of a stream: how many sliding windows gave the same in the model over the whole window."""

    def to_dict(self) -> dict[str, Any]:
        record = {"bit_exact": True, **asdict(self)}
        return record if self.windows else {key: value for key, value in record.items() if key != "windows"}


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
            layers += compare_layers(package, traced, _until(package, vectors, index), index)
    return Verification(count, compared, layers, model.compiler, windows=compare_windows(package, model))


def _until(package: Package, vectors: Mapping[str, Array], index: int) -> dict[str, Array]:
    """One vector; of a stream also the calls before it that fill the window."""
    before = package.stream.calls if package.stream is not None else 0
    first = max(0, index - before) if package.interface.stateful else index
    return {name: array[first : index + 1] for name, array in vectors.items()}


def compare_windows(package: Package, model: HostModel) -> int:
    """How many sliding windows of the stored recording give the same in the C and in the model over the whole window.

    0 where the model is no stream, or one with another padding.  Raises VerificationFailed.
    """
    stream = package.stream
    if stream is None or not stream.exact:
        return 0
    windows, first = windows_of(stream, package.window_graph, package.vectors)
    expected = window_outputs(stream, package.window_graph, windows)
    got = run_integers(package, model, package.vectors)
    for name in package.graph.outputs:
        shown = got[name][first:]
        wanted = expected[name].reshape(shown.shape)
        if not np.array_equal(wanted, shown):
            where = np.argwhere(wanted != shown)[0]
            raise VerificationFailed(
                f"{package.name}: output '{name}' of the stream differs from the model over the whole window; the first in "
                f"call {first + int(where[0])} at {where[1:].tolist()}: expected {int(wanted[tuple(where)])}, "
                f"got {int(shown[tuple(where)])}",
                hint="please report it with the model",
            )
    return len(expected[package.graph.outputs[0]])


def run_windows(package: Package, model: HostModel, windows: Mapping[str, Array]) -> dict[str, Array]:
    """Integer outputs `[N, ...]` of the compiled C for integer windows `[N, ...]`; a stream takes each from a fresh state."""
    stream = package.stream
    if stream is None:
        return run_integers(package, model, windows)
    calls = calls_of_windows(stream, package.window_graph, windows)
    count = len(next(iter(windows.values())))
    last = [run_integers(package, model, {name: array[i] for name, array in calls.items()}) for i in range(count)]
    return {name: np.stack([outputs[name][-1] for outputs in last]) for name in package.graph.outputs}


def expected_windows(package: Package, windows: Mapping[str, Array], *, keep: Sequence[str]) -> dict[str, Array]:
    """What `run_windows` must give, and other tensors in `keep` where they exist."""
    stream = package.stream
    if stream is None:
        return reference(package.graph, windows, keep=keep)
    if stream.exact:
        return newest(stream, reference(package.window_graph, windows, keep=keep))
    calls = calls_of_windows(stream, package.window_graph, windows)
    count = len(next(iter(windows.values())))
    last = [
        reference(package.graph, {name: array[i] for name, array in calls.items()}, keep=keep) for i in range(count)
    ]
    return {name: np.stack([outputs[name][-1] for outputs in last]) for name in keep}


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
        compare_layers(package, traced, _until(package, part, vector), start + vector)
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
    names = [name for layer in layers for name in layer["writes"] if name in graph.tensors]
    expected = reference(graph, sample, keep=list(dict.fromkeys(names)))
    rows = [np.ascontiguousarray(sample[n]).reshape(len(sample[n]), -1).view(np.int8) for n in graph.inputs]
    compared = 0
    last_step = {name: i for i, layer in enumerate(layers) for name in layer["writes"]}
    for step, output, data in _joined(traced.trace(rows), package.report):
        name = layers[step]["writes"][output]
        if last_step[name] != step or name not in expected:
            continue  # written in parts: whole after its last step; or moved to where the next run reads it
        want = np.ascontiguousarray(expected[name]).reshape(-1)[-graph.tensors[name].size :]
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

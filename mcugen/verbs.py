"""The verbs of mcugen on models and built folders: what the commands do, and the public Python API."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen import evaluation, pipeline, simulation, verification
from mcugen.errors import CalibrationError
from mcugen.evaluation import Evaluation, quantize_input
from mcugen.graph import Graph
from mcugen.int16_price import with_price
from mcugen.layer_fidelity import LayerStudy, study_layers
from mcugen.package import Package, open_package
from mcugen.pipeline import Compiled, Quantized
from mcugen.plan.schedule import Goal
from mcugen.prune.channels import choose_channels, remove_channels
from mcugen.prune.magnitude import prune_weights
from mcugen.prune.report import PruneReport, prune_report
from mcugen.quantize.calibration import load_samples, open_samples
from mcugen.quantize.precision import Precision, choose_precision
from mcugen.quantize.sample_files import hold
from mcugen.simulation import Simulation
from mcugen.streaming import recording
from mcugen.targets import Target
from mcugen.verification import Verification, verification_vectors
from mcugen.whole_file import write_whole

Array = npt.NDArray[Any]
Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""
Samples = Any
"""What `load_samples` takes: an .npz, .npy or folder, a mapping by input name, an array, or an iterable of samples."""

SYNTHETIC = (
    "no calibration data: the ranges of all activations were taken from random noise, so the accuracy is unknown and "
    "likely bad; give real inputs with `--calibrate data.npz`"
)


def load(path: str | Path, *, shapes: Mapping[str, Sequence[int]] | None = None, outputs: Sequence[str] = ()) -> Graph:
    """The canonical float graph of an ONNX file.

    `shapes` gives static shapes to inputs by name; `outputs` cuts the graph at these tensors.  Raises
    UnsupportedModel naming the file, every node that cannot be compiled, and the remedy.
    """
    return pipeline.load(path, shapes=shapes, outputs=outputs)


@dataclass(frozen=True)
class Pruned:
    """A pruned float graph, the graph it was, and what was removed where at what cost in dB on the samples.

    `keep`: which channels of a tensor are left, where channels were removed.
    """

    graph: Graph
    before: Graph
    report: PruneReport
    keep: Mapping[str, Array] | None = None


def prune(
    graph: Graph,
    samples: Samples | None = None,
    *,
    weights: float | None = None,
    scope: str = "global",
    channels: float | None = None,
) -> Pruned:
    """Remove a fraction of the channels (structured), then set a fraction of the weights left to zero (magnitude).

    `scope` is global or layer, for `weights`.  With samples the biases are corrected to keep each layer's mean.  Raises
    McugenError for fractions outside [0, 1), and CalibrationError where the samples do not fit the model's inputs.
    """
    data = None if samples is None else hold(open_samples(graph, samples))
    result, keep = graph, None
    if channels is not None:
        keep = choose_channels(graph, channels, data)
        result = remove_channels(graph, keep, data)
    if weights is not None:
        result = prune_weights(result, weights, scope=scope, samples=data)
    return Pruned(result, graph, prune_report(graph, result, data, keep=keep), keep)


def quantize(
    graph: Graph | Pruned,
    samples: Samples | None = None,
    *,
    observer: str = "auto",
    effort: str = "default",
    arithmetic: str = "default",
    precision: str | Precision = "int8",
    layer_precision: Mapping[str, str] | None = None,
    activations: str = "static",
    progress: Progress | None = None,
) -> Quantized:
    """The integer graph of a float graph, calibrated on samples (None: synthetic noise, with a note in the report).

    `observer` is auto, minmax, percentile, mse or entropy; `effort` is fast, default or max, and costs time for
    accuracy.  `arithmetic` is default, or tflite for the integers of TensorFlow Lite's reference kernels.  `precision`: a
    word for all layers, with `layer_precision` for some (see `choose_precision`), or what they mean.  `activations`:
    static, or dynamic for ranges that fully connected and recurrent layers find at run time.  A pruned graph is still
    compared with the graph that it was.  Raises CalibrationError where the samples do not fit the model's inputs.
    """
    pruned = graph if isinstance(graph, Pruned) else None
    real = graph if isinstance(graph, Graph) else graph.graph
    data = None if samples is None else open_samples(real, samples)
    if isinstance(precision, str):
        precision = choose_precision(real, precision, layer_precision)
    quantized = pipeline.quantize(
        real,
        data,
        observer=observer,
        effort=effort,
        arithmetic=arithmetic,
        precision=precision,
        activations=activations,
        float_graph=real if pruned is None else pruned.before,
        kept=None if pruned is None else pruned.keep,
        progress=progress,
    )
    if pruned is not None:
        quantized = replace(quantized, facts={**quantized.facts, "pruning": pruned.report.to_dict()})
    return pipeline.with_notes(quantized, [SYNTHETIC]) if quantized.synthetic else quantized


def compile(
    quantized: Quantized,
    *,
    target: str | Target = "cortex-m",
    goal: Goal | None = None,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Compiled:
    """Plan and emit C for a target; `.write(folder)` puts it on disk.  Raises DoesNotFit."""
    return pipeline.compile_model(quantized, target=target, goal=goal, name=name, options=options)


def stream(quantized: Quantized, axes: int | Mapping[str, int], *, padding: str = "exact") -> Quantized:
    """The model as a stream: each call takes a few new frames along the axis of time, and computes only what is new.

    `axes`: the axis of the input's ONNX shape, or of several inputs by name.  With `padding` "exact" the outputs are those
    of the model over the whole window, once a window's frames have come; with "causal" all padding along time comes
    before the first frame of all.  Raises McugenError, UnsupportedModel where nothing can be kept from call to call.
    """
    chosen = {"": axes} if isinstance(axes, int) else axes
    return pipeline.stream(quantized, chosen, padding=padding)


def as_package(folder: str | Path | Package) -> Package:
    return folder if isinstance(folder, Package) else open_package(folder)


def verify(
    folder: str | Path | Package,
    *,
    data: Samples | None = None,
    layers: bool = False,
    compiler: str | None = None,
    vectors: Mapping[str, Array] | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compile the folder's C for this computer and compare every output byte with the NumPy reference.

    On the stored calibration samples (or `data`), random inputs and extremes; with `layers` every layer too, over some
    of them.  Where the C chooses kernels by the core it is compiled for, every choice is compared, with the core's
    instructions emulated.  Raises VerificationFailed naming layer, vector, index, expected and got.
    """
    package = as_package(folder)
    if vectors is None:
        samples = package.vectors if data is None else integer_samples(package, data)
        vectors = verification_vectors(package.graph, samples)
    step = None if progress is None else lambda done, total: progress("verify", done, total)
    return verification.prove(package, vectors, layers=layers, compiler=compiler, progress=step)


def integer_samples(package: Package, data: Samples) -> dict[str, Array]:
    """Real samples as the integers that the C takes, of a stream its calls; raises CalibrationError."""
    integers = _integer_windows(package, data)
    return integers if package.stream is None else recording(package.stream, package.window_graph, integers)


def _integer_windows(package: Package, data: Samples) -> dict[str, Array]:
    real = load_samples(package.float_graph, data)
    return {name: quantize_input(package.graph, name, real[name]) for name in package.graph.inputs}


def infer(
    folder: str | Path | Package,
    inputs: Samples,
    *,
    raw: bool = False,
    compiler: str | None = None,
) -> dict[str, Array]:
    """Outputs `[N, ...]` by name of the compiled C on this computer: float32, or with `raw` integers for integers.

    A stream is given the frames of each sample's window, and shows what it says at their end.
    """
    package = as_package(folder)
    integers = _raw_samples(package, inputs) if raw else _integer_windows(package, inputs)
    with verification.on_host(package, compiler=compiler) as model:
        outputs = verification.run_windows(package, model, integers)
    if raw:
        return outputs
    return {name: _real(package, name, array) for name, array in outputs.items()}


def _real(package: Package, name: str, integers: Array) -> Array:
    quant = package.graph.tensors[name].quant
    assert quant is not None
    return quant.dequantize(integers).astype(np.float32)


def _raw_samples(package: Package, inputs: Samples) -> dict[str, Array]:
    samples = load_samples(package.float_graph, inputs)
    for name, array in samples.items():
        dtype = package.graph.tensors[name].dtype
        info = np.iinfo(dtype)
        if not np.array_equal(array, np.clip(np.rint(array), info.min, info.max)):
            raise CalibrationError(
                f"input '{name}' holds values that are no {dtype} integers",
                hint=f"`--raw` takes integers from {info.min} to {info.max}",
            )
        samples[name] = array.astype(dtype)
    return samples


def evaluate(
    folder: str | Path | Package,
    data: Samples,
    *,
    labels: Array | None = None,
    compiler: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Fidelity of the compiled C to the float model on data, and top-1 where there are labels.

    Labels `[N]` (negative: unknown) come from `labels`, or from the array `y` of an .npz.  Raises CalibrationError.
    """
    package = as_package(folder)
    samples = open_samples(package.float_graph, data)
    known = stored_labels(data) if labels is None else np.asarray(labels)
    count = len(next(iter(samples.values())))
    if known is not None and known.shape != (count,):
        raise CalibrationError(
            f"the labels 'y' have the shape {list(known.shape)} for {count} samples",
            hint="labels are one integer a sample",
        )
    with verification.on_host(package, compiler=compiler) as model:
        step = None if progress is None else lambda done, total: progress("evaluate", done, total)
        return evaluation.evaluate_package(package, model, samples, known, progress=step)


def evaluate_layers(folder: str | Path | Package, data: Samples, *, progress: Progress | None = None) -> LayerStudy:
    """What quantization did to every layer of a built folder, on data; raises CalibrationError where it does not fit."""
    package = as_package(folder)
    samples = open_samples(package.float_graph, data)
    step = None if progress is None else lambda done, total: progress("layers", done, total)
    study = study_layers(package.float_graph, package.window_graph, package.channels, samples, progress=step)
    return with_price(study, package, samples)


def stored_labels(data: Samples) -> Array | None:
    """The integer array `y` of an .npz or a mapping, if it has one."""
    found: Array | None = None
    if isinstance(data, Mapping) and "y" in data:
        found = np.asarray(data["y"])
    elif isinstance(data, (str, Path)) and Path(data).suffix == ".npz":
        with np.load(data, allow_pickle=False) as stored:
            found = stored["y"] if "y" in stored.files else None
    return found if found is not None and found.dtype.kind in "iu" else None


def simulate(
    folder: str | Path | Package,
    target: str | Target | None = None,
    *,
    cpu: str | None = None,
    elf: str | Path | None = None,
    vectors: int = simulation.DEFAULT_VECTORS,
    compiler: str | None = None,
    emulator: str | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Run the folder's C on an emulated core, compare it with the reference bit for bit, and say what it costs there.

    `target` defaults to the one it was built for, `cpu` picks a core for a target that runs on several; `elf` keeps the
    program, with `bench_begin` and `bench_end` around one inference.  Raises VerificationFailed and ToolchainError.
    """
    package = as_package(folder)
    core = simulation.core_of(target or package.report["target"], cpu)
    step = None if progress is None else lambda done, total: progress("simulate", done, total)
    return simulation.simulate_package(
        package,
        core,
        elf=None if elf is None else Path(elf),
        vectors=vectors,
        compiler=compiler,
        emulator=emulator,
        progress=step,
    )


@dataclass(frozen=True)
class Written:
    """What `write_outputs` wrote."""

    samples: int
    shapes: Mapping[str, Sequence[int]]


def write_outputs(path: Path, outputs: Mapping[str, Array]) -> Written:
    """Write outputs by name to an .npz; raises McugenError where the place cannot be written."""
    data = io.BytesIO()
    np.savez(data, **dict(outputs))  # type: ignore[arg-type]
    write_whole(path, data.getvalue(), option="--outputs")
    return Written(len(next(iter(outputs.values()))), {name: array.shape for name, array in outputs.items()})

"""Calibration: run the float graph over sample data and observe the values of every activation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mcugen.errors import CalibrationError
from mcugen.execute import Rows, evaluate_batches
from mcugen.graph import DynamicQuantParams, Graph, QuantParams
from mcugen.ops import operator
from mcugen.ops.operator import clip_bounds
from mcugen.quantize.ranges import INT16_LEVELS, Histogram, observer, quant_params
from mcugen.quantize.sample_files import FileRows, FolderRows, StreamedSamples, stored_rows

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]
Stored = TypeVar("Stored", Array, FileRows | FolderRows)
Ready = TypeVar("Ready")

BINS = 2048
SYNTHETIC_SAMPLES = 32


Source = str | Path | Mapping[str, Array] | Array | Iterable[Any]


def open_samples(graph: Graph, source: Source) -> dict[str, Rows]:
    """As `load_samples`, but large files are left on disk and read as samples are asked for.

    .npy and .npz (compressed ones by way of a temporary file) and folders; what is read is checked then.
    """
    if isinstance(source, Mapping) and all(isinstance(rows, StreamedSamples) for rows in source.values()):
        return dict(source)
    if not isinstance(source, (str, Path)):
        return dict(load_samples(graph, source))
    path = Path(source)
    stored = _readable(path, lambda: stored_rows(graph, path))
    if stored is None:
        return dict(load_samples(graph, source))
    return _by_input(graph, stored, path.name, _streamed)


def load_samples(graph: Graph, source: Source) -> dict[str, Array]:
    """Samples by input name, float32 `[N, ...]`, from an .npz, an .npy, a folder of .npy, arrays, or an iterable of samples.

    Arrays are named as the model's inputs; a model with one input also takes the array `x`.  Raises CalibrationError with the
    names, shapes and types it wanted.
    """
    if isinstance(source, (str, Path)):
        arrays, where = _load_files(graph, Path(source)), Path(source).name
    elif isinstance(source, Mapping):
        arrays, where = dict(source), "samples"
    elif isinstance(source, np.ndarray):
        arrays, where = {"x": source}, "samples"
    else:
        arrays, where = _stack(graph, source), "samples"
    return _by_input(graph, arrays, where, _checked)


def _by_input(
    graph: Graph, arrays: Mapping[str, Stored], where: str, check: Callable[[Graph, str, Stored, str], Ready]
) -> dict[str, Ready]:
    """What `check` makes of each input's array; all inputs are there and have as many samples."""
    if len(graph.inputs) == 1 and graph.inputs[0] not in arrays and "x" in arrays:
        arrays = {graph.inputs[0]: arrays["x"]}
    missing = [name for name in graph.inputs if name not in arrays]
    if missing:
        raise CalibrationError(
            f"{where}: no array for input {', '.join(repr(n) for n in missing)}; it holds {', '.join(sorted(arrays)) or 'nothing'}",
            hint="name the arrays as the model's inputs; a model with one input also takes the array 'x'",
        )
    samples = {name: check(graph, name, arrays[name], where) for name in graph.inputs}
    counts = {name: len(arrays[name]) for name in samples}
    if len(set(counts.values())) > 1:
        raise CalibrationError(
            f"{where}: the inputs have different numbers of samples: {counts}",
            hint="sample i of one input belongs to sample i of the others",
        )
    return samples


def _load_files(graph: Graph, path: Path) -> dict[str, Array]:
    def load() -> dict[str, Array]:
        if path.is_dir():
            files = {p.stem: np.load(p, allow_pickle=False) for p in sorted(path.glob("*.npy"))}
            if not files:
                raise CalibrationError(
                    f"{path}: the folder holds no .npy file", hint="give one .npy an input, or one a sample"
                )
            if set(graph.inputs) <= set(files):
                return files
            return _stack(graph, files.values())
        loaded = np.load(path, allow_pickle=False)
        return {"x": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}

    return _readable(path, load)


def _readable(path: Path, read: Callable[[], Ready]) -> Ready:
    """What `read` gives; raises CalibrationError where the files are not what they should be."""
    try:
        return read()
    except FileNotFoundError:
        raise CalibrationError(
            f"{path}: no such file", hint="give an .npz, an .npy or a folder of .npy files"
        ) from None
    except (OSError, ValueError, EOFError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CalibrationError(
            f"{path.name}: not a readable .npz or .npy file ({reason})",
            hint="write it with numpy.savez(path, x=samples)",
        ) from None
    except CalibrationError:
        raise
    except Exception as error:  # zipfile and zlib raise their own errors on damaged archives
        raise CalibrationError(
            f"{path.name}: not a readable .npz or .npy file ({type(error).__name__})",
            hint="is the file whole? write it with numpy.savez(path, x=samples)",
        ) from None


def _stack(graph: Graph, samples: Iterable[Any]) -> dict[str, Array]:
    """One array an input from single samples: arrays (one input) or mappings by input name."""
    columns: dict[str, list[Array]] = {}
    for sample in samples:
        named = sample if isinstance(sample, Mapping) else {graph.inputs[0]: np.asarray(sample)}
        for name, value in named.items():
            shape = graph.tensors[name].shape if name in graph.tensors else np.shape(value)
            array = np.asarray(value)
            columns.setdefault(name, []).append(array.reshape(shape[1:]) if array.size == np.prod(shape) else array)
    try:
        return {name: np.stack(column) for name, column in columns.items()}
    except ValueError:
        raise CalibrationError(
            "the samples have different shapes", hint="cut or pad them to the input's shape"
        ) from None


def _checked(graph: Graph, name: str, array: Array, where: str) -> Array:
    tail = _tail(graph, name, array, where)
    result = array.astype(np.float32).reshape(len(array), *tail)
    bad = int(result.size - np.count_nonzero(np.isfinite(result)))
    if bad:
        raise CalibrationError(
            f"{where}: array '{name}' holds {bad} values that are NaN or infinite", hint="remove these samples"
        )
    return result


def _streamed(graph: Graph, name: str, rows: FileRows | FolderRows, where: str) -> Rows:
    return StreamedSamples(rows, _tail(graph, name, rows, where), f"{where}: array '{name}'")


def _tail(graph: Graph, name: str, array: Array | FileRows | FolderRows, where: str) -> tuple[int, ...]:
    """The shape of one sample; raises CalibrationError where the array's shape or type is not the input's."""
    shape = graph.tensors[name].shape
    tail = shape[1:] if shape[:1] == (1,) else shape
    if array.dtype.kind not in "fiub" or array.dtype.kind == "b":
        raise CalibrationError(
            f"{where}: array '{name}' is {array.dtype}; input '{name}' takes float32",
            hint="store the values that the float model takes, as numbers",
        )
    same = array.ndim > 0 and [d for d in array.shape[1:] if d != 1] == [d for d in tail if d != 1]
    if not same:
        raise CalibrationError(
            f"{where}: array '{name}' has shape {list(array.shape)}; input '{name}' takes {['N', *tail]}",
            hint="the first axis counts the samples; channels stand where the ONNX model has them",
        )
    if len(array) == 0:
        raise CalibrationError(
            f"{where}: array '{name}' holds no sample", hint="a hundred samples of what the model will see are enough"
        )
    return tail


def synthetic_samples(graph: Graph) -> dict[str, Array]:
    """Standard normal noise, seeded: what a build without calibration data falls back to."""
    rng = np.random.default_rng(0)
    shapes = {name: graph.tensors[name].shape for name in graph.inputs}
    return {
        name: rng.normal(size=(SYNTHETIC_SAMPLES, *(s[1:] if s[:1] == (1,) else s))).astype(np.float32)
        for name, s in shapes.items()
    }


def observe(graph: Graph, samples: Mapping[str, Rows], *, progress: Progress | None = None) -> dict[str, Histogram]:
    """The histogram of every activation over the samples; two passes, memory bounded by one batch."""
    names = graph.activations()
    total = 2 * len(next(iter(samples.values())))
    done = 0
    limits: dict[str, tuple[float, float]] = {}
    for batch in evaluate_batches(graph, samples, keep=names):
        for name in names:
            low, high = limits.get(name, (np.inf, -np.inf))
            limits[name] = (min(low, float(batch[name].min())), max(high, float(batch[name].max())))
        done = _report(progress, done, batch, graph, total)
    _check_finite(graph, limits)
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for batch in evaluate_batches(graph, samples, keep=names):
        for name in names:
            low, high = limits[name]
            if high > low:
                counts[name] += _counts(batch[name], low, high)
        done = _report(progress, done, batch, graph, total)
    return {name: Histogram(*limits[name], counts[name]) for name in names}


def _counts(values: Array, low: float, high: float) -> Array:
    try:
        return np.histogram(values, bins=BINS, range=(low, high))[0]
    except ValueError:  # float32 has not that many numbers from low to high
        return np.histogram(values.astype(np.float64), bins=BINS, range=(low, high))[0]


def _report(progress: Progress | None, done: int, batch: Mapping[str, Array], graph: Graph, total: int) -> int:
    done += len(batch[graph.inputs[0]])
    if progress is not None:
        progress(min(done, total), total)
    return done


def _check_finite(graph: Graph, limits: Mapping[str, tuple[float, float]]) -> None:
    for node in graph.nodes:
        for name in node.outputs:
            if not np.all(np.isfinite(limits[name])):
                origin = ", ".join(node.origin) or node.name
                raise CalibrationError(
                    f"{graph.name}: node '{origin}' ({node.op}) gives NaN or infinite values on the calibration data",
                    hint="check the data's normalisation against the training's",
                )


def choose_activations(
    graph: Graph,
    histograms: Mapping[str, Histogram],
    *,
    observer_name: str = "mse",
    int16: Collection[str] = (),
) -> dict[str, QuantParams]:
    """The parameters of every activation, as its operator demands: observed, the input's, or fixed; `int16`: those held so."""
    find = observer(observer_name)
    histograms = {n: replace(h, levels=INT16_LEVELS) if n in int16 else h for n, h in histograms.items()}
    dtype = dict.fromkeys(int16, "int16")
    chosen = {name: quant_params(*_range(histograms[name], find), dtype.get(name, "int8")) for name in graph.inputs}
    chosen |= fixed_inputs(graph)
    for node in graph.nodes:
        for name, demand in zip(node.outputs, operator(node.op).output_quants(node, graph), strict=True):
            if isinstance(demand, QuantParams):
                chosen[name] = as_int16(demand) if name in int16 else demand
            elif demand == "same":
                chosen[name] = chosen[node.inputs[0]]
            else:
                low, high = _range(histograms[name], find)
                bound_low, bound_high = clip_bounds(node)
                chosen[name] = quant_params(max(low, bound_low), min(high, bound_high), dtype.get(name, "int8"))
    return chosen | constant_params(graph)


def fixed_inputs(graph: Graph) -> dict[str, QuantParams]:
    """The model's inputs whose parameters are not observed: found at run time, or what all that read them demand."""
    found: dict[str, QuantParams] = {}
    for name in graph.inputs:
        quant = graph.tensors[name].quant
        demands = _demands(graph, name)
        if isinstance(quant, DynamicQuantParams):
            found[name] = quant
        elif demands and demands[0] is not None and all(demand == demands[0] for demand in demands):
            found[name] = demands[0]
    return found


def _demands(graph: Graph, name: str) -> list[QuantParams | None]:
    """What the readers of a tensor demand of it, also behind operators that share its parameters."""
    found: list[QuantParams | None] = []
    for node in graph.readers(name):
        if operator(node.op).output_quant(node, graph) == "same" and node.inputs[0] == name:
            found += _demands(graph, node.outputs[0])
        else:
            found.append(operator(node.op).input_quant(node, graph, name))
    return found


def as_int16(quant: QuantParams) -> QuantParams:
    """int16 parameters for the range of int8 ones and its open upper end: 1 / 32768 for the probabilities' 1 / 256."""
    zero_point = int(quant.zero_point)
    reach = max(zero_point - quant.low, quant.high + 1 - zero_point)
    return QuantParams.per_tensor(float(quant.scale) * reach / 32768, 0, "int16")


def constant_params(graph: Graph) -> dict[str, QuantParams]:
    """Parameters of every float constant, over its whole range."""
    return {
        name: quant_params(float(tensor.data.min()), float(tensor.data.max()))
        for name, tensor in graph.tensors.items()
        if tensor.data is not None and tensor.data.dtype.kind == "f" and tensor.size
    }


def _range(histogram: Histogram, find: Callable[[Histogram], tuple[float, float]]) -> tuple[float, float]:
    return find(histogram) if histogram.high > histogram.low else (histogram.low, histogram.high)

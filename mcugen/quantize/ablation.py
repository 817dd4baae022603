"""What each quantization method gains: the integer graph's fidelity with every method switched off or on in turn.

`python -m mcugen.quantize.ablation MODEL.onnx --calibrate CALIB.npz --evaluate EVAL.npz` prints the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import McugenError
from mcugen.evaluation import bootstrap_interval, logits_before_softmax, sqnr_db
from mcugen.execute import evaluate, reference
from mcugen.graph import Graph
from mcugen.onnx_reader import read_onnx
from mcugen.pipeline import canonical
from mcugen.quantize.calibration import load_samples
from mcugen.quantize.quantizer import DEFAULT_METHODS, METHODS, quantize_graph

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Fidelity:
    """How close integers come to float over a data set, in dB of signal power over noise power, and in classes.

    `output_db`: first output, all samples together; `logits_db`: the input of its Softmax, None without one; `median_db`: the
    median sample; `interval_db`: 95 % bootstrap interval of `output_db`; `agreement`: share of samples with the same largest
    output; `top1`, `float_top1`: share of labelled samples (label >= 0) that are right, None without labels.
    """

    output_db: float
    logits_db: float | None
    median_db: float
    interval_db: tuple[float, float]
    agreement: float
    top1: float | None
    float_top1: float | None


@dataclass(frozen=True)
class AblationRow:
    """One line of the table: what was switched off, and what remains."""

    name: str
    fidelity: Fidelity


def measure(graph: Graph, integer: Graph, samples: Mapping[str, Array], labels: Array | None = None) -> Fidelity:
    """The fidelity of `integer` against the float `graph` on samples by input name."""
    output, logits = graph.outputs[0], logits_before_softmax(graph)
    keep = [output, *logits]
    quantized = {name: _quantizer(integer, name)(samples[name]) for name in integer.inputs}
    wanted = {name: _flat(value) for name, value in evaluate(graph, samples, keep=keep).items()}
    given = {
        name: _flat(_dequantizer(integer, name)(value))
        for name, value in reference(integer, quantized, keep=keep).items()
    }
    y, q = wanted[output], given[output]
    signal, noise = (y**2).sum(axis=1), ((y - q) ** 2).sum(axis=1)
    each = 10 * np.log10(np.maximum(signal, 1e-300) / np.maximum(noise, 1e-300))
    return Fidelity(
        sqnr_db(y, q),
        sqnr_db(wanted[logits[0]], given[logits[0]]) if logits else None,
        float(np.median(each)),
        bootstrap_interval(y, q),
        float((y.argmax(axis=1) == q.argmax(axis=1)).mean()),
        _top1(q, labels),
        _top1(y, labels),
    )


def _quantizer(graph: Graph, name: str) -> Callable[[Array], Array]:
    quant = graph.tensors[name].quant
    assert quant is not None
    return quant.quantize


def _dequantizer(graph: Graph, name: str) -> Callable[[Array], Array]:
    quant = graph.tensors[name].quant
    assert quant is not None
    return quant.dequantize


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1).astype(np.float64)


def _top1(outputs: Array, labels: Array | None) -> float | None:
    if labels is None or not np.any(labels >= 0):
        return None
    known = labels >= 0
    return float((outputs[known].argmax(axis=1) == labels[known]).mean())


def ablation(
    graph: Graph,
    calibration: Mapping[str, Array],
    evaluation: Mapping[str, Array],
    *,
    labels: Array | None = None,
    effort: str = "default",
) -> Iterator[AblationRow]:
    """The default methods, each method switched over in turn, and none; each calibrated anew, measured on `evaluation`."""
    variants: list[tuple[str, Sequence[str]]] = [("default", DEFAULT_METHODS)]
    for name in METHODS:
        if name in DEFAULT_METHODS:
            variants.append((f"without {name}", [other for other in DEFAULT_METHODS if other != name]))
        else:
            variants.append((f"with {name}", [*DEFAULT_METHODS, name]))
    variants.append(("none", ()))
    for name, methods in variants:
        model = quantize_graph(graph, calibration, effort=effort, methods=methods)
        yield AblationRow(name, measure(graph, model.graph, evaluation, labels))


HEADER = (
    f"{'methods':18} {'output':>7} {'logits':>7} {'median':>7} {'95 % interval':>15} {'argmax':>7} {'top-1':>7} (dB)"
)


def table_line(row: AblationRow) -> str:
    """The row under `HEADER`."""
    f = row.fidelity
    low, high = f.interval_db
    logits = "-" if f.logits_db is None else f"{f.logits_db:.2f}"
    top1 = "-" if f.top1 is None else f"{f.top1:.3f}"
    interval = f"{low:.2f} to {high:.2f}"
    return (
        f"{row.name:18} {f.output_db:7.2f} {logits:>7} {f.median_db:7.2f} {interval:>15} {f.agreement:7.3f} {top1:>7}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of one model; 0, or 1 for a model or data that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m mcugen.quantize.ablation", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibrate", type=Path, required=True)
    parser.add_argument("--evaluate", type=Path, required=True)
    parser.add_argument("--effort", choices=("fast", "default", "max"), default="default")
    options = parser.parse_args(arguments)
    try:
        graph = canonical(read_onnx(options.model))
        calibration, evaluation = load_samples(graph, options.calibrate), load_samples(graph, options.evaluate)
        print(HEADER)
        for row in ablation(graph, calibration, evaluation, labels=_labels(options.evaluate), effort=options.effort):
            print(table_line(row), flush=True)
    except McugenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _labels(path: Path) -> Array | None:
    """The array `y` of an .npz where it holds one label a sample."""
    if path.suffix != ".npz":
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["y"] if "y" in arrays.files and arrays["y"].ndim == 1 else None


if __name__ == "__main__":
    raise SystemExit(main())

"""What each quantization method gains: the integer graph's fidelity with every method switched off or on in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import evaluate, reference
from mcugen.graph import Graph
from mcugen.quantize.goals import logits_of
from mcugen.quantize.quantizer import DEFAULT_METHODS, METHODS, quantize_graph
from mcugen.sqnr import bootstrap_interval, sqnr_db

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
    output = graph.outputs[0]
    logits = logits_of(graph, output)
    keep = [output, *([] if logits is None else [logits])]
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
        None if logits is None else sqnr_db(wanted[logits], given[logits]),
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
    for name, methods in _variants():
        model = quantize_graph(graph, calibration, effort=effort, methods=methods)
        yield AblationRow(name, measure(graph, model.graph, evaluation, labels))


def ablation_size() -> int:
    """How many rows the table has."""
    return len(_variants())


def _variants() -> list[tuple[str, Sequence[str]]]:
    variants: list[tuple[str, Sequence[str]]] = [("default", DEFAULT_METHODS)]
    for name in METHODS:
        if name in DEFAULT_METHODS:
            variants.append((f"without {name}", [other for other in DEFAULT_METHODS if other != name]))
        else:
            variants.append((f"with {name}", [*DEFAULT_METHODS, name]))
    variants.append(("none", ()))
    return variants

"""How close the compiled C is to the float model on data: signal-to-quantization-noise ratio, agreement, top-1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import VerificationFailed
from mcugen.execute import evaluate, reference
from mcugen.graph import Graph
from mcugen.package import Package
from mcugen.run.host import HostModel
from mcugen.verification import run_integers

Array = npt.NDArray[Any]

BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Evaluation:
    """Fidelity over a data set; decibels are of signal power over noise power of all samples together.

    `sqnr_db`: of the first output; `logit_sqnr_db`: of the input of a final Softmax, None where there is none; `median_db`: of the
    median sample; `interval_db`: 95 % bootstrap interval over samples; `top1`, `float_top1`: None without labels.
    """

    samples: int
    sqnr_db: float
    logit_sqnr_db: float | None
    median_db: float
    interval_db: tuple[float, float]
    argmax_agreement: float
    top1: float | None
    float_top1: float | None
    outputs: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "interval_db": list(self.interval_db), "outputs": dict(self.outputs)}


def sqnr_db(signal: Array, result: Array) -> float:
    """10 log10 of signal power over noise power; infinite without noise."""
    noise = float(np.sum((signal.astype(np.float64) - result) ** 2))
    power = float(np.sum(signal.astype(np.float64) ** 2))
    return float("inf") if noise == 0 else 10 * float(np.log10(max(power, 1e-300) / noise))


def evaluate_package(
    package: Package, model: HostModel, samples: Mapping[str, Array], labels: Array | None
) -> Evaluation:
    """Run the compiled C and the float model on `samples`; `labels` [N], negative where unknown."""
    graph, real = package.graph, package.float_graph
    integers = {name: quantize_input(graph, name, samples[name]) for name in graph.inputs}
    got = run_integers(package, model, integers)
    wanted = evaluate(real, samples)
    logits = logits_before_softmax(graph)
    expected = reference(graph, integers, keep=[*graph.outputs, *logits])
    for name in graph.outputs:
        if not np.array_equal(expected[name].reshape(got[name].shape), got[name]):
            raise VerificationFailed(f"{package.name}: the compiled C and the reference differ", hint="run `mcugen verify --layers`")
    pairs = {name: _pair(graph, name, wanted[name], got[name]) for name in graph.outputs}
    first = pairs[graph.outputs[0]]
    logit = None
    if logits and logits[0] in real.tensors:
        float_logits = evaluate(real, samples, keep=logits)[logits[0]]
        logit = sqnr_db(*_pair(graph, logits[0], float_logits, expected[logits[0]]))
    known = np.flatnonzero(labels >= 0) if labels is not None else np.array([], int)
    float_class, class_ = (values.argmax(axis=1) for values in first)
    return Evaluation(
        samples=len(first[0]),
        sqnr_db=sqnr_db(*first),
        logit_sqnr_db=logit,
        median_db=float(np.median([sqnr_db(a, b) for a, b in zip(*first, strict=True)])),
        interval_db=bootstrap_interval(*first),
        argmax_agreement=float(np.mean(float_class == class_)),
        top1=float(np.mean(class_[known] == labels[known])) if labels is not None and len(known) else None,
        float_top1=float(np.mean(float_class[known] == labels[known])) if labels is not None and len(known) else None,
        outputs={name: sqnr_db(*pair) for name, pair in pairs.items()},
    )


def quantize_input(graph: Graph, name: str, real: Array) -> Array:
    quant = graph.tensors[name].quant
    assert quant is not None
    return quant.quantize(real)


def _pair(graph: Graph, name: str, real: Array, integers: Array) -> tuple[Array, Array]:
    quant = graph.tensors[name].quant
    assert quant is not None
    return real.reshape(len(real), -1), quant.dequantize(integers).reshape(len(real), -1)


def logits_before_softmax(graph: Graph) -> list[str]:
    """The input of the Softmax that makes the first output, if one does."""
    name = graph.outputs[0]
    while (node := graph.producer(name)) is not None and node.op == "reshape":
        name = node.inputs[0]
    return [node.inputs[0]] if node is not None and node.op == "softmax" else []


def bootstrap_interval(signal: Array, result: Array) -> tuple[float, float]:
    """95 % interval of the SQNR when the samples are drawn again with replacement, seeded."""
    power = np.sum(signal.astype(np.float64) ** 2, axis=1)
    noise = np.sum((signal - result) ** 2, axis=1)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(power), (BOOTSTRAPS, len(power)))
    ratio = power[draws].sum(axis=1) / np.maximum(noise[draws].sum(axis=1), 1e-300)
    low, high = np.percentile(10 * np.log10(np.maximum(ratio, 1e-300)), [2.5, 97.5])
    return float(low), float(high)

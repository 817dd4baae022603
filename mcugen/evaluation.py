"""How close the compiled C is to the float model on data: signal-to-quantization-noise ratio, agreement, top-1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import VerificationFailed
from mcugen.execute import Rows, evaluate
from mcugen.graph import Graph
from mcugen.package import Package
from mcugen.quantize.goals import logits_of
from mcugen.run.host import HostModel
from mcugen.sqnr import bootstrap_interval, sqnr_db
from mcugen.streaming import newest
from mcugen.verification import expected_windows, run_windows

Array = npt.NDArray[Any]

Progress = Callable[[int, int], None]

CHUNK = 64


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


def evaluate_package(
    package: Package,
    model: HostModel,
    samples: Mapping[str, Rows],
    labels: Array | None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the compiled C and the float model on `samples`; `labels` [N], negative where unknown.

    Raises VerificationFailed where the C differs from the reference.
    """
    graph = package.window_graph
    logits = logits_of(graph, graph.outputs[0])
    if logits not in package.float_graph.tensors or (package.stream is not None and not package.stream.exact):
        logits = None
    names = [*package.graph.outputs, *([] if logits is None else [logits])]
    count = len(next(iter(samples.values())))
    parts = []
    for start in range(0, count, CHUNK):
        part = {name: array[start : start + CHUNK] for name, array in samples.items()}
        parts.append(_pairs(package, model, part, names))
        if progress is not None:
            progress(min(start + CHUNK, count), count)
    pairs = {n: tuple(np.concatenate([part[n][side] for part in parts]) for side in (0, 1)) for n in names}
    first = pairs[names[0]]
    float_class, class_ = (values.argmax(axis=1) for values in first)
    known = np.flatnonzero(labels >= 0) if labels is not None else np.array([], int)
    right = None if labels is None or not len(known) else labels[known]
    return Evaluation(
        samples=count,
        sqnr_db=sqnr_db(*first),
        logit_sqnr_db=None if logits is None else sqnr_db(*pairs[logits]),
        median_db=float(np.median([sqnr_db(a, b) for a, b in zip(*first, strict=True)])),
        interval_db=bootstrap_interval(*first),
        argmax_agreement=float(np.mean(float_class == class_)),
        top1=None if right is None else float(np.mean(class_[known] == right)),
        float_top1=None if right is None else float(np.mean(float_class[known] == right)),
        outputs={name: sqnr_db(*pairs[name]) for name in package.graph.outputs},
    )


def _pairs(
    package: Package, model: HostModel, samples: Mapping[str, Array], names: Sequence[str]
) -> dict[str, tuple[Array, Array]]:
    """Float and integer results of some samples as real values [N, values], by tensor."""
    graph = package.window_graph
    integers = {name: quantize_input(graph, name, samples[name]) for name in graph.inputs}
    expected = expected_windows(package, integers, keep=names)
    for name, got in run_windows(package, model, integers).items():
        if not np.array_equal(expected[name].reshape(got.shape), got):
            raise VerificationFailed(
                f"{package.name}: the compiled C and the reference differ at output '{name}'",
                hint="`mcugen verify --layers` names the layer; please report it with the model",
            )
    wanted = evaluate(package.float_graph, samples, keep=names)
    if package.stream is not None:
        wanted = newest(package.stream, wanted)
    return {name: _pair(graph, name, wanted[name], expected[name]) for name in names}


def quantize_input(graph: Graph, name: str, real: Array) -> Array:
    quant = graph.tensors[name].quant
    assert quant is not None
    return quant.quantize(real)


def _pair(graph: Graph, name: str, real: Array, integers: Array) -> tuple[Array, Array]:
    quant = graph.tensors[name].quant
    assert quant is not None
    return real.reshape(len(real), -1), quant.dequantize(integers).reshape(len(real), -1)

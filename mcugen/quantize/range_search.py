"""Range search by what it does to the model's outputs: each tensor is rounded alone, and the rest runs in float.

Method: the range is judged where its error is felt, as in Y. Nahshan et al., "Loss Aware Post-Training Quantization", Machine
Learning 110, 2021, one tensor at a time; only ranges at most a tenth smaller are tried, since what saturates on unseen
samples is not in the calibration data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import evaluate_changed, is_batchable
from mcugen.graph import Graph, QuantParams
from mcugen.ops import operator
from mcugen.quantize.goals import goal_tensors
from mcugen.quantize.ranges import quant_params

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

FRACTIONS = (1.0, 0.95, 0.9)
LEAST_GAIN = 0.9
"""A smaller range must leave at most this part of the error."""


def search_ranges(
    graph: Graph,
    samples: Mapping[str, Array],
    activations: Mapping[str, QuantParams],
    names: Sequence[str],
    progress: Progress | None = None,
) -> dict[str, QuantParams]:
    """Better parameters for the tensors `names`, each shrunk at its lower, then at its upper end where that helps."""
    values = float_values(graph, samples)
    goals = goal_tensors(graph)
    chosen = {}
    for done, name in enumerate(names):
        chosen[name] = _search(graph, values, name, activations[name], goals)
        if progress is not None:
            progress(done + 1, len(names))
    return chosen


def float_values(graph: Graph, samples: Mapping[str, Array]) -> dict[str, Array]:
    """All constants and activations by name; of a graph that mixes its batch axis with others those of the first sample."""
    values: dict[str, Array] = {n: t.data for n, t in graph.tensors.items() if t.data is not None}
    count = len(next(iter(samples.values()))) if is_batchable(graph) else 1
    for name in graph.inputs:
        values[name] = samples[name][:count].reshape((-1, *graph.tensors[name].shape[1:]))
    for node in graph.nodes:
        outputs = operator(node.op).evaluate(node, [values[name] for name in node.inputs])
        values.update(zip(node.outputs, outputs, strict=True))
    return values


def _search(
    graph: Graph, values: Mapping[str, Array], name: str, quant: QuantParams, goals: Sequence[str]
) -> QuantParams:
    low, high = (float(quant.scale) * (bound - int(quant.zero_point)) for bound in (quant.low, quant.high))
    best, best_error = quant, _goal_error(graph, values, name, quant, goals)
    fractions = [1.0, 1.0]
    for end in (0, 1):
        for candidate_low, candidate_high, fraction in _candidates(low, high, fractions, end):
            candidate = quant_params(candidate_low, candidate_high)
            error = _goal_error(graph, values, name, candidate, goals)
            if error < best_error * LEAST_GAIN:
                best, best_error, fractions[end] = candidate, error, fraction
    return best


def _candidates(low: float, high: float, fractions: Sequence[float], end: int) -> Iterator[tuple[float, float, float]]:
    for fraction in FRACTIONS[1:]:
        part = [fraction if i == end else other for i, other in enumerate(fractions)]
        if (low, high)[end] != 0:
            yield low * part[0], high * part[1], fraction


def _goal_error(
    graph: Graph, values: Mapping[str, Array], name: str, quant: QuantParams, goals: Sequence[str]
) -> float:
    return error_at_goals(graph, values, name, quant.dequantize(quant.quantize(values[name])), goals)


def error_at_goals(
    graph: Graph, values: Mapping[str, Array], name: str, changed_to: Array, goals: Sequence[str]
) -> float:
    """The sum over the goals of the error's part of their power when the tensor alone takes the values `changed_to`.

    What is the same in all samples does not count: bias correction takes it away.
    """
    changed = evaluate_changed(graph, values, {name: changed_to.astype(np.float32)})
    total = 0.0
    for goal in goals:
        if goal in changed:
            wanted = values[goal].astype(np.float64)
            error = changed[goal] - wanted
            total += float(((error - error.mean(axis=0)) ** 2).sum() / max(float((wanted**2).sum()), 1e-30))
    return total

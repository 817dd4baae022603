"""What each tensor and each layer's weights cost the output when they alone are rounded, and all else is float.

Method: noise powers measured one source at a time at the model's output and taken to add, as in M. Nagel et al., "A White Paper on
Neural Network Quantization", 2021, section 3.7 (per-layer sensitivity); what is the same in all samples does not count, since bias
correction takes it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import evaluate, evaluate_changed
from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops import operator
from mcugen.ops.operator import clip_bounds
from mcugen.quantize.goals import goal_tensors

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]
Weights = Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class Sensitivity:
    """Powers at `goal` over some samples: of its values, of each tensor's int8 rounding by name, and of each layer's weights in a
    format ("int8" or a word of weight_format.py) by (node, word)."""

    goal: str
    signal: float
    tensors: Mapping[str, float]
    weights: Mapping[tuple[str, str], float]


def measure_sensitivity(
    graph: Graph,
    activations: Mapping[str, QuantParams],
    weights: Mapping[str, Weights],
    tensors: Sequence[str],
    samples: Mapping[str, Array],
    *,
    progress: Progress | None = None,
) -> Sensitivity:
    """Of a batchable float graph whose tensors have int8 parameters `activations`.

    `weights`: by format, the rounded weights of nodes (integers, scales); `tensors`: whose rounding is looked at, each alone.
    """
    goal = goal_tensors(graph)[0]
    values = evaluate(graph, samples, keep=graph.activations())
    wanted = values[goal].astype(np.float64)
    total = len(tensors) + sum(map(len, weights.values()))
    done = 0

    def power(changed: Mapping[str, Array]) -> float:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)
        after = evaluate_changed(graph, values, changed)
        if goal not in after:
            return 0.0
        error = after[goal] - wanted
        return float(((error - error.mean(axis=0)) ** 2).sum())

    rounded = {}
    for name in tensors:
        quant = activations[name]
        rounded[name] = power({name: quant.dequantize(quant.quantize(values[name])).astype(np.float32)})
    nodes = {node.name: node for node in graph.nodes}
    coarse = {
        (name, word): power({nodes[name].outputs[0]: _with_weights(graph, nodes[name], values, *pair)})
        for word, pairs in weights.items()
        for name, pair in pairs.items()
    }
    return Sensitivity(goal, float((wanted**2).sum()), rounded, coarse)


def _with_weights(graph: Graph, node: Node, values: Mapping[str, Array], integers: Array, scales: Array) -> Array:
    """The layer's output with rounded weights, its mean before the activation kept."""
    bare = replace(node, attrs={key: value for key, value in node.attrs.items() if key not in ("clip_min", "clip_max")})
    given = [values[n] if not graph.is_constant(n) else graph.constant(n) for n in node.inputs]
    exact = operator(node.op).evaluate(bare, given)[0].astype(np.float64)
    given[1] = (integers * scales.reshape(-1, *[1] * (integers.ndim - 1))).astype(np.float32)
    result = operator(node.op).evaluate(bare, given)[0].astype(np.float64)
    axes = tuple(range(result.ndim - 1))
    moved = result + (exact - result).mean(axis=axes)
    return np.asarray(np.clip(moved, *clip_bounds(node)).astype(np.float32))

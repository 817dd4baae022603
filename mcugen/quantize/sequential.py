"""Sequential quantization: layer by layer, each layer fitted to what the quantized layers before it really give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import is_batchable
from mcugen.graph import DynamicQuantParams, Graph, Node, QuantParams
from mcugen.ops import operator
from mcugen.ops.operator import QuantContext, clip_bounds
from mcugen.ops.recurrent import RecurrentOperator
from mcugen.ops.weighted import float_bias, has_weights, round_weights, scales_that_fit
from mcugen.quantize.bias_correction import correct_bias
from mcugen.quantize.integer_graph import integer_node
from mcugen.quantize.layer_data import input_rows, sample_positions, weight_matrix
from mcugen.quantize.layer_problem import LayerProblem, RoundingOptions, layer_problem, round_to_int8
from mcugen.quantize.low_bits import integer_dtype, plain_weights, round_to_format
from mcugen.quantize.reconstruction import damped, error_after, fit_weights, shrunk
from mcugen.quantize.recurrent_rounding import round_recurrent

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

FIT_ROUNDS, NEAR = 6, 0.99
"""How often a packed layer's scales are raised at most, and the part of what is needed that does."""
COARSE_DAMPING = 0.01
"""Of the Hessian for weights in fewer bits: their errors are so large that even a few samples' correlations help."""
FEWEST_ROWS_PER_WEIGHT = 4
"""With fewer rows for each weight of an output, a fit of the weights learns the samples by heart."""


@dataclass(frozen=True)
class LayerNote:
    """What was done to one layer: rows it was fitted on, the fit's damping (None: no fit), its error on those rows.

    `signal_to_noise` in dB: of the layer's output before its activation, from the quantized inputs, against float.
    """

    node: str
    rows: int
    damping: float | None
    signal_to_noise: float


@dataclass
class Rounded:
    """The outcome: the graph with corrected biases, integer weights by node name, and a note of each layer."""

    graph: Graph
    weights: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    notes: list[LayerNote] = field(default_factory=list)


def quantize_sequentially(
    graph: Graph,
    activations: Mapping[str, QuantParams],
    samples: Mapping[str, Array],
    options: RoundingOptions,
    progress: Progress | None = None,
    *,
    fixed: Mapping[str, tuple[Array, Array]] | None = None,
    formats: Mapping[str, str] | None = None,
) -> Rounded:
    """Choose integer weights and biases in execution order; `samples` are the calibration inputs.

    `fixed` gives weights by node name that are chosen already, `formats` weight formats other than int8.  A graph that mixes its
    batch axis with others takes one sample at a time and has no samples to stack: its weights are left to plain rounding.
    """
    formats = formats or {}
    result = Rounded(graph.copy(), dict(fixed or {}))
    if not is_batchable(graph):
        result.weights.update(plain_weights(graph, activations, formats))
        return result
    wanted: dict[str, Array] = {n: t.data for n, t in graph.tensors.items() if t.data is not None}
    integers: dict[str, Array] = {}
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        wanted[name] = samples[name].reshape((-1, *shape[1:]))
        integers[name] = activations[name].quantize(wanted[name])
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    for i, node in enumerate(graph.nodes):
        outputs = operator(node.op).evaluate(node, [wanted[name] for name in node.inputs])
        wanted.update(zip(node.outputs, outputs, strict=True))
        if has_weights(node) and node.name not in result.weights:
            x = node.inputs[0]
            word = formats.get(node.name)
            _round_node(result, node, activations, wanted[x], integers[x], options, seed=i, word=word)
        elif isinstance(operator(node.op), RecurrentOperator):
            quant, x_integers = activations[node.inputs[0]], integers[node.inputs[0]]
            if not isinstance(quant, DynamicQuantParams):
                arrays = [wanted[name] for name in node.inputs]
                result.weights[node.name] = round_recurrent(node, arrays, quant, x_integers, options, seed=i)
        integers.update(_integer_outputs(result, result.graph.nodes[i], activations, integers))
        for name in node.inputs:
            if last[name] == i and name in integers:
                integers.pop(name)
                wanted.pop(name)
        if progress is not None:
            progress(i + 1, len(graph.nodes))
    return result


def _integer_outputs(
    result: Rounded, node: Node, activations: Mapping[str, QuantParams], integers: Mapping[str, Array]
) -> dict[str, Array]:
    graph = result.graph
    integer, constants = integer_node(node, graph, QuantContext(activations, result.weights))
    arrays = [
        integers[name] if name in integers else activations[name].quantize(graph.constant(name))
        for name in integer.inputs
    ]
    outputs = operator(integer.op).reference(integer, [*arrays, *constants.values()])
    return dict(zip(node.outputs, outputs, strict=True))


def _layer_problem(
    node: Node,
    graph: Graph,
    activations: Mapping[str, QuantParams],
    x_wanted: Array,
    x_integers: Array,
    options: RoundingOptions,
    *,
    seed: int,
) -> LayerProblem:
    in_quant, out_quant = activations[node.inputs[0]], activations[node.outputs[0]]
    weights, bias = graph.constant(node.inputs[1]), float_bias(node, graph)
    matrix = weight_matrix(node, weights)
    groups, outputs, depth = matrix.shape
    samples = len(x_wanted)
    count = samples * int(np.prod(graph.tensors[node.outputs[0]].shape[:-1]))
    positions = sample_positions(count, groups * max(depth, outputs), limit=options.row_values, seed=seed)
    wanted = input_rows(node, x_wanted, weights, positions).astype(np.float64)
    given = input_rows(node, in_quant.dequantize(x_integers), weights, positions) if options.follow else wanted
    plain = round_weights(weights, in_quant, out_quant, bias)
    sample = positions * samples // count
    return layer_problem(matrix, bias, plain, in_quant, wanted, given, sample, samples, clip_bounds(node))


def _round_to_format(problem: LayerProblem, weights: Array, options: RoundingOptions, word: str) -> tuple[Array, Array]:
    """Integers of the weight format and scales; where the grid is so coarse that sums of int16 come to leave 32 bits, again."""
    dead = problem.dead
    hessian = damped(shrunk(problem.moments), COARSE_DAMPING)
    smallest = np.where(dead, problem.scales, problem.smallest_scales)
    grid_scales: Array | float = 0.0
    for _ in range(FIT_ROUNDS):
        q, scales = round_to_format(
            weights,
            hessian,
            word,
            smallest_scales=smallest,
            grid_scales=grid_scales,
            feedback=options.feedback,
            sweeps=options.sweeps,
        )
        needed = _scales_for(q, scales, problem)
        if np.all(dead | (needed * NEAR <= scales)):
            break
        smallest = grid_scales = np.where(dead, problem.scales, np.maximum(smallest, needed))
    return q, np.where(dead, problem.scales, scales)


def _scales_for(q: Array, scales: Array, problem: LayerProblem) -> Array:
    """`scales_that_fit` [groups, outputs]; those of int8 inputs always do."""
    if problem.in_quant.dtype == "int8":
        return np.zeros_like(scales)
    flat = q.reshape(-1, q.shape[-1])
    return scales_that_fit(flat, scales.reshape(-1), problem.bias.reshape(-1), problem.in_quant).reshape(scales.shape)


def _round_layer(
    problem: LayerProblem, options: RoundingOptions, word: str | None
) -> tuple[Array, Array, Array, float | None]:
    """Integers [groups, outputs, depth], scales and bias [groups, outputs], and the damping of the fit."""
    weights, dead, m = problem.weights, problem.dead, problem.moments
    damping = None
    if options.fit and problem.rows >= FEWEST_ROWS_PER_WEIGHT * weights.shape[-1]:
        weights, damping = fit_weights(weights, m)
    if word is None:
        q, scales = round_to_int8(problem, weights, options)
    else:
        q, scales = _round_to_format(problem, weights, options, word)
    q = np.where(dead[..., None], 0, q)
    bias = problem.bias
    if options.bias:
        given = problem.given @ (q * scales[..., None]).transpose(0, 2, 1) + bias[:, None]
        bias = np.where(dead, bias, bias + correct_bias(problem.wanted, given, problem.bounds, problem.sample))
    return q, scales, bias, damping


def _round_node(
    result: Rounded,
    node: Node,
    activations: Mapping[str, QuantParams],
    x_wanted: Array,
    x_integers: Array,
    options: RoundingOptions,
    *,
    seed: int,
    word: str | None,
) -> None:
    graph = result.graph
    problem = _layer_problem(node, graph, activations, x_wanted, x_integers, options, seed=seed)
    q, scales, bias, damping = _round_layer(problem, options, word)
    result.weights[node.name] = (
        q.reshape(graph.tensors[node.inputs[1]].shape).astype(integer_dtype(word)),
        scales.reshape(-1),
    )
    change = np.concatenate([q * scales[..., None] - problem.weights, (bias - problem.bias)[..., None]], axis=2)
    error = float(error_after(change, problem.moments).sum())
    ratio = 10 * np.log10(max(problem.power, 1e-300) / max(error, 1e-300))
    result.notes.append(LayerNote(node.name, problem.rows, damping, round(float(ratio), 2)))
    if options.bias:
        _set_bias(graph, node, bias.reshape(-1))


def _set_bias(graph: Graph, node: Node, bias: Array) -> None:
    index = next(i for i, n in enumerate(graph.nodes) if n.name == node.name)
    name = graph.add_constant(f"{node.name}.bias", bias)
    graph.nodes[index] = replace(node, inputs=(*node.inputs[:2], name))

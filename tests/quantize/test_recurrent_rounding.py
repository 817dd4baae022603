"""Rounding of recurrent layers' weights by what their products read: smaller errors on unseen samples than to the nearest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mcugen.evaluation import sqnr_db
from mcugen.execute import evaluate, reference
from mcugen.graph import Graph, QuantParams
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.recurrent import STATE, SUM
from mcugen.ops.weighted import round_weights
from mcugen.quantize.layer_problem import RoundingOptions
from mcugen.quantize.quantizer import DEFAULT_METHODS, quantize_graph
from mcugen.quantize.recurrent_rounding import round_recurrent, states_before

STEPS, DEPTH, HIDDEN = 16, 12, 20
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
PLAIN = tuple(name for name in DEFAULT_METHODS if name not in ("feedback", "scales", "descent"))


def layer(kind: str, *, seed: int = 1, **attrs: Any) -> Graph:
    rng = np.random.default_rng(seed)
    builder = GraphBuilder(kind)
    rows = GATES[kind] * HIDDEN
    operands = [builder.input("x", (1, STEPS, DEPTH))]
    for fan_in in (DEPTH, HIDDEN):
        operands.append(builder.constant(rng.normal(size=(rows, fan_in)) / np.sqrt(fan_in)))
        operands.append(builder.constant(rng.normal(size=rows) * 0.3))
    operands += [builder.constant(rng.uniform(-0.5, 0.5, HIDDEN)) for _ in range(2 if kind == "lstm" else 1)]
    more = {"linear_before_reset": False} if kind == "gru" else {}
    return builder.output(builder.emit(kind, operands, **{"reverse": False, "sequence": True} | more | attrs))


def recordings(count: int) -> np.ndarray:
    """Channels that move together, and slowly, as those of sensors do."""
    rng = np.random.default_rng(2)
    common = np.cumsum(rng.normal(size=(count, STEPS, 2)), axis=1) * 0.3 @ rng.normal(size=(2, DEPTH))
    return (common + 0.1 * rng.normal(size=common.shape)).astype(np.float32)


def operands(graph: Graph, x: np.ndarray) -> list[np.ndarray]:
    return [x, *(graph.constant(name) for name in graph.nodes[0].inputs[1:])]


@pytest.mark.parametrize("attrs", [{}, {"reverse": True}, {"sequence": False}])
def test_the_states_are_those_that_each_step_reads(attrs: dict[str, bool]) -> None:
    graph = layer("rnn", **attrs)
    inputs = operands(graph, recordings(5))
    x, weights, bias, state_weights, state_bias, first = inputs
    before = states_before(graph.nodes[0], inputs)
    after = np.tanh(x @ weights.T + bias + before @ state_weights.T + state_bias)
    if attrs.get("reverse"):
        after, before = after[:, ::-1], before[:, ::-1]
    np.testing.assert_allclose(before[:, 0], np.broadcast_to(first, (5, HIDDEN)))
    np.testing.assert_allclose(before[:, 1:], after[:, :-1], atol=1e-6)


@pytest.mark.parametrize("kind", list(GATES))
def test_the_products_of_unseen_samples_are_nearer_than_by_the_nearest_weights(kind: str) -> None:
    graph, x = layer(kind), recordings(96)
    inputs, unseen = operands(graph, x[:64]), operands(graph, x[64:])
    quant = QuantParams.per_tensor(float(np.abs(x).max()) / 127, 0)
    node = graph.nodes[0]
    integers, scales = round_recurrent(node, inputs, quant, quant.quantize(inputs[0]), RoundingOptions(), seed=0)
    parts = ((1, quant, unseen[0], slice(0, DEPTH)), (3, STATE, states_before(node, unseen), slice(DEPTH, None)))
    for i, (operand, in_quant, rows, columns) in enumerate(parts):
        weights, bias = inputs[operand], inputs[operand + 1].astype(np.float64)
        plain, plain_scales = round_weights(weights, in_quant, SUM, bias)
        errors = [
            np.square(rows @ (q * s[:, None] - weights).T).mean()
            for q, s in ((integers[:, columns], scales[:, i]), (plain, plain_scales))
        ]
        assert errors[0] < 0.5 * errors[1]


def output_ratio(graph: Graph, x: np.ndarray, methods: tuple[str, ...]) -> float:
    """Signal to noise in dB on samples behind the first 64, on which the integers are chosen."""
    integer = quantize_graph(graph, {"x": x[:64]}, methods=methods).graph
    quant = integer.tensors["x"].quant
    assert quant is not None
    given = reference(integer, {"x": quant.quantize(x[64:])})[graph.outputs[0]]
    return sqnr_db(evaluate(graph, {"x": x[64:]})[graph.outputs[0]], given / 128)


@pytest.mark.parametrize("kind", list(GATES))
def test_the_integer_layers_are_nearer_on_unseen_samples(kind: str) -> None:
    x = recordings(128)
    graphs = [layer(kind, seed=seed) for seed in range(4)]
    gains = [output_ratio(graph, x, DEFAULT_METHODS) - output_ratio(graph, x, PLAIN) for graph in graphs]
    assert np.mean(gains) > 0.1


def test_without_the_methods_weights_are_the_nearest() -> None:
    graph = layer("lstm")
    integer = quantize_graph(graph, {"x": recordings(16)}, methods=PLAIN).graph
    weights, bias = graph.constant(graph.nodes[0].inputs[3]), graph.constant(graph.nodes[0].inputs[4])
    found = next(t.data for n, t in integer.tensors.items() if n.endswith(".state_weights"))
    np.testing.assert_array_equal(found, round_weights(weights, STATE, SUM, bias.astype(np.float64))[0])

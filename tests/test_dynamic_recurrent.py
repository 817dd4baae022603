"""`--activations dynamic` with recurrent layers: which need no samples, what that is worth, and the bounds of the integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugen
from mcugen.evaluation import sqnr_db
from mcugen.execute import evaluate, reference
from mcugen.graph import DYNAMIC, Graph
from mcugen.layer_fidelity import study_layers
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import dynamic_input, product, product_parameters
from mcugen.ops.dynamic_gates import DynamicInput, input_parameters
from mcugen.pipeline import Quantized, compile_model, quantize

STEPS, DEPTH, HIDDEN = 12, 6, 16
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def recurrent(builder: GraphBuilder, kind: str, x: str, *, given: tuple[str, ...] = (), **attrs: Any) -> str:
    depth = builder.graph.tensors[x].shape[-1]
    rng = np.random.default_rng([depth, len(builder.graph.nodes)])
    rows = GATES[kind] * HIDDEN
    operands = [x]
    for fan_in, scale in ((depth, 1.5), (HIDDEN, 0.8)):
        operands.append(builder.constant(rng.normal(size=(rows, fan_in)) * scale / np.sqrt(fan_in)))
        operands.append(builder.constant(rng.normal(size=rows) * 0.3))
    if given:
        return builder.emit_many("lstm_states", [*operands, *given], 2, reverse=False, sequence=True)[0]
    operands += [builder.constant(np.zeros(HIDDEN))] * (2 if kind == "lstm" else 1)
    more = {"linear_before_reset": True} if kind == "gru" else {}
    return builder.emit(kind, operands, **{"reverse": False, "sequence": True} | more | attrs)


def dense(builder: GraphBuilder, x: str, out: int, **attrs: Any) -> str:
    size = builder.graph.tensors[x].size
    rng = np.random.default_rng([size, out])
    flat = builder.emit("reshape", [x], shape=(1, size))
    weights = builder.constant(rng.normal(size=(out, size)) / np.sqrt(size), "w")
    return builder.emit("fully_connected", [flat, weights, builder.constant(rng.normal(size=out) * 0.1)], **attrs)


def classifier(kind: str) -> Graph:
    """One layer, its last state, two fully connected layers."""
    builder = GraphBuilder(kind)
    h = recurrent(builder, kind, builder.input("x", (1, STEPS, DEPTH)), sequence=False)
    return builder.output(dense(builder, dense(builder, h, 20, clip_min=0.0), 4))


def stacked() -> Graph:
    """Two directions, a second layer, the mean over time, and a fully connected layer."""
    builder = GraphBuilder("stacked")
    x = builder.input("x", (1, STEPS, DEPTH))
    both = builder.emit("concat", [recurrent(builder, "lstm", x, reverse=r) for r in (False, True)], axis=2)
    image = builder.emit("reshape", [recurrent(builder, "gru", both)], shape=(1, 1, STEPS, HIDDEN))
    window = {"kernel": (1, STEPS), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    mean = builder.emit("average_pool2d", [image], divide=True, count_pads=(0, 0, 0, 0), **window)
    return builder.output(dense(builder, mean, 4))


def sqnr(quantized: Quantized, graph: Graph, x: np.ndarray) -> float:
    quant_in, quant_out = (quantized.graph.tensors[name].quant for name in (graph.inputs[0], graph.outputs[0]))
    assert quant_in is not None and quant_out is not None
    got = reference(quantized.graph, {graph.inputs[0]: quant_in.quantize(x)})[graph.outputs[0]]
    wanted = evaluate(graph, {graph.inputs[0]: x})[graph.outputs[0]]
    return sqnr_db(wanted, quant_out.dequantize(got).reshape(wanted.shape))


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(11).normal(size=(count, STEPS, DEPTH)).astype(np.float32)


@pytest.mark.parametrize("kind", list(GATES))
def test_without_samples_small_and_large_inputs_keep_their_precision(kind: str) -> None:
    graph, x = classifier(kind), samples(64)
    dynamic = quantize(graph, activations="dynamic")
    assert not dynamic.synthetic and not dynamic.notes
    static = quantize(graph, {"x": x})
    assert sqnr(dynamic, graph, x) > 30
    assert sqnr(dynamic, graph, 0.02 * x) > max(30, sqnr(static, graph, 0.02 * x))
    assert sqnr(dynamic, graph, 10 * x) > sqnr(static, graph, 10 * x) + 10


def test_states_have_ranges_that_need_no_samples(tmp_path: Path) -> None:
    graph, x = stacked(), samples(32)
    quantized = quantize(graph, activations="dynamic")
    assert not quantized.synthetic and not quantized.notes
    assert [node.op for node in quantized.graph.nodes] == [
        *(
            "lstm",
            "lstm",
            "concat",
            "gru",
            "reshape",
            "average_pool2d",
            "reshape",
            "to_dynamic",
            "dynamic_fully_connected",
        )
    ]
    assert quantized.facts["dynamic_ranges"] == {"dynamic": ["lstm", "lstm_1", "fully_connected"], "static": []}
    assert sqnr(quantized, graph, x) > 30
    study = study_layers(quantized.float_graph, quantized.graph, quantized.channels, {"x": x[:8]})
    assert all(layer.accumulated_db is not None and layer.accumulated_db > 25 for layer in study.layers)
    package = compile_model(quantized).write(tmp_path / "stacked")
    assert mcugen.verify(package).outputs_compared > 0


def test_a_sequence_in_pieces_needs_no_samples() -> None:
    builder = GraphBuilder("piece")
    x = builder.input("x", (1, 3, DEPTH))
    given = (builder.input("h", (1, HIDDEN)), builder.input("c", (1, HIDDEN)))
    graph = builder.output(recurrent(builder, "lstm", x, given=given))
    quantized = quantize(graph, activations="dynamic")
    assert not quantized.synthetic
    drawn = np.random.default_rng(2)
    fed = {"x": samples(16)[:, :3], "h": drawn.uniform(-1, 1, (16, HIDDEN)), "c": drawn.uniform(-4, 4, (16, HIDDEN))}
    fed = {name: array.astype(np.float32) for name, array in fed.items()}
    quants = {name: quantized.graph.tensors[name].quant for name in fed}
    got = reference(quantized.graph, {name: quants[name].quantize(array) for name, array in fed.items()})  # type: ignore[union-attr]
    wanted = evaluate(graph, fed)[graph.outputs[0]]
    assert sqnr_db(wanted, got[graph.outputs[0]] / 128) > 30


def test_an_input_that_other_layers_read_is_calibrated() -> None:
    builder = GraphBuilder("mixed")
    x = builder.input("x", (1, STEPS, DEPTH))
    graph = builder.output(
        recurrent(builder, "rnn", builder.emit("clip", [x], clip_min=-1.0, clip_max=1.0)), dense(builder, x, 3)
    )
    quantized = quantize(graph, {"x": samples(16)}, activations="dynamic")
    assert quantized.graph.tensors["x"].quant != DYNAMIC
    assert quantized.facts["dynamic_ranges"]["static"] == ["rnn"]


def test_the_product_keeps_its_bounds() -> None:
    rng = np.random.default_rng(4)
    for scale in (1.0, 1e-6, 1e5):
        builder = GraphBuilder("gates")
        x = dynamic_input(builder, (1, STEPS, DEPTH))
        real = (
            rng.normal(size=(GATES["lstm"] * HIDDEN, DEPTH)) * rng.uniform(1e-3, 1, (GATES["lstm"] * HIDDEN, 1)) * scale
        )
        real[3] = 0
        real[4, 1:] = 0
        bias = rng.normal(size=len(real))
        builder.emit(
            "lstm",
            [
                *(x, builder.constant(real), builder.constant(bias), builder.constant(np.zeros((len(real), HIDDEN)))),
                *(builder.constant(np.zeros(n)) for n in (len(real), HIDDEN, HIDDEN)),
            ],
            reverse=False,
            sequence=True,
        )
        graph = builder.graph
        node = graph.nodes[0]
        found, unit = product_parameters(node, graph, common_shift=True)
        parts = tuple(found[name] for name in ("weights", "row_sums", "multiplier", "shift"))
        assert len(np.unique(found["shift"])) == 1
        for q, zero in ((-128, 127), (127, -128)):
            signs = np.where(found["weights"] > 0, q, zero)[:, None]
            extreme = np.stack([product(row, np.array([[zero]]), parts)[0] for row in signs])  # type: ignore[arg-type]
            assert np.abs(extreme).max() < 2**29
        constants, attrs = input_parameters(node, graph, 12)
        held = DYNAMIC.quantize(rng.normal(size=(8, STEPS, DEPTH)) / scale)
        integer = node.with_attrs(**attrs)
        given = DynamicInput.of(integer, held, constants["in_row_sums"])
        rows = slice(None)
        got = given.product(
            given.x[:, 2], *(constants[f"in_{p}"] for p in ("weights", "bias", "multiplier", "shift")), rows
        )
        rounded = constants["in_weights"] * (np.abs(real).max(axis=1, keepdims=True) / 127)
        wanted = DYNAMIC.dequantize(held).reshape(8, STEPS, DEPTH)[:, 2] @ rounded.T + bias
        size = 2.0 ** (held[:, -2:-1].astype(np.float64) + unit)
        assert np.all(np.abs(got / 4096 - wanted) <= (1.01 + 0.01) / 4096 + size + np.abs(wanted) * 2.0**-20)


@pytest.mark.parametrize("kind", list(GATES))
def test_inputs_of_no_weight(kind: str, tmp_path: Path) -> None:
    """A layer that learnt to leave its input alone: its sums have no unit of their own."""
    graph = classifier(kind)
    (node,) = [node for node in graph.nodes if node.op == kind]
    weights = graph.tensors[node.inputs[1]]
    assert weights.data is not None
    graph.tensors[node.inputs[1]] = replace(weights, data=np.zeros_like(weights.data))
    x = np.random.default_rng(2).normal(size=(8, STEPS, DEPTH)).astype(np.float32)
    quantized = quantize(graph, activations="dynamic")
    assert sqnr(quantized, graph, x) > 25
    package = compile_model(quantized).write(tmp_path / "out")
    assert mcugen.verify(package).outputs_compared > 0

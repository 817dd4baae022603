"""Precisions: what a user's words mean for a graph."""

from __future__ import annotations

import numpy as np
import pytest

from mcugen.errors import McugenError
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.quantize.precision import (
    Precision,
    check_precision,
    choose_precision,
    int16_tensors,
    parse_layer_precision,
    precision_report,
)


def network() -> Graph:
    """x -> conv (a) -> max pool -> fully connected, names as the builder gives them."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder("net")
    x = builder.input("x", (1, 6, 6, 3))
    window = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    weights = builder.constant(rng.normal(size=(4, 3, 3, 3)), "w")
    conv = builder.emit("conv2d", [x, weights], groups=1, **window)
    pool = builder.emit("max_pool2d", [conv], kernel=(2, 2), **(window | {"strides": (2, 2)}))
    flat = builder.emit("reshape", [pool], shape=(1, 16))
    return builder.output(builder.emit("fully_connected", [flat, builder.constant(rng.normal(size=(5, 16)), "w2")]))


def names(graph: Graph) -> dict[str, str]:
    return {node.op: node.name for node in graph.nodes}


def test_words_of_a_layer() -> None:
    assert parse_layer_precision("a/b=int16, c=int4+int16") == {"a/b": "int16", "c": "int4+int16"}


@pytest.mark.parametrize("text", ["conv1", "=int16", "conv1=", "conv1=int17", "conv1=int4+pow2", ""])
def test_words_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="precision"):
        parse_layer_precision(text)


def test_the_whole_model() -> None:
    graph = network()
    assert not choose_precision(graph) and choose_precision(graph) == Precision()
    wide = choose_precision(graph, "int16")
    assert set(wide.activations) == set(graph.activations()) and not wide.weights
    small = choose_precision(graph, "int4")
    assert small.weights == {names(graph)["conv2d"]: "int4", names(graph)["fully_connected"]: "int4"}


def test_some_layers() -> None:
    graph = network()
    conv, dense = names(graph)["conv2d"], names(graph)["fully_connected"]
    chosen = choose_precision(graph, layers={conv: "int16+int4", "x": "int16", dense: "pow2"})
    assert set(chosen.activations) == {"x", *graph.nodes[0].outputs}
    assert chosen.weights == {conv: "int4", dense: "pow2"}
    assert precision_report(graph, chosen)[conv] == {"output": "int16", "weights": "int4"}
    assert conv not in choose_precision(graph, "int4", {conv: "int8"}).weights


def test_layers_that_are_not_there_are_named_with_their_neighbours() -> None:
    graph = network()
    with pytest.raises(McugenError) as caught:
        choose_precision(graph, layers={"convd_1": "int16", names(graph)["max_pool2d"]: "int4", "x": "int9"})
    text = str(caught.value)
    assert "no layer 'convd_1'" in text and names(graph)["conv2d"] in text
    assert "which has no weights" in text and "'int9' is not a precision" in text and "hint:" in text


def test_what_can_be_int8_alone_is_refused_by_name() -> None:
    graph = network()
    wide = choose_precision(graph, "int16")
    with pytest.raises(McugenError, match="comes quantized"):
        check_precision(graph, wide, imported=True, arithmetic="default")
    with pytest.raises(McugenError, match="arithmetic 'tflite' is int8 throughout"):
        check_precision(graph, wide, imported=False, arithmetic="tflite")
    check_precision(graph, Precision(), imported=True, arithmetic="tflite")


def test_tensors_that_share_parameters_share_their_precision() -> None:
    graph = network()
    conv, pool, flat = (node.outputs[0] for node in graph.nodes[:3])
    assert int16_tensors(graph, Precision({flat: "int16"})) == {conv, pool, flat}
    builder = GraphBuilder("table")
    steps = builder.output(builder.emit("table", [builder.input("x", (1, 4))], function="Sign"))
    assert not int16_tensors(steps, choose_precision(steps, "int16"))

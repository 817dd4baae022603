"""Nodes that passes moved past each other have names of their own."""

from __future__ import annotations

import numpy as np

from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import canonical, compile_model, quantize


def test_a_function_between_a_reshape_and_a_pad_compiles() -> None:
    builder = GraphBuilder("moved")
    x = builder.emit("table", [builder.input("x", (1, 3, 8))], function="Sigmoid", stem="first")
    x = builder.emit("reshape", [x], shape=(1, 4, 6), stem="reshape")
    x = builder.emit("table", [x], function="Tanh", stem="tanh")
    x = builder.emit("pad", [x], pads=((0, 0), (1, 0), (0, 2)), value=0.0, stem="pad")
    graph = canonical(builder.output(x))
    names = [node.name for node in graph.nodes]
    assert names == ["first", "tanh", "tanh_1", "pad"]
    compiled = compile_model(quantize(graph, {"x": np.random.default_rng(0).normal(size=(8, 3, 8))}, effort="fast"))
    assert [step.name for step in compiled.program.steps] == ["first", "tanh", "pad"]

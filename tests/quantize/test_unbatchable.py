"""A graph that mixes its batch axis with others is quantized one sample at a time."""

from __future__ import annotations

import numpy as np

from mcugen.execute import evaluate, is_batchable, reference
from mcugen.ops.builder import GraphBuilder
from mcugen.quantize.quantizer import quantize_graph
from mcugen.sqnr import sqnr_db


def test_graph_with_a_moved_batch_axis() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("moved")
    turned = builder.emit("transpose", [builder.input("x", (1, 4, 6))], perm=(1, 0, 2))
    weights = builder.constant(rng.normal(size=(5, 6)), "w")
    y = builder.emit("fully_connected", [turned, weights, builder.constant(rng.normal(size=5), "b")])
    graph = builder.output(builder.emit("transpose", [y], perm=(1, 0, 2)))
    assert not is_batchable(graph)
    samples = {"x": rng.normal(size=(12, 4, 6)).astype(np.float32)}
    integer = quantize_graph(graph, samples).graph
    quantized = {"x": integer.tensors["x"].quant.quantize(samples["x"])}
    (name,) = graph.outputs
    real = integer.tensors[name].quant.dequantize(reference(integer, quantized)[name])
    assert sqnr_db(evaluate(graph, samples)[name], real) > 30

"""Networks that come channels first run channels last throughout, with no transpose inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mcugen.pipeline import load


def test_a_decoder_with_skip_connections_keeps_no_transpose(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"w": (6, 2, 3, 3), "v": (9, 6, 3, 3), "u": (5, 15, 3, 3)}
    constants = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    constants["scales"] = np.array([1, 1, 2, 2], np.float32)
    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["early"], **same),
        helper.make_node("MaxPool", ["early"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["small", "v"], ["deep"], **same),
        helper.make_node("Resize", ["deep", "", "scales"], ["large"], mode="nearest"),
        helper.make_node("Concat", ["large", "early"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "u"], ["y"], **same),
    ]
    ports = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", (1, 2, 16, 12)), ("y", (1, 5, 16, 12)))
    ]
    initializers = [numpy_helper.from_array(data, name) for name, data in constants.items()]
    graph = helper.make_graph(nodes, "decoder", ports[:1], ports[1:], initializers)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx"
    )
    operators = [node.op for node in load(tmp_path / "net.onnx").nodes]
    assert operators[0] == operators[-1] == "transpose" and operators.count("transpose") == 2

"""Small ONNX files to build from, sound and broken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES = 12
CLASSES = 4


def save(
    path: Path, nodes: Sequence[onnx.NodeProto], weights: dict[str, np.ndarray], **shapes: Sequence[object]
) -> Path:
    """An ONNX file; `shapes` gives the inputs, whose names begin with `x`, and the outputs."""
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()
    }
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [info for name, info in infos.items() if name.startswith("x")],
        [info for name, info in infos.items() if not name.startswith("x")],
        [numpy_helper.from_array(data, name) for name, data in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def dense_weights(inputs: int = FEATURES, outputs: int = CLASSES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "w": rng.normal(size=(inputs, outputs)).astype(np.float32),
        "b": rng.normal(size=outputs).astype(np.float32),
    }


def classifier(path: Path, *, weights: dict[str, np.ndarray] | None = None, batch: object = 1) -> Path:
    """One fully connected layer with a Softmax."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["logits"], name="dense"),
        helper.make_node("Softmax", ["logits"], ["scores"], name="softmax", axis=-1),
    ]
    given = weights or dense_weights()
    inputs, outputs = given["w"].shape
    return save(path, nodes, given, x=(batch, inputs), scores=(batch, outputs))


def two_inputs(path: Path) -> Path:
    """Two inputs of different sizes and two outputs."""
    rng = np.random.default_rng(4)
    weights = {"w": rng.normal(size=(6, 5)).astype(np.float32), "v": rng.normal(size=(3, 5)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x_left", "w"], ["left"], name="left_layer"),
        helper.make_node("MatMul", ["x_right", "v"], ["right"], name="right_layer"),
        helper.make_node("Add", ["left", "right"], ["total"], name="sum"),
    ]
    return save(path, nodes, weights, x_left=(1, 6), x_right=(1, 3), total=(1, 5), right=(1, 5))


def unsupported(path: Path) -> Path:
    """Two operators that no integer program has, beside a sound layer."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["logits"], name="dense"),
        helper.make_node("Det", ["square"], ["first"], name="determinant"),
        helper.make_node("Reshape", ["logits", "shape"], ["square"], name="reshape"),
        helper.make_node("NonZero", ["logits"], ["places"], name="places_of_hits"),
    ]
    weights = {**dense_weights(), "shape": np.array([2, 2], np.int64)}
    graph = helper.make_graph(
        [nodes[0], nodes[2], nodes[1], nodes[3]],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, FEATURES])],
        [
            helper.make_tensor_value_info("first", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("places", TensorProto.INT64, [2, "hits"]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES]),
        ],
        [numpy_helper.from_array(data, name) for name, data in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def overflowing(path: Path) -> Path:
    """A layer whose sums are far beyond the range that a Clip leaves of them."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["sums"], name="huge"),
        helper.make_node("Clip", ["sums", "low", "high"], ["small"], name="clip"),
    ]
    rng = np.random.default_rng(5)
    weights = {
        "w": rng.choice([-1e6, 1e6], (640, 4)).astype(np.float32),
        "b": np.zeros(4, np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
    }
    return save(path, nodes, weights, x=(1, 640), small=(1, 4))


def dynamic_image(path: Path) -> Path:
    """A convolution whose image has no size."""
    kernel = np.random.default_rng(6).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])]
    return save(path, nodes, {"w": kernel}, x=("N", 3, "H", "W"), y=("N", 4, "H", "W"))


def samples(count: int = 16, features: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(count, features)).astype(np.float32)

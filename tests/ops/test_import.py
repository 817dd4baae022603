"""ONNX nodes, read and evaluated in float, against the evaluator of the onnx package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mcugen.errors import UnsupportedModel
from mcugen.onnx_reader import read_onnx

sys.path.insert(0, str(Path(__file__).parent))
from harness import evaluate

Array = np.ndarray[Any, Any]


def model(
    op: str,
    shapes: list[tuple[int, ...]],
    constants: list[Array | None] | None = None,
    *,
    opset: int = 17,
    outputs: int = 1,
    **attrs: Any,
) -> onnx.ModelProto:
    """A model of one node.  Inputs are the tensors of `shapes`, then the constants; a `None` among `constants` is where
    a tensor goes, so that a constant can come first."""
    order = constants or []
    if not any(data is None for data in order):
        order = [None] * len(shapes) + order
    names, initializers, graph_inputs = [], [], []
    remaining = iter(shapes)
    for i, data in enumerate(order):
        name = f"x{i}"
        if data is None:
            graph_inputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, next(remaining)))
        elif data.dtype == object:
            name = ""
        else:
            initializers.append(numpy_helper.from_array(data, name))
        names.append(name)
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, name="n", **attrs)
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in results[: 1 if op == "MaxPool" else None]
    ]
    graph = helper.make_graph([node], "g", graph_inputs, infos, initializers)
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    )


def check(proto: onnx.ModelProto, folder: Path) -> None:
    path = folder / "model.onnx"
    onnx.save(proto, path)
    graph = read_onnx(path)
    rng = np.random.default_rng(7)
    feeds = {name: rng.uniform(0.2, 2, graph.tensors[name].shape).astype(np.float32) for name in graph.inputs}
    wanted = ReferenceEvaluator(proto).run(None, feeds)
    values = evaluate(graph, dict(feeds))
    for name, want in zip(graph.outputs, wanted, strict=True):
        assert values[name].shape == want.shape == graph.tensors[name].shape
        np.testing.assert_allclose(values[name], want, rtol=2e-5, atol=2e-6)


def floats(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).uniform(0.3, 1.7, shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


OMITTED = np.array([None], object)
IMAGE = (1, 3, 7, 6)

ARITHMETIC = [
    model("Add", [(1, 4, 5), (1, 4, 5)]),
    model("Add", [(1, 4, 5), (5,)]),
    model("Add", [(1, 4, 5)], [floats(5)]),
    model("Add", [(1, 4, 5)], [floats(4, 1)]),
    model("Add", [(1, 4, 5)], [floats(4, 5)]),
    model("Add", [(1, 4, 5)], [floats(1)]),
    model("Add", [(1, 1, 5)], [floats(1, 4, 1)]),
    model("Add", [(5,)], [floats(1, 5)]),
    model("Sub", [(1, 4, 5), (1, 4, 1)]),
    model("Sub", [(1, 4, 5)], [floats(5)]),
    model("Sub", [(1, 4, 5)], [floats(5), None]),
    model("Sub", [(1, 4, 5)], [floats(1, 4, 5), None]),
    model("Sum", [(1, 4, 5), (1, 4, 5), (1, 4, 5)]),
    model("Mul", [(1, 4, 5), (1, 4, 5)]),
    model("Mul", [(1, 4, 5), (1, 4, 1)]),
    model("Mul", [(1, 4, 5)], [floats(4, 5)]),
    model("Mul", [(1, 4, 5)], [floats(1, 4, 1), None]),
    model("Div", [(1, 4, 5), (1, 4, 5)]),
    model("Div", [(1, 4, 5)], [floats(4, 5)]),
    model("Div", [(1, 4, 5)], [floats(1)]),
    model("Div", [(1, 4, 5)], [floats(1), None]),
    model("BatchNormalization", [IMAGE], [floats(3), floats(3, seed=1), floats(3, seed=2), floats(3)], epsilon=0.01),
    model("BatchNormalization", [(1, 3)], [floats(3), floats(3, seed=1), floats(3, seed=2), floats(3)]),
]

PADDED = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
POOLS = [
    model("MaxPool", [IMAGE], kernel_shape=[2, 2], strides=[2, 2]),
    model("MaxPool", [IMAGE], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], ceil_mode=1),
    model("MaxPool", [IMAGE], kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2]),
    model("MaxPool", [IMAGE], kernel_shape=[2, 2], dilations=[2, 3]),
    model("MaxPool", [(1, 3, 11)], kernel_shape=[3], strides=[2]),
    model("MaxPool", [(4, 3, 11)], kernel_shape=[3], strides=[2]),
    model("GlobalMaxPool", [IMAGE]),
    model("GlobalMaxPool", [(4, 3, 6, 5)]),
    model("AveragePool", [IMAGE], kernel_shape=[2, 2], strides=[2, 2]),
    model("AveragePool", [IMAGE], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    model("AveragePool", [IMAGE], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    model("AveragePool", [IMAGE], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, opset=19),
    model("AveragePool", [IMAGE], **PADDED, strides=[3, 3], ceil_mode=1, count_include_pad=1, opset=19),
    model("AveragePool", [IMAGE], kernel_shape=[2, 2], dilations=[2, 2], opset=19),
    model("AveragePool", [(1, 3, 11)], kernel_shape=[3], strides=[2], pads=[1, 1]),
    model("GlobalAveragePool", [IMAGE]),
    model("GlobalAveragePool", [(1, 3, 11)]),
    model("GlobalAveragePool", [(4, 3, 11)]),
    model("GlobalAveragePool", [(4, 3, 6, 5)]),
]

NORMALIZATION = [
    model("LayerNormalization", [(1, 4, 6)], [floats(6), floats(6, seed=1)]),
    model("LayerNormalization", [(1, 4, 6)], [floats(6)], epsilon=0.1),
    model("LayerNormalization", [(1, 4, 6)], [floats(4, 6), floats(4, 6, seed=1)], axis=1),
]

SOFTMAX = [
    model("Softmax", [(1, 10)]),
    model("Softmax", [(1, 4, 5)], axis=1),
    model("Softmax", [(1, 4, 5, 2)], axis=-2),
    model("Softmax", [(1, 4, 5)], opset=11, axis=2),
]


MOVEMENT = [
    model("Cast", [(1, 4)], to=onnx.TensorProto.FLOAT),
    model("Concat", [(1, 3, 4), (1, 2, 4)], axis=1),
    model("Concat", [(1, 3, 4), (1, 3, 1)], axis=-1),
    model("Concat", [(1, 3, 4)], [floats(1, 2, 4), None], axis=1),
    model("Slice", [(1, 7, 9)], [ints(1, 2), ints(5, 100), ints(1, 2)]),
    model("Slice", [(1, 7, 9)], [ints(-1, -2), ints(-100, 0), ints(1, -1), ints(-1, -3)]),
    model("Slice", [(1, 7, 9)], [ints(0, 1, 0), ints(1, 6, 9), OMITTED, ints(1, 2, 3)]),
    model("Slice", [(1, 7, 9)], starts=[1], ends=[-1], axes=[2], opset=9),
    model("Split", [(1, 6, 4)], outputs=3, axis=1),
    model("Split", [(1, 7, 4)], [ints(2, 5)], outputs=2, axis=1),
    model("Split", [(1, 7, 4)], outputs=2, axis=-2, num_outputs=2, opset=18),
    model("Split", [(1, 7, 4)], outputs=2, axis=1, split=[3, 4], opset=11),
    model("Expand", [(1, 3, 1)], [ints(2, 1, 1, 4)]),
    model("Tile", [(1, 3, 4)], [ints(1, 2, 3)]),
    model(
        "Resize",
        [(1, 3, 4, 5)],
        [OMITTED, np.array([1, 1, 2, 3], np.float32)],
        coordinate_transformation_mode="asymmetric",
    ),
    model("Resize", [(1, 3, 4, 5)], [OMITTED, OMITTED, ints(1, 3, 8, 10)]),
    model("Resize", [(1, 3, 4, 5)], [OMITTED, np.array([1, 1, 1.5, 0.6], np.float32)]),
    model(
        "Resize", [(1, 3, 4, 5)], [OMITTED, OMITTED, ints(1, 3, 9, 7)], coordinate_transformation_mode="align_corners"
    ),
    model("Upsample", [(1, 3, 4, 5)], [np.array([1, 1, 2, 2], np.float32)], opset=9),
    model("Gather", [(1, 7, 4)], [ints(2, 0, 0)], axis=1),
    model("Gather", [(1, 7, 4)], [ints(-1).reshape(())], axis=-1),
    model("Gather", [(1, 7, 4)], [ints(1, 3, 5, 6).reshape(2, 2)], axis=1),
    model("Pad", [(1, 3, 4)], [ints(0, 1, 2, 0, 0, 3), np.float32(0.5)]),
    model("Pad", [(1, 3, 4)], [ints(1, 2), OMITTED, ints(-1)], opset=18),
    model("Pad", [(1, 3, 4)], [ints(0, 0, 2, 0, 2, 3)], mode="reflect"),
    model("Pad", [(1, 3, 4)], [ints(0, 1, 2, 0, 4, 3)], mode="edge"),
    model("Pad", [(1, 3, 4)], [ints(0, 1, 2, 0, 2, 3)], mode="wrap", opset=19),
    model("Pad", [(1, 3, 4)], pads=[0, 0, 1, 0, 1, 0], opset=9, value=0.25),
    model("DepthToSpace", [(1, 8, 3, 4)], blocksize=2),
    model("DepthToSpace", [(1, 8, 3, 4)], blocksize=2, mode="CRD"),
    model("SpaceToDepth", [(1, 3, 4, 6)], blocksize=2),
]


MATMUL = [
    model("MatMul", [(1, 4, 7), (1, 7, 5)]),
    model("MatMul", [(1, 2, 4, 7), (7, 5)]),
    model("MatMul", [(1, 3, 2, 4, 7), (1, 1, 2, 7, 5)]),
    model("MatMul", [(1, 4, 7), (7,)]),
    model("MatMul", [(7,), (1, 7, 5)]),
    model("MatMul", [(7,), (7,)]),
    model("MatMul", [(1, 4, 7)], [floats(7, 5)]),
    model("MatMul", [(1, 7)], [floats(1, 7, 5)]),
    model("MatMul", [(1, 4, 7)], [floats(7)]),
    model("MatMul", [(7,)], [floats(7, 5)]),
    model("MatMul", [(1, 7, 4)], [floats(5, 7), None]),
    model("MatMul", [(1, 7, 4)], [floats(7), None]),
    model("MatMul", [(7,)], [floats(5, 7), None]),
]

REDUCTIONS = [
    model("ReduceMean", [IMAGE], axes=[2, 3]),
    model("ReduceMean", [IMAGE], axes=[-1, -2], keepdims=0),
    model("ReduceMean", [IMAGE], axes=[1], keepdims=0),
    model("ReduceMean", [IMAGE], axes=[1, 3]),
    model("ReduceMean", [IMAGE]),
    model("ReduceMean", [(1, 5, 7)], [ints(1)], opset=18, keepdims=0),
    model("ReduceMean", [(1, 5, 7)], axes=[2]),
    model("ReduceMean", [(3, 4, 5, 2)], axes=[2, 3]),
    model("ReduceMean", [(4, 5)], axes=[0]),
    model("ReduceMean", [(4, 5)], axes=[0, 1], keepdims=0),
    model("ReduceMean", [(1, 5, 1)], axes=[0, 2], keepdims=0),
    model("ReduceSum", [(1, 5, 7)], [ints(-1)]),
    model("ReduceSum", [(1, 5, 7)], noop_with_empty_axes=1),
    model("ReduceMax", [IMAGE], axes=[1]),
    model("ReduceMin", [IMAGE], axes=[2, 3], keepdims=0),
    model("ReduceMax", [(1, 2, 3, 4, 5)], axes=[1, 2, 4]),
]


def labels(models: list[onnx.ModelProto]) -> list[str]:
    return [f"{i}_{proto.graph.node[0].op_type}" for i, proto in enumerate(models)]


@pytest.mark.parametrize("proto", ARITHMETIC, ids=labels(ARITHMETIC))
def test_arithmetic(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


@pytest.mark.parametrize("proto", POOLS, ids=labels(POOLS))
def test_pools(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


@pytest.mark.parametrize("proto", NORMALIZATION, ids=labels(NORMALIZATION))
def test_normalization(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


@pytest.mark.parametrize("proto", SOFTMAX, ids=labels(SOFTMAX))
def test_softmax(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


def test_softmax_before_opset_13_flattens(tmp_path: Path) -> None:
    """All axes from `axis` (1 unless given) on share one sum; the onnx evaluator only knows the newer meaning."""
    onnx.save(model("Softmax", [(1, 4, 5)], opset=11), tmp_path / "model.onnx")
    graph = read_onnx(tmp_path / "model.onnx")
    x = floats(1, 4, 5)
    e = np.exp(x)
    np.testing.assert_allclose(evaluate(graph, {graph.inputs[0]: x})[graph.outputs[0]], e / e.sum(), rtol=1e-5)


@pytest.mark.parametrize("proto", MOVEMENT, ids=labels(MOVEMENT))
def test_movement(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


@pytest.mark.parametrize("proto", MATMUL, ids=labels(MATMUL))
def test_matmul(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


@pytest.mark.parametrize("proto", REDUCTIONS, ids=labels(REDUCTIONS))
def test_reductions(proto: onnx.ModelProto, tmp_path: Path) -> None:
    check(proto, tmp_path)


def test_negative_pads_crop(tmp_path: Path) -> None:
    onnx.save(model("Pad", [(1, 3, 4)], [ints(0, 1, -1, 0, -1, 3)]), tmp_path / "model.onnx")
    graph = read_onnx(tmp_path / "model.onnx")
    x = floats(1, 3, 4)
    want = np.pad(x[:, :2, 1:], ((0, 0), (1, 0), (0, 3)))
    np.testing.assert_array_equal(evaluate(graph, {graph.inputs[0]: x})[graph.outputs[0]], want)


REFUSED = [
    (model("LogSoftmax", [(1, 10)]), "--outputs"),
    (model("MaxPool", [IMAGE], kernel_shape=[2, 2], outputs=2), "indices"),
    (model("BatchNormalization", [IMAGE, (3,)], [None, floats(3), None, floats(3), floats(3)]), "constant"),
    (model("Div", [(1, 4)], [np.zeros(1, np.float32)]), "zero"),
    (model("Conv", [(3, 2, 6, 6)], [floats(4, 2, 3, 3)]), "a batch of 3 images"),
]


@pytest.mark.parametrize(("proto", "word"), REFUSED, ids=labels([proto for proto, _ in REFUSED]))
def test_refusals_say_why(proto: onnx.ModelProto, word: str, tmp_path: Path) -> None:
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModel, match="node 'n'") as caught:
        read_onnx(tmp_path / "model.onnx")
    assert word in str(caught.value)

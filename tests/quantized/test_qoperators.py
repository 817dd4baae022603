"""Operators on integers against onnxruntime: no calibration, and every result within one step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from onnx_models import Model, load, prove, quantize, run_onnxruntime, steps_apart

from mcugen.quantize.imported import import_notes

MICROSOFT = "com.microsoft"
Array = np.ndarray[Any, Any]


def integers(shape: tuple[int, ...], dtype: str, seed: int, low: int | None = None, high: int | None = None) -> Array:
    """Random integers over the type's range; the first two are its ends."""
    info = np.iinfo(dtype)
    low, high = (info.min if low is None else low), (info.max if high is None else high)
    data = np.random.default_rng(seed).integers(low, high + 1, shape).astype(dtype)
    data.reshape(-1)[:2] = low, high
    return data


def conv(x: str, w: str, *, x_zero: int, w_zero: Any, y_zero: int, channels: bool = False) -> Model:
    model = Model((1, 3, 7, 6), x)
    scale = [0.02, 0.01, 0.005, 0.03] if channels else 0.01
    weights = model.constant(integers((4, 3, 3, 3), w, 1), w)
    x_params = model.params(0.05, x_zero, x)
    w_params = model.params(scale, w_zero, w)
    bias = model.constant([1000, -500, 30, 0], "int32")
    inputs = ["x", *x_params, weights, *w_params, *model.params(0.11, y_zero, x), bias]
    model.node("QLinearConv", inputs, "y", pads=[1, 1, 1, 1], strides=[1, 2])
    return model


def matmul(x: str, w: str, w_zero: int, y_zero: int) -> Model:
    model = Model((1, 33), x)
    weights = model.constant(integers((33, 5), w, 2), w)
    inputs = ["x", *model.params(0.05, 3, x), weights, *model.params(0.01, w_zero, w), *model.params(0.2, y_zero, x)]
    model.node("QLinearMatMul", inputs, "y")
    return model


def gemm(x: str) -> Model:
    model = Model((1, 20), x)
    weights = model.constant(integers((6, 20), "int8", 3, -127), "int8")
    bias = model.constant([100, -2000, 5, 7, 1, 0], "int32")
    w_params = model.params(np.linspace(0.01, 0.02, 6), np.zeros(6), "int8")
    inputs = ["x", *model.params(0.04, 7, x), weights, *w_params, bias, *model.params(0.15, 9, x)]
    model.node("QGemm", inputs, "y", domain=MICROSOFT, transB=1)
    return model


def two(op: str, x: str) -> Model:
    model = Model((1, 4, 5, 3), x)
    second = model.constant(integers((1, 4, 5, 3), x, 4), x)
    moved = model.node("Transpose", ["x"], perm=[0, 1, 2, 3])
    inputs = [moved, *model.params(0.03, 5, x), second, *model.params(0.02, 11, x), *model.params(0.06, 20, x)]
    model.node(op, inputs, "y", domain=MICROSOFT)
    return model


def one(op: str, x: str, y_scale: float, y_zero: int, **attrs: Any) -> Model:
    model = Model((1, 3, 6, 6), x)
    inputs = ["x", *model.params(0.04, 10, x), *model.params(y_scale, y_zero, x)]
    model.node(op, inputs, "y", domain=MICROSOFT, **attrs)
    return model


def concat(x: str) -> Model:
    model = Model((1, 3, 4, 4), x)
    x_params = model.params(0.04, 10, x)
    pooled = model.node(
        "QLinearAveragePool", ["x", *x_params, *model.params(0.03, 2, x)], domain=MICROSOFT,
        kernel_shape=[3, 3], pads=[1, 1, 1, 1],
    )  # fmt: skip
    inputs = [*model.params(0.05, 4, x), "x", *x_params, pooled, *model.params(0.03, 2, x)]
    model.node("QLinearConcat", inputs, "y", domain=MICROSOFT, axis=1)
    return model


BUILD: dict[str, tuple[str, Callable[[], Model]]] = {
    "conv_int8": ("int8", lambda: conv("int8", "int8", x_zero=-128, w_zero=0, y_zero=-128)),
    "conv_end": ("int8", lambda: conv("int8", "int8", x_zero=127, w_zero=0, y_zero=127)),
    "conv_channels": ("int8", lambda: conv("int8", "int8", x_zero=4, w_zero=[0] * 4, y_zero=-7, channels=True)),
    "conv_uint8": ("uint8", lambda: conv("uint8", "uint8", x_zero=128, w_zero=120, y_zero=100)),
    "conv_uint8_ends": ("uint8", lambda: conv("uint8", "uint8", x_zero=0, w_zero=255, y_zero=255)),
    "conv_mixed": ("uint8", lambda: conv("uint8", "int8", x_zero=3, w_zero=0, y_zero=0)),
    "matmul_int8": ("int8", lambda: matmul("int8", "int8", 0, -5)),
    "matmul_uint8": ("uint8", lambda: matmul("uint8", "uint8", 77, 130)),
    "gemm_int8": ("int8", lambda: gemm("int8")),
    "gemm_uint8": ("uint8", lambda: gemm("uint8")),
    "add_int8": ("int8", lambda: two("QLinearAdd", "int8")),
    "add_uint8": ("uint8", lambda: two("QLinearAdd", "uint8")),
    "mul_int8": ("int8", lambda: two("QLinearMul", "int8")),
    "mul_uint8": ("uint8", lambda: two("QLinearMul", "uint8")),
    "average": ("uint8", lambda: one("QLinearAveragePool", "uint8", 0.03, 2, kernel_shape=[2, 2], strides=[2, 2])),
    "global_average": ("int8", lambda: one("QLinearGlobalAveragePool", "int8", 0.02, -4)),
    "sigmoid": ("uint8", lambda: one("QLinearSigmoid", "uint8", 1 / 256, 0)),
    "leaky": ("int8", lambda: one("QLinearLeakyRelu", "int8", 0.03, -60, alpha=0.1)),
    "softmax": ("uint8", lambda: one("QLinearSoftmax", "uint8", 1 / 256, 0, axis=-1, opset=13)),
    "concat_uint8": ("uint8", lambda: concat("uint8")),
    "concat_int8": ("int8", lambda: concat("int8")),
}


@pytest.mark.parametrize("case", BUILD)
def test_qoperator_is_within_a_step_of_onnxruntime(case: str, tmp_path: Path) -> None:
    dtype, build = BUILD[case]
    model = build()
    path = model.save(tmp_path / "m.onnx", dtype)
    graph = load(path)
    assert import_notes(graph) == [], "nothing is left to calibrate"
    x = integers((24, *model.shape[1:]), dtype, 9)
    assert steps_apart(quantize(graph), x, run_onnxruntime(path, x)) <= 1


@pytest.mark.parametrize(
    "case", ["conv_uint8", "conv_uint8_ends", "conv_int8", "matmul_uint8", "gemm_uint8", "add_uint8", "concat_int8"]
)
def test_qoperator_in_c_equals_the_reference(case: str, tmp_path: Path) -> None:
    dtype, build = BUILD[case]
    prove(quantize(load(build().save(tmp_path / "m.onnx", dtype))), tmp_path)


def test_depthwise_weights_with_zero_points(tmp_path: Path) -> None:
    model = Model((1, 4, 6, 5), "uint8")
    weights = model.constant(integers((8, 1, 3, 3), "uint8", 6), "uint8")
    w_params = model.params(np.linspace(0.01, 0.02, 8), [0, 255, 128, 7, 100, 200, 1, 254], "uint8")
    inputs = ["x", *model.params(0.05, 9, "uint8"), weights, *w_params, *model.params(0.2, 100, "uint8")]
    model.node("QLinearConv", inputs, "y", group=4, pads=[1, 1, 1, 1])
    path = model.save(tmp_path / "m.onnx", "uint8")
    quantized = quantize(load(path))
    x = integers((16, 4, 6, 5), "uint8", 1)
    assert [n.op for n in quantized.graph.nodes if n.op.endswith("conv2d")] == ["depthwise_conv2d"]
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= 1
    prove(quantized, tmp_path)


def integer_sum(op: str, dynamic: bool) -> Model:
    shape, weights = ((1, 3, 6, 6), (4, 3, 3, 3)) if op == "ConvInteger" else ((1, 21), (21, 6))
    model = Model(shape)
    w = model.constant(integers(weights, "int8", 5), "int8")
    if dynamic:
        model.nodes.append(onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"]))
        q, scale, zero = "q", "q_scale", "q_zero"
    else:
        scale, zero = model.params(0.02, 120, "uint8")
        q = model.node("QuantizeLinear", ["x", scale, zero])
    total = model.node(
        "Cast", [model.node(op, [q, w, zero, *model.params(1, 0, "int8")[1:]])], to=onnx.TensorProto.FLOAT
    )
    product = model.node("Mul", [scale, model.constant(0.01, "float32")])
    model.node("Mul", [total, product], "y")
    return model


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("op", ["ConvInteger", "MatMulInteger"])
def test_sums_of_integers_keep_their_weights(op: str, dynamic: bool, tmp_path: Path) -> None:
    model = integer_sum(op, dynamic)
    path = model.save(tmp_path / "m.onnx")
    graph = load(path)
    x = np.random.default_rng(2).uniform(-2, 2, (64, *model.shape[1:])).astype(np.float32)
    quantized = quantize(graph, {"x": x})
    assert any("calibrated" in note for note in quantized.notes) and not any(
        "weights" in note for note in quantized.notes
    )
    layer = next(n for n in quantized.graph.nodes if n.op in ("conv2d", "fully_connected"))
    stored = np.sort(quantized.graph.constant(layer.inputs[1]).reshape(-1))
    assert np.array_equal(stored, np.sort(integers((stored.size,), "int8", 5)))
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= 2

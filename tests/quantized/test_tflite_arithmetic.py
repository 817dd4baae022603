"""TensorFlow Lite's arithmetic: every function against its definition in plain integers, and whole models in C."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from onnx_models import Model, load, prove

from mcugen import tflite_arithmetic as tflite
from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import canonical, quantize

Array = np.ndarray[Any, Any]
INT32 = st.integers(-(2**31) + 1, 2**31 - 1)


def towards_zero(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


@given(INT32, INT32)
def test_high_multiply(a: int, b: int) -> None:
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    assert int(tflite.high_multiply(a, b)) == towards_zero(a * b + nudge, 2**31)


@given(INT32, st.integers(0, 31))
def test_divide_by_power_rounds_ties_away_from_zero(x: int, exponent: int) -> None:
    magnitude = (2 * abs(x) + 2**exponent) // 2 ** (exponent + 1)
    assert int(tflite.divide_by_power(np.int64(x), exponent)) == (magnitude if x >= 0 else -magnitude)


@given(st.floats(1e-9, 1e5))
def test_multiplier_is_normalized_and_near_its_scale(scale: float) -> None:
    (multiplier,), (exponent,) = tflite.quantize_multiplier(scale)
    assert 2**30 <= int(multiplier) < 2**31
    assert abs(int(multiplier) * 2.0 ** (int(exponent) - 31) / scale - 1) < 2**-30


def test_multiplier_of_a_scale_that_is_too_small_is_zero() -> None:
    assert [int(v[0]) for v in tflite.quantize_multiplier(1e-30)] == [0, 0]


@given(st.integers(-(10**6), 10**6), st.integers(1, 500))
def test_average_rounds_ties_away_from_zero(total: int, count: int) -> None:
    wanted = towards_zero(total + count // 2 if total > 0 else total - count // 2, count)
    assert int(tflite.rounded_average(np.int64(total), count)) == wanted


def test_exponential_and_reciprocal_are_near_the_real_functions() -> None:
    x = -np.concatenate([np.arange(2000), np.linspace(2000, 2**31 - 1, 4000)]).astype(np.int64)
    real = tflite.exp_on_negative(x) / 2.0**31
    assert np.abs(real - np.exp(x / 2.0**26)).max() < 1e-6
    a = np.linspace(0, 2**31 - 1, 4001).astype(np.int64)
    assert np.abs(tflite.one_over_one_plus(a) / 2.0**31 - 1 / (1 + a / 2.0**31)).max() < 1e-6


@pytest.mark.parametrize("scale", [0.004, 0.05, 0.3, 2.0])
def test_softmax_is_within_a_step_of_the_real_one(scale: float) -> None:
    q = np.random.default_rng(0).integers(-128, 128, (200, 12)).astype(np.int8)
    e = np.exp((q - q.max(axis=1, keepdims=True).astype(np.float64)) * scale)
    wanted = np.clip(e / e.sum(axis=1, keepdims=True) * 256 - 128, -128, 127)
    assert np.abs(tflite.softmax(q, *tflite.softmax_parameters(scale)) - wanted).max() <= 1


def network() -> Graph:
    rng = np.random.default_rng(3)
    builder = GraphBuilder("network")
    window: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1)}
    x = builder.input("x", (1, 6, 6, 3))
    w = [builder.constant(rng.normal(size=shape), "w") for shape in ((4, 3, 3, 3), (4, 3, 3, 1), (5, 4))]
    b = [builder.constant(rng.normal(size=size), "b") for size in (4, 4, 5)]
    first = builder.emit("conv2d", [x, w[0], b[0]], groups=1, clip_min=0.0, **window)
    second = builder.emit("depthwise_conv2d", [first, w[1], b[1]], **window)
    total = builder.emit("add", [first, second], subtract=False, clip_min=0.0)
    pool: dict[str, Any] = {"dilations": (1, 1), "pads": (0, 0, 0, 0)}
    highest = builder.emit("max_pool2d", [total], kernel=(2, 2), strides=(2, 2), minimum=False, **pool)
    whole = {"kernel": (3, 3), "strides": (1, 1), "count_pads": (0, 0, 0, 0), "divide": True}
    mean = builder.emit("average_pool2d", [highest], **whole, **pool)
    logits = builder.emit("fully_connected", [builder.emit("reshape", [mean], shape=(1, 4)), w[2], b[2]])
    return builder.output(builder.emit("softmax", [logits]))


def test_a_float_model_takes_the_arithmetic_as_well(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).normal(size=(32, 6, 6, 3)).astype(np.float32)
    quantized = quantize(canonical(network()), {"x": samples}, effort="fast", arithmetic="tflite")
    names = {node.op for node in quantized.graph.nodes}
    assert names == {
        "tflite_conv2d", "tflite_depthwise_conv2d", "tflite_add", "max_pool2d", "tflite_average_pool2d", "reshape",
        "tflite_fully_connected", "tflite_softmax",
    }  # fmt: skip
    prove(quantized, tmp_path)


def test_operators_without_known_integers_are_named(tmp_path: Path) -> None:
    model = Model((1, 8))
    model.node("HardSwish", ["x"], "y")
    graph = load(model.save(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedModel, match="'n0' \\(table\\)"):
        quantize(graph, {"x": np.ones((4, 8), np.float32)}, arithmetic="tflite")


def test_a_change_of_parameters_and_a_lone_relu_are_tables(tmp_path: Path) -> None:
    model = Model((1, 30))
    x = model.params(0.02, 4, "int8")
    y = model.params(0.05, -100, "int8")
    real = model.node("DequantizeLinear", [model.node("QuantizeLinear", ["x", *x]), *x])
    between = model.node("DequantizeLinear", [model.node("QuantizeLinear", [real, *y]), *y])
    z = model.params(0.03, -128, "int8")
    model.node("DequantizeLinear", [model.node("QuantizeLinear", [model.node("Relu", [between]), *z]), *z], "y")
    quantized = quantize(load(model.save(tmp_path / "m.onnx")), arithmetic="tflite")
    assert [node.op for node in quantized.graph.nodes] == ["table", "table"]
    first, second = (quantized.graph.constant(node.inputs[1]) for node in quantized.graph.nodes)
    q = np.arange(-128, 128)
    # 0.4 = 0.8 / 2: the product by 0.8 is rounded, and its half again
    assert np.abs(first - np.clip((q - 4) * 0.4 - 100, -128, 127)).max() <= 0.75
    assert np.abs(second - np.clip(np.maximum((q + 100) * 5 / 3, 0) - 128, -128, 127)).max() <= 0.5 + 1e-6

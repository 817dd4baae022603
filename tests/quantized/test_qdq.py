"""QuantizeLinear and DequantizeLinear around float operators: parameters and integers are kept, nothing is calibrated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from onnx_models import Model, load, prove, quantize, run_onnxruntime, steps_apart

import mcugen
from mcugen.errors import UnsupportedModel
from mcugen.evaluation import quantize_input
from mcugen.execute import evaluate, reference
from mcugen.quantize.imported import import_notes, open_tensors
from mcugen.sqnr import sqnr_db

Array = np.ndarray[Any, Any]


def fake(model: Model, name: str, scale: float, zero_point: int, dtype: str, output: str = "") -> str:
    params = model.params(scale, zero_point, dtype)
    return model.node("DequantizeLinear", [model.node("QuantizeLinear", [name, *params]), *params], output)


def weights(model: Model, shape: tuple[int, ...], scale: Any, dtype: str = "int8", axis: int = 0) -> str:
    info = np.iinfo(dtype)
    data = np.random.default_rng(1).integers(info.min + 1, info.max + 1, shape)
    zero_point = np.zeros(np.shape(scale)) if dtype == "int8" else np.full(np.shape(scale), 128)
    return model.node(
        "DequantizeLinear", [model.constant(data, dtype), *model.params(scale, zero_point, dtype)], axis=axis
    )


def conv_relu(dtype: str, zero_point: int, *, channels: bool, output_zero: int) -> Model:
    """Conv, Relu and MaxPool: the pool's output has the parameters that the Relu's output must take."""
    model = Model((1, 3, 8, 8))
    x = fake(model, "x", 0.03, zero_point, dtype)
    scale = [0.02, 0.01, 0.005, 0.03] if channels else 0.01
    bias_scale = np.float32(0.03) * np.asarray(scale, np.float32)
    bias = [model.constant([500, -700, 3, 0], "int32"), *model.params(bias_scale, np.zeros(np.shape(scale)), "int32")]
    conv = model.node(
        "Conv",
        [x, weights(model, (4, 3, 3, 3), scale), model.node("DequantizeLinear", bias, axis=0)],
        pads=[1, 1, 1, 1],
    )
    pool = model.node("MaxPool", [model.node("Relu", [conv])], kernel_shape=[2, 2], strides=[2, 2])
    fake(model, pool, 0.05, output_zero, dtype, "y")
    return model


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(
    ("dtype", "zero_point", "output_zero"),
    [
        ("int8", -128, -128),
        ("int8", 127, -100),
        ("int8", 5, 0),
        ("uint8", 0, 0),
        ("uint8", 255, 30),
        ("uint8", 130, 128),
    ],
)
def test_convolution(dtype: str, zero_point: int, output_zero: int, channels: bool, tmp_path: Path) -> None:
    path = conv_relu(dtype, zero_point, channels=channels, output_zero=output_zero).save(tmp_path / "m.onnx")
    graph = load(path)
    assert import_notes(graph) == []
    x = np.random.default_rng(0).uniform(-5, 5, (16, 3, 8, 8)).astype(np.float32)
    quantized = quantize(graph)
    assert [n.op for n in quantized.graph.nodes if n.op == "table"] == []
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= 1
    quant = quantized.graph.tensors["y"].quant
    assert quant is not None
    shift = 128 if dtype == "uint8" else 0
    assert (float(quant.scale), int(quant.zero_point)) == (float(np.float32(0.05)), output_zero - shift)


def test_weights_of_minus_128_run_in_c(tmp_path: Path) -> None:
    model = Model((1, 40))
    w = model.node("DequantizeLinear", [model.constant(np.full((40, 6), -128), "int8"), *model.params(0.01, 0, "int8")])
    fake(model, model.node("MatMul", [fake(model, "x", 0.02, 1, "int8"), w]), 0.5, 3, "int8", "y")
    quantized = quantize(load(model.save(tmp_path / "m.onnx")))
    layer = next(n for n in quantized.graph.nodes if n.op == "fully_connected")
    assert np.all(quantized.graph.constant(layer.inputs[1]) == -128)
    prove(quantized, tmp_path)


def test_transposed_weights_keep_their_integers(tmp_path: Path) -> None:
    model = Model((1, 12))
    scale = np.linspace(0.01, 0.03, 7)
    turned = model.node("Transpose", [weights(model, (7, 12), scale)], perm=[1, 0])
    fake(model, model.node("MatMul", [fake(model, "x", 0.02, -3, "int8"), turned]), 0.06, 3, "int8", "y")
    path = model.save(tmp_path / "m.onnx")
    graph = load(path)
    assert import_notes(graph) == []
    x = np.random.default_rng(0).uniform(-3, 3, (16, 12)).astype(np.float32)
    assert steps_apart(quantize(graph), x, run_onnxruntime(path, x)) <= 1


def test_what_the_model_leaves_open_is_calibrated_and_said(tmp_path: Path) -> None:
    model = Model((1, 12))
    first = model.node("MatMul", [fake(model, "x", 0.02, -3, "int8"), weights(model, (12, 9), 0.01)])
    float_weights = model.constant(np.random.default_rng(3).normal(size=(9, 5)), "float32")
    fake(model, model.node("MatMul", [model.node("HardSwish", [first]), float_weights]), 0.1, 0, "int8", "y")
    path = model.save(tmp_path / "m.onnx")
    graph = load(path)
    x = np.random.default_rng(0).uniform(-2, 2, (128, 12)).astype(np.float32)
    quantized = quantize(graph, {"x": x})
    assert len(open_tensors(graph)) == 2
    assert any("2 tensors" in note for note in quantized.notes)
    assert any("1 layers" in note for note in quantized.notes)
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= 4
    assert quantize(graph).synthetic, "without samples the open ranges are guesses"


def test_integer_input_that_is_never_dequantized(tmp_path: Path) -> None:
    model = Model((1, 2, 4, 4), "int8")
    model.node("MaxPool", ["x"], "y", kernel_shape=[2, 2])
    with pytest.raises(UnsupportedModel, match="never dequantized"):
        load(model.save(tmp_path / "m.onnx", "int8"))


def test_integers_dequantized_with_other_parameters(tmp_path: Path) -> None:
    model = Model((1, 8))
    q = model.node("QuantizeLinear", ["x", *model.params(0.1, 0, "int8")])
    model.node("DequantizeLinear", [q, *model.params(0.2, 0, "int8")], "y")
    with pytest.raises(UnsupportedModel, match="another scale"):
        load(model.save(tmp_path / "m.onnx"))


def test_change_of_parameters_is_one_table(tmp_path: Path) -> None:
    model = Model((1, 30))
    fake(model, fake(model, "x", 0.02, 0, "int8"), 0.05, 10, "int8", "y")
    path = model.save(tmp_path / "m.onnx")
    quantized = quantize(load(path))
    assert [n.op for n in quantized.graph.nodes] == ["table"]
    x = np.random.default_rng(0).uniform(-3, 3, (16, 30)).astype(np.float32)
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= 1


@pytest.mark.parametrize(("op", "domain"), [("QLinearAdd", "com.microsoft"), ("QLinearConcat", "com.microsoft")])
def test_malformed_operators_on_integers_are_refused(op: str, domain: str, tmp_path: Path) -> None:
    model = Model((1, 8), "int8")
    model.node(op, ["x"], "y", domain=domain)
    with pytest.raises(UnsupportedModel, match="malformed"):
        load(model.save(tmp_path / "m.onnx", "int8"))


@pytest.mark.parametrize(
    ("scale", "dtype", "reason"),
    [(0.1, "int16", "int16"), ([0.1] * 8, "int8", "each channel"), (0.0, "int8", "scale 0")],
)
def test_parameters_that_no_activation_can_have(scale: Any, dtype: str, reason: str, tmp_path: Path) -> None:
    model = Model((1, 8))
    params = [model.constant(scale, "float32"), model.constant(np.zeros(np.shape(scale)), dtype)]
    model.node("DequantizeLinear", [model.node("QuantizeLinear", ["x", *params]), *params], "y")
    with pytest.raises(UnsupportedModel, match=reason):
        load(model.save(tmp_path / "m.onnx", opset=21))


def test_two_sets_of_parameters_on_one_tensor(tmp_path: Path) -> None:
    model = Model((1, 8))
    branches = [fake(model, "x", 0.1, 0, "int8"), fake(model, "x", 0.05, 3, "int8")]
    fake(model, model.node("Add", branches), 0.2, 0, "int8", "y")
    path = model.save(tmp_path / "m.onnx")
    quantized = quantize(load(path))
    assert sorted(n.op for n in quantized.graph.nodes) == ["add", "table"]
    x = np.random.default_rng(0).uniform(-5, 5, (64, 8)).astype(np.float32)
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= 1


def relu_by_saturation(channels: bool) -> Model:
    """Two convolutions with the Relu between them left out, as quantizers write it: integers end at zero anyway."""
    model = Model((1, 3, 8, 8))
    x = fake(model, "x", 0.03, 5, "int8")
    for index, (shape, output) in enumerate([((4, 3, 3, 3), ""), ((6, 4, 3, 3), "y")]):
        scale = np.full(shape[0], 0.01, np.float32) if channels else 0.01
        sums = model.node("Conv", [x, weights(model, shape, scale)], pads=[1, 1, 1, 1])
        x = fake(model, sums, 0.1 if index == 0 else 0.5, -128 if index == 0 else 0, "int8", output)
    return model


def test_a_relu_done_by_saturation_is_in_the_float_model_too(tmp_path: Path) -> None:
    graph = load(relu_by_saturation(False).save(tmp_path / "m.onnx"))
    x = np.random.default_rng(0).uniform(-3, 3, (12, 3, 8, 8)).astype(np.float32)
    quantized = quantize(graph)
    integers = reference(quantized.graph, {"x": quantize_input(quantized.graph, "x", x)})["y"]
    quant = quantized.graph.tensors["y"].quant
    assert quant is not None
    assert sqnr_db(evaluate(quantized.float_graph, {"x": x})["y"], quant.dequantize(integers)) > 30


@pytest.mark.parametrize("channels", [False, True])
def test_channels_are_pruned_with_the_scales_that_the_model_names(channels: bool, tmp_path: Path) -> None:
    graph = load(relu_by_saturation(channels).save(tmp_path / "m.onnx"))
    pruned = mcugen.prune(graph, channels=0.5)
    quantized = mcugen.quantize(pruned)
    layers = [node.inputs[1] for node in quantized.graph.nodes if node.op == "conv2d"]
    assert [quantized.graph.tensors[weight].shape[::3] for weight in layers] == [(2, 3), (6, 2)]

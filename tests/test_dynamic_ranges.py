"""`--activations dynamic`: what becomes dynamic, what that is worth, and the C interface."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

import mcugen
from mcugen.errors import McugenError
from mcugen.execute import evaluate, reference
from mcugen.graph import DYNAMIC, Graph
from mcugen.layer_fidelity import study_layers
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import binary_scale
from mcugen.pipeline import Quantized, compile_model, load, quantize
from mcugen.run.toolchain import find_host_compiler
from mcugen.sqnr import sqnr_db

RNG = np.random.default_rng(11)


def mlp() -> Graph:
    """24 -> 40 -> 40 -> 6, with Relu between."""
    rng = np.random.default_rng(5)
    builder = GraphBuilder("mlp")
    x = builder.input("x", (1, 24))
    for depth, out, attrs in ((24, 40, {"clip_min": 0.0}), (40, 40, {"clip_min": 0.0}), (40, 6, {})):
        weights = builder.constant(rng.normal(size=(out, depth)) / np.sqrt(depth), "w")
        x = builder.emit("fully_connected", [x, weights, builder.constant(rng.normal(size=out) * 0.1, "b")], **attrs)
    return builder.output(x)


def convolutional() -> Graph:
    """A convolution, a pooled vector, two fully connected layers, softmax; the input is also an output's source."""
    rng = np.random.default_rng(6)
    builder = GraphBuilder("net")
    x = builder.input("x", (1, 6, 6, 2))
    weights = builder.constant(rng.normal(size=(4, 3, 3, 2)) * 0.3, "w")
    window = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0), "groups": 1}
    y = builder.emit("conv2d", [x, weights, builder.constant(rng.normal(size=4) * 0.1)], clip_min=0.0, **window)
    y = builder.emit("reshape", [y], shape=(1, 64))
    for depth, out in ((64, 20), (20, 5)):
        y = builder.emit("fully_connected", [y, builder.constant(rng.normal(size=(out, depth)) * 0.2, "w")])
    return builder.output(builder.emit("softmax", [y], axis=-1))


def sqnr(quantized: Quantized, graph: Graph, x: np.ndarray) -> float:
    integer = quantized.graph
    quant_in, quant_out = (integer.tensors[name].quant for name in (graph.inputs[0], graph.outputs[0]))
    assert quant_in is not None and quant_out is not None
    got = reference(integer, {graph.inputs[0]: quant_in.quantize(x)})[graph.outputs[0]]
    wanted = evaluate(graph, {graph.inputs[0]: x})[graph.outputs[0]]
    return sqnr_db(wanted, quant_out.dequantize(got).reshape(wanted.shape))


def test_without_samples_small_and_large_inputs_keep_their_precision() -> None:
    graph = mlp()
    x = RNG.normal(size=(64, 24)).astype(np.float32)
    dynamic = quantize(graph, activations="dynamic")
    assert {node.op for node in dynamic.graph.nodes} == {"dynamic_fully_connected"}
    assert not dynamic.synthetic and not dynamic.notes
    static = quantize(graph, {"x": x})
    assert sqnr(dynamic, graph, x) > 35
    for factor in (0.02, 50.0):
        assert sqnr(dynamic, graph, factor * x) > 35
        assert sqnr(dynamic, graph, factor * x) > sqnr(static, graph, factor * x) + 15


def test_other_layers_keep_calibrated_ranges_and_are_named(tmp_path: Path) -> None:
    graph = convolutional()
    x = RNG.normal(size=(48, 6, 6, 2)).astype(np.float32)
    quantized = quantize(graph, {"x": x[:32]}, activations="dynamic")
    assert [node.op for node in quantized.graph.nodes] == [
        *(
            "conv2d",
            "reshape",
            "to_dynamic",
            "dynamic_fully_connected",
            "dynamic_fully_connected",
            "from_dynamic",
            "softmax",
        )
    ]
    assert quantized.notes[0].startswith("layers that keep calibrated ranges: conv2d")
    assert quantized.graph.tensors["x"].quant != DYNAMIC
    assert sqnr(quantized, graph, x[32:]) > 25
    package = compile_model(quantized).write(tmp_path / "net")
    assert mcugen.verify(package).outputs_compared > 0
    assert package.report["dynamic_ranges"]["dynamic"] == ["fully_connected", "fully_connected_1"]


def test_every_layer_can_be_studied() -> None:
    quantized = quantize(mlp(), activations="dynamic")
    study = study_layers(quantized.float_graph, quantized.graph, quantized.channels, {"x": RNG.normal(size=(8, 24))})
    assert all(layer.accumulated_db is not None and layer.accumulated_db > 35 for layer in study.layers)
    assert {layer.saturated for layer in study.layers} == {0.0}


def test_layers_beside_conversions_can_be_studied() -> None:
    x = RNG.normal(size=(40, 6, 6, 2)).astype(np.float32)
    quantized = quantize(convolutional(), {"x": x[:32]}, activations="dynamic")
    study = study_layers(quantized.float_graph, quantized.graph, quantized.channels, {"x": x[32:]})
    assert [layer.op for layer in study.layers] == [
        *("input", "conv2d", "dynamic_fully_connected", "dynamic_fully_connected", "softmax")
    ]
    assert all(layer.accumulated_db is not None and layer.accumulated_db > 25 for layer in study.layers)


def test_what_cannot_be_dynamic_is_refused() -> None:
    builder = GraphBuilder("pool")
    graph = builder.output(builder.emit("softmax", [builder.input("x", (1, 9))], axis=-1))
    with pytest.raises(McugenError, match="no layer can find its ranges at run time"):
        quantize(graph, activations="dynamic")
    with pytest.raises(McugenError, match="'dynamic' are int8"):
        mcugen.quantize(mlp(), activations="dynamic", precision="int16")
    with pytest.raises(McugenError, match="'dynamic' are int8"):
        mcugen.quantize(mlp(), activations="dynamic", arithmetic="tflite")


def test_values_and_their_integers() -> None:
    real = np.array([[0.0, 0.0], [-3.0, 1.0], [1e-5, 2e-5], [1e30, -1e30], [5.0, 255.0]], np.float32)
    held = DYNAMIC.quantize(real)
    np.testing.assert_array_equal(held[4], [-128 + 5, 127, 0, -128])
    back = DYNAMIC.dequantize(held)
    step = 2.0 ** held[:, 2].astype(np.float64)
    assert np.all(np.abs(back - real).max(axis=1) <= step / 2)
    assert np.all(step[1:] < 2 * 256 / 255 * (np.ptp(np.c_[real, np.zeros(5)], axis=1) / 255)[1:])
    for scale in (1.0, 0.3, 1e-9, 77.7, 2.0**-20 * (1 - 2.0**-20)):
        mantissa, exponent = binary_scale(scale)
        assert 1 << 14 <= mantissa < 1 << 15
        assert abs(mantissa * 2.0**exponent / scale - 1) <= 2.0**-15


def test_a_dynamically_quantized_model_keeps_its_weights_and_needs_no_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    values = {"w1": (24, 32), "b1": (32,), "w2": (32, 5), "b2": (5,)}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w1"], ["m1"]),
            helper.make_node("Add", ["m1", "b1"], ["a1"]),
            helper.make_node("Relu", ["a1"], ["r1"]),
            helper.make_node("MatMul", ["r1", "w2"], ["m2"]),
            helper.make_node("Add", ["m2", "b2"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 24))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 5))],
        [numpy_helper.from_array((rng.normal(size=s) * 0.3).astype(np.float32), n) for n, s in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "dynamic.onnx")
    loaded = load(tmp_path / "dynamic.onnx")
    quantized = quantize(loaded, activations="dynamic")
    assert [n.op for n in quantized.graph.nodes] == ["dynamic_fully_connected", "dynamic_fully_connected"]
    assert not quantized.synthetic
    x = rng.normal(size=(16, 1, 24)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "dynamic.onnx")
    wanted = np.concatenate([session.run(None, {"x": sample})[0] for sample in x])
    got = DYNAMIC.dequantize(reference(quantized.graph, {"x": DYNAMIC.quantize(x[:, 0])})[loaded.outputs[0]])
    assert sqnr_db(wanted, got) > 30


MAIN = """
#include <stdio.h>
#include "mlp.h"
static struct mlp_arena arena;
static const float values[MLP_INPUT_VALUES] = {%s};
int main(void)
{
    float real[MLP_OUTPUT_VALUES];
    mlp_quantize_input(values, mlp_input(&arena));
    const int result = mlp_run(&arena);
    mlp_dequantize_output(mlp_output(&arena), real);
    for (int i = 0; i < MLP_OUTPUT_VALUES; ++i) {
        printf("%%.9g ", (double)real[i]);
    }
    return result;
}
"""


@pytest.mark.parametrize("factor", [0.0, 1e-6, 1.0, 4e7])
def test_the_headers_helpers_take_and_give_real_values(factor: float, tmp_path: Path) -> None:
    graph = mlp()
    x = (np.random.default_rng(9).normal(size=(1, 24)) * factor).astype(np.float32)
    package = compile_model(quantize(graph, activations="dynamic")).write(tmp_path / "mlp")
    source = tmp_path / "main.c"
    source.write_text(
        MAIN % ", ".join(f"{v:.9g}" + ("f" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else ".0f") for v in x[0])
    )
    program = tmp_path / "main"
    subprocess.run(
        [
            *(*find_host_compiler().command, "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"),
            *(f"-I{folder}" for folder in package.includes),
            *map(str, package.sources),
            *(str(source), "-o", str(program)),
        ],
        check=True,
    )
    printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    wanted = evaluate(graph, {"x": x})[graph.outputs[0]][0]
    assert np.abs(np.array(printed.split(), float) - wanted).max() < 0.03 * np.abs(wanted).max()


def test_the_command_line_builds_without_calibration(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights = numpy_helper.from_array(rng.normal(size=(12, 4)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="fc")],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 12))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 4))],
        [weights],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(9, 12)).astype(np.float32))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mcugen", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    built = run("build", "m.onnx", "-o", "out", "--activations", "dynamic", "--json")
    record = json.loads(built.stdout)
    assert built.stderr == "" and record["verified"] and record["options"]["activations"] == "dynamic"
    assert record["inputs"][0]["dynamic"] and record["inputs"][0]["shape"] == [1, 14]
    result = json.loads(run("evaluate", "out", "--data", "data.npz", "--layers", "--json").stdout)
    assert result["sqnr_db"] > 35
    assert "dynamic" in run("inspect", "out").stdout
    assert json.loads(run("simulate", "out", "--target", "cortex-m0", "--json").stdout)["bit_exact"]
    run("run", "out", "--inputs", "data.npz", "--outputs", "given.npz")
    with np.load(tmp_path / "data.npz") as data, np.load(tmp_path / "given.npz") as given:
        assert sqnr_db(data["x"] @ numpy_helper.to_array(weights), given["y"]) > 35

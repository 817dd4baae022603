"""Small quantized ONNX models, and what onnxruntime makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from mcugen.execute import reference
from mcugen.graph import Graph
from mcugen.onnx_reader import read_onnx
from mcugen.pipeline import Quantized, canonical, compile_model, quantize
from mcugen.verification import on_host, verification_vectors, verify_package

Array = np.ndarray[Any, Any]
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


class Model:
    """Nodes and constants of a model with one input `x` and one output `y`."""

    def __init__(self, shape: tuple[int, ...], dtype: str = "float32") -> None:
        self.shape, self.dtype = shape, dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, data: Any, dtype: str) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data, dtype), name))
        return name

    def params(self, scale: Any, zero_point: Any, dtype: str) -> list[str]:
        return [self.constant(scale, "float32"), self.constant(zero_point, dtype)]

    def node(self, op: str, inputs: list[str], output: str = "", *, domain: str = "", **attrs: Any) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"n{len(self.nodes)}", domain=domain, **attrs))
        return output

    def save(self, path: Path, output_dtype: str = "float32", opset: int = 17) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TYPES[self.dtype], self.shape)],
            [helper.make_tensor_value_info("y", TYPES[output_dtype], [f"d{i}" for i in range(len(self.shape))])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def run_onnxruntime(path: Path, x: Array) -> Array:
    """Sample by sample, with onnxruntime's graph optimizations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": sample[None]})[0] for sample in x])


def load(path: Path) -> Graph:
    return canonical(read_onnx(path))


def integer_input(quantized: Quantized, x: Array) -> Array:
    """The integers of the compiled model for an input of the ONNX model."""
    if x.dtype.kind == "f":
        quant = quantized.graph.tensors["x"].quant
        assert quant is not None
        return quant.quantize(x)
    return (x.astype(np.int64) - (128 if x.dtype == np.uint8 else 0)).astype(np.int8)


def steps_apart(quantized: Quantized, x: Array, wanted: Array) -> float:
    """The largest distance to onnxruntime's result as integers, which is the steps of the output."""
    quant = quantized.graph.tensors["y"].quant
    assert quant is not None
    got = reference(quantized.graph, {"x": integer_input(quantized, x)})["y"]
    if wanted.dtype.kind == "f":
        return float(np.abs(got.astype(np.int64) - quant.quantize(wanted)).max())
    shift = 128 if wanted.dtype == np.uint8 else 0
    return float(np.abs(got.astype(np.int64) + shift - wanted).max())


def prove(quantized: Quantized, folder: Path, target: str = "cortex-m4") -> None:
    """Compile to C and compare every byte with the reference, on every integer input there may be."""
    package = compile_model(quantized, target=target).write(folder / "package")
    vectors = verification_vectors(quantized.graph, quantized.integer_samples)
    with on_host(package) as model:
        assert verify_package(package, model, vectors).outputs_compared > 0


__all__ = ["Graph", "Model", "integer_input", "load", "prove", "quantize", "run_onnxruntime", "steps_apart"]

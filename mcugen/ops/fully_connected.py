"""Fully connected layer: the last axis of the input times a constant matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import exact_matmul, requantize_output
from mcugen.graph import Graph, Node, Tensor
from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import onnx_type
from mcugen.ops.linear_import import from_linear_model
from mcugen.ops.operator import Case, Cost, Importer, Lowering, Spec, apply_clip
from mcugen.ops.weight_offset import weighted_lowerings
from mcugen.ops.weighted import WeightedOperator, requantization
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class FullyConnected(WeightedOperator):
    """`x` [..., K] * `weights` [O, K] + `bias` [O]."""

    name: ClassVar[str] = "fully_connected"
    onnx: ClassVar[tuple[str, ...]] = ("Gemm", "MatMul", "ai.onnx.ml::LinearClassifier", "ai.onnx.ml::LinearRegressor")
    vectorwise: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        if onnx_type(importer).startswith("Linear"):
            return from_linear_model(importer)
        inputs = importer.inputs()
        weights = importer.constant(inputs[1])
        if importer.label.endswith("(MatMul)"):
            return [_from_matmul(importer, inputs, weights)]
        if weights is None or len(importer.shape(inputs[0])) != 2:
            raise importer.unsupported("Gemm of two computed matrices", "write it as MatMul and Add")
        alpha, beta = float(importer.attr("alpha", 1.0)), float(importer.attr("beta", 1.0))
        x = importer.emit("transpose", [inputs[0]], perm=(1, 0)) if importer.attr("transA", 0) else inputs[0]
        rows = weights if importer.attr("transB", 0) else weights.T
        quant = importer.quant(inputs[1], 0 if importer.attr("transB", 0) else 1) if alpha == 1.0 else None
        operands = [x, importer.add_constant(np.ascontiguousarray(rows * np.float32(alpha)), "weights", quant)]
        bias = importer.constant(inputs[2]) if len(inputs) > 2 and inputs[2] else None
        flat = bias is not None and (bias.ndim < 2 or bias.shape[0] == 1)
        if bias is not None and flat:
            full = np.broadcast_to(bias.reshape(-1) * np.float32(beta), (rows.shape[0],))
            operands.append(importer.add_constant(np.ascontiguousarray(full), "bias"))
        y = importer.emit("fully_connected", operands)
        if len(inputs) > 2 and inputs[2] and not flat:
            addend = inputs[2]
            if beta != 1.0:
                addend = importer.emit("mul", [addend, importer.add_constant(np.float32(beta).reshape(1), "beta")])
            y = importer.emit("add", [y, addend])
        return [y]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        x, weights = (tensor.shape for tensor in inputs[:2])
        if x[-1:] != weights[1:]:
            raise ValueError(f"shapes {list(x)} and {list(weights[::-1])} do not multiply")
        return [Spec((*x[:-1], weights[0]))]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        y = inputs[0] @ inputs[1].T
        return [apply_clip(node, y + inputs[2] if len(inputs) > 2 else y)]

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, bias, multiplier, shift = inputs
        a = node.attrs
        acc = exact_matmul(x, weights.T) + bias
        return [requantize_output(acc, multiplier, shift, a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        layer = fully_connected_layer(node, graph)
        # Several rows (a sequence) are a pointwise convolution over a 1 x rows image.
        op = "fully_connected" if layer.in_w == 1 else "conv2d"
        return weighted_lowerings(op, layer, portable_call(layer), target)

    def cost(self, node: Node, graph: Graph) -> Cost:
        size = graph.tensors[node.outputs[0]].size
        return Cost(size * graph.tensors[node.inputs[1]].shape[1], size)

    def cases(self) -> Iterator[Case]:
        for rows, depth, out in ((1, 7, 5), (1, 64, 10), (1, 33, 8), (1, 1, 1), (1, 130, 3), (5, 12, 9)):
            rng = np.random.default_rng([rows, depth, out])
            builder = GraphBuilder(f"fully_connected_{rows}_{depth}_{out}")
            x = builder.input("x", (1, depth) if rows == 1 else (1, rows, depth))
            weights = builder.constant(rng.normal(size=(out, depth)), "w")
            operands = [x, weights, builder.constant(rng.normal(size=out), "b")] if out != 8 else [x, weights]
            attrs = {"clip_min": 0.0} if out == 10 else {}
            yield Case(f"{rows}x{depth}x{out}", builder.output(builder.emit(self.name, operands, **attrs)))


def _from_matmul(importer: Importer, inputs: list[str], weights: Array | None) -> str:
    if weights is None or weights.ndim != 2:
        return importer.emit("matmul", inputs)
    rows = importer.add_constant(np.ascontiguousarray(weights.T), "weights", importer.quant(inputs[1], 1))
    return importer.emit("fully_connected", [inputs[0], rows])


def fully_connected_layer(node: Node, graph: Graph) -> ConvLayer:
    """As a 1x1 convolution over an image of height 1 whose width is the number of rows."""
    x = graph.tensors[node.inputs[0]]
    weights = graph.constant(node.inputs[1])
    out_c, depth = weights.shape
    rows = x.size // depth
    return ConvLayer(
        *(1, rows, depth, 1, rows, out_c, 1, 1, 1, 1, 1, 1, 0, 0, 1),
        weights=weights.reshape(out_c, 1, 1, depth),
        **requantization(node, graph),
    )


def portable_call(layer: ConvLayer) -> KernelCall:
    return KernelCall(
        "mcugen_fully_connected_s8",
        ("fully_connected_s8.h",),
        {"rows": layer.in_w} | layer.fields("in_c", "out_c", *ENDS),
        {"weights": layer.weights, "bias": layer.bias, **layer.scales},
        cycles=layer.macs * 5.0 + layer.in_w * layer.out_c * 25.0,
        code_bytes=150,
    )

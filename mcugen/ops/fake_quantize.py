"""Quantization that the model itself names: QuantizeLinear and DequantizeLinear as one rounding of real values.

A tensor behind QuantizeLinear is held as the real numbers that its integers stand for, so that DequantizeLinear changes
nothing.  The pass `apply_quantization` turns these nodes into the parameters of the tensors they read; a node that is left
changes one set of parameters to another, by a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import onnx_type
from mcugen.ops.operator import Case, Importer, Operator, QuantContext, Spec
from mcugen.ops.table import quantize_as_table

Array = npt.NDArray[Any]


class FakeQuantize(Operator):
    """`x` -> `scale * (sat8(rint(x / scale) + zero_point) - zero_point)`; attributes `scale` and int8 `zero_point`."""

    name: ClassVar[str] = "fake_quantize"
    onnx: ClassVar[tuple[str, ...]] = ("QuantizeLinear", "DequantizeLinear")
    elementwise: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        inputs = importer.inputs()
        scale = importer.constant(inputs[1])
        zero_point = importer.constant(inputs[2]) if len(inputs) > 2 and inputs[2] else None
        if scale is None or (len(inputs) > 2 and inputs[2] and zero_point is None):
            raise importer.unsupported("its scale or zero point is computed by the model, not constant")
        if scale.size != 1:
            raise importer.unsupported("an activation with a scale for each channel", "quantize activations per tensor")
        params = activation_params(
            float(scale.reshape(())), zero_point, default="uint8" if onnx_type(importer)[0] == "Q" else "int8"
        )
        if params is None:
            kind = "?" if zero_point is None else zero_point.dtype
            raise importer.unsupported(
                f"an activation of type {kind} at scale {float(scale.reshape(())):g}", "quantize activations to 8 bits"
            )
        return [importer.emit(self.name, inputs[:1], scale=float(params.scale), zero_point=int(params.zero_point))]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        params = node_params(node)
        return [params.dequantize(params.quantize(inputs[0])).astype(inputs[0].dtype)]

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return node_params(node)

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return quantize_as_table(node, context, lambda real: real)

    def cases(self) -> Iterator[Case]:
        for name, scale, zero_point in (("wider", 0.03, 5), ("narrow", 0.002, -128), ("end", 0.01, 127)):
            builder = GraphBuilder(f"fake_quantize_{name}")
            x = builder.input("x", (1, 3, 7))
            y = builder.emit(self.name, [x], scale=scale, zero_point=zero_point)
            yield Case(name, builder.output(y))


def node_params(node: Node) -> QuantParams:
    """The parameters that a fake_quantize node names."""
    return QuantParams.per_tensor(node.attrs["scale"], node.attrs["zero_point"])


def activation_params(scale: float, zero_point: Array | None, *, default: str = "int8") -> QuantParams | None:
    """int8 parameters for those of an ONNX node, whose integers may be uint8: the same bits, less 128; None for other types."""
    kind = default if zero_point is None else str(zero_point.dtype)
    point = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    if kind not in ("int8", "uint8") or not (np.isfinite(scale) and scale > 0):
        return None
    return QuantParams.per_tensor(scale, point - 128 if kind == "uint8" else point)

"""Clip: Relu, Relu6 and every other pair of bounds; fused into its producer where that can be, a table where not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.int16 import rescale_attrs, rescale_call, rescaled
from mcugen.ops.operator import Case, Importer, Lowering, Operator, QuantContext, Spec, clip_bounds, integer_bounds
from mcugen.ops.table import quantize_as_table

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Clip(Operator):
    """Attributes `clip_min`, `clip_max`: real bounds, infinite where there is none.

    In integers a table; where it reads or writes int16, `rescaled` and clamped.
    """

    name: ClassVar[str] = "clip"
    onnx: ClassVar[tuple[str, ...]] = ("Relu", "Clip")
    elementwise: ClassVar[bool] = True
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        inputs = importer.inputs()
        if importer.label.endswith("(Relu)"):
            return [importer.emit("clip", inputs[:1], clip_min=0.0, clip_max=float("inf"))]
        bounds = [float("-inf"), float("inf")]
        for i, name in enumerate(("min", "max")):
            if importer.attr(name) is not None:
                bounds[i] = float(importer.attr(name))
            elif len(inputs) > i + 1 and inputs[i + 1]:
                value = importer.constant(inputs[i + 1])
                if value is None:
                    raise importer.unsupported(f"its {name} is computed by the model, not constant")
                bounds[i] = float(value.reshape(()))
        return [importer.emit("clip", inputs[:1], clip_min=bounds[0], clip_max=bounds[1])]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        low, high = clip_bounds(node)
        return [np.minimum(np.maximum(inputs[0], low), high).astype(inputs[0].dtype)]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        low, high = clip_bounds(node)
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        if "int16" in (in_quant.dtype, out_quant.dtype):
            attrs = {
                **rescale_attrs(in_quant, out_quant),
                **integer_bounds(node, out_quant),
                "out_dtype": out_quant.dtype,
            }
            return replace(node, attrs=attrs), {}
        return quantize_as_table(node, context, lambda real: np.minimum(np.maximum(real, low), high))

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        return [rescaled(inputs[0], a, a["act_min"], a["act_max"], a["out_dtype"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        return [Lowering((rescale_call(x, y, node.attrs),))]

    def cases(self) -> Iterator[Case]:
        for name, low, high in (
            ("relu", 0.0, np.inf),
            ("relu6", 0.0, 0.6),
            ("both", -0.3, 0.5),
            ("upper", -np.inf, 0.2),
        ):
            builder = GraphBuilder(f"clip_{name}")
            x = builder.input("x", (1, 3, 7))
            yield Case(name, builder.output(builder.emit("clip", [x], clip_min=low, clip_max=high)))

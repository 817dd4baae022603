"""Sum or difference of two tensors with broadcasting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import saturate, weighted_sum_params
from mcugen.graph import Graph, Node
from mcugen.kernels import variants
from mcugen.ops.affine import affine_operand, emit_affine
from mcugen.ops.binary import BinaryOperator, binary_call, constant_case, import_operands, quantize_operands
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import onnx_type
from mcugen.ops.int16 import any_wide
from mcugen.ops.operator import Case, Importer, Lowering, QuantContext, apply_clip, integer_bounds
from mcugen.ops.refusal import refusal

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

FIELDS = ("multiplier1", "multiplier2", "constant", "shift", "act_min", "act_max")


class Add(BinaryOperator):
    """`first + second`, or `first - second` with attribute `subtract`; numpy broadcasting.

    Integer meaning: `clamp(sat8((q1 * multiplier1 + q2 * multiplier2 + constant) >> shift))`, see weighted_sum_params.
    """

    name: ClassVar[str] = "add"
    onnx: ClassVar[tuple[str, ...]] = ("Add", "Sub", "Sum")
    elementwise: ClassVar[bool] = True
    fuses_clip: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        kind, inputs = onnx_type(importer), importer.inputs()
        if kind == "Sum" and len(inputs) != 2:
            return [self._sum(importer, inputs)]
        simple = affine_operand(importer)
        if simple is None:
            return [importer.emit("add", import_operands(importer), subtract=kind == "Sub")]
        x, axis, values, constant_first = simple
        if kind != "Sub":
            return [emit_affine(importer, x, axis, np.ones(1), values)]
        if constant_first:
            return [emit_affine(importer, x, axis, -np.ones(1), values)]
        return [emit_affine(importer, x, axis, np.ones(1), -values)]

    def _sum(self, importer: Importer, inputs: Sequence[str]) -> str:
        total = inputs[0]
        if len({len(importer.shape(name)) for name in inputs}) > 1:
            raise importer.unsupported("a Sum of tensors with different numbers of axes", "write it as Add")
        for name in inputs[1:]:
            total = importer.emit("add", [total, name], subtract=False)
        return total

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        first, second = inputs
        return [apply_clip(node, first - second if node.attrs["subtract"] else first + second)]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        out_quant = context.activations[node.outputs[0]]
        operands = quantize_operands(node, graph, context)
        signs = (1.0, -1.0) if node.attrs["subtract"] else (1.0, 1.0)
        signs = signs[::-1] if operands.swapped else signs
        ratios = [
            s * float(q.scale / out_quant.scale) for s, q in zip(signs, (operands.first, operands.second), strict=True)
        ]
        zero_points = [int(operands.first.zero_point), int(operands.second.zero_point)]
        try:
            reach = [operands.first.reach, operands.second.reach]
            multipliers, constant, shift = weighted_sum_params(ratios, zero_points, int(out_quant.zero_point), reach)
        except ValueError:
            raise refusal(
                node,
                graph,
                f"its inputs' steps are {ratios[0]:.4g} and {ratios[1]:.4g} times its output's, at most 32767 fit",
                hint="check the calibration data: the output's range is far too small for the inputs'",
            ) from None
        attrs: dict[str, Any] = {
            "multiplier1": multipliers[0],
            "multiplier2": multipliers[1],
            "constant": constant,
            "shift": shift,
        }
        attrs |= integer_bounds(node, out_quant)
        if out_quant.dtype != "int8":
            attrs["out_dtype"] = out_quant.dtype
        return replace(node, inputs=operands.activations, attrs=attrs), operands.constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a, (first, second) = node.attrs, (q.astype(np.int64) for q in inputs)
        total = (first * a["multiplier1"] + second * a["multiplier2"] + a["constant"]) >> a["shift"]
        return [saturate(total, a["act_min"], a["act_max"], a.get("out_dtype", "int8"))]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        wide = any_wide(node, graph)
        cycles, code_bytes = (14.0, 100) if wide else (11.0, 80)
        call = binary_call(node, graph, FIELDS, cycles_per_value=cycles, code_bytes=code_bytes)
        return [Lowering((call,)), *(Lowering((c,)) for c in variants("add_s16" if wide else self.name, call, target))]

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
            ("same", (1, 5, 7), (1, 5, 7), {}),
            ("subtract", (1, 3, 4, 5), (1, 3, 4, 5), {"subtract": True, "clip_min": 0.0}),
            ("row", (1, 4, 9), (1, 1, 9), {}),
            ("column", (1, 1, 6), (1, 5, 1), {"subtract": True}),
            ("checkered", (1, 3, 1, 4), (1, 1, 5, 4), {}),
            ("alternating", (1, 2, 3, 4, 5), (1, 2, 1, 4, 1), {"clip_min": -0.5, "clip_max": 0.5}),
        ]
        for name, first, second, attrs in shapes:
            builder = GraphBuilder(f"add_{name}")
            operands = [builder.input("a", first), builder.input("b", second)]
            yield Case(name, builder.output(builder.emit("add", operands, **({"subtract": False} | attrs))))
        yield Case("constant", constant_case("add", (1, 4, 6), constant_first=False, subtract=False))
        yield Case("constant_minus", constant_case("add", (1, 4, 6), constant_first=True, subtract=True))

"""Product of two tensors, element by element, with broadcasting; quotients come here as products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT, quantize_multiplier, requantize_output
from mcugen.graph import Graph, Node
from mcugen.kernels import variants
from mcugen.ops.affine import affine_operand, emit_affine
from mcugen.ops.binary import BinaryOperator, binary_call, constant_case, import_operands, quantize_operands
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import onnx_type
from mcugen.ops.int16 import any_wide
from mcugen.ops.operator import Case, Importer, Lowering, QuantContext, apply_clip, output_attrs
from mcugen.ops.refusal import refusal

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

FIELDS = ("zero_point1", "zero_point2", "out_zero_point", "multiplier", "shift", "act_min", "act_max")


class Mul(BinaryOperator):
    """`first * second`, numpy broadcasting.

    Integer meaning: `(q1 - z1) * (q2 - z2)`, requantized by `s1 * s2 / s_y`.
    """

    name: ClassVar[str] = "mul"
    onnx: ClassVar[tuple[str, ...]] = ("Mul", "Div")
    elementwise: ClassVar[bool] = True
    fuses_clip: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        divide, inputs = onnx_type(importer) == "Div", importer.inputs()
        if inputs[0] == inputs[1] and not divide:
            return [importer.emit("table", inputs[:1], function="Pow", exponent=2.0)]
        divisor = importer.constant(inputs[1]) if divide else None
        if divisor is not None and not np.all(divisor):
            raise importer.unsupported("it divides by a constant that is zero")
        simple = affine_operand(importer)
        if simple is not None:
            x, axis, values, constant_first = simple
            if divide and constant_first:
                x = importer.emit("table", [x], function="Reciprocal")
            scale = 1 / values if divide and not constant_first else values
            return [emit_affine(importer, x, axis, scale, np.zeros(1))]
        first, second = import_operands(importer)
        if divisor is not None:
            second = importer.add_constant(1 / np.asarray(importer.constant(second)), "reciprocal")
        elif divide:
            second = importer.emit("table", [second], function="Reciprocal")
        return [importer.emit("mul", [first, second])]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [apply_clip(node, inputs[0] * inputs[1])]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        out_quant = context.activations[node.outputs[0]]
        operands = quantize_operands(node, graph, context)
        ratio = float(operands.first.scale * operands.second.scale / out_quant.scale)
        wide = "int16" in (operands.first.dtype, operands.second.dtype)
        multiplier, shift = quantize_multiplier(min(ratio, 2.0**29), coarse=not wide)
        # the largest magnitude of an int8 less its zero point is 255; an int16's zero point is 0
        largest = [255 if quant.dtype == "int8" else quant.reach for quant in (operands.first, operands.second)]
        if largest[0] * largest[1] * 2.0 ** int(shift[0]) >= INT32_LIMIT:
            raise refusal(
                node,
                graph,
                f"a product's step is {ratio:.4g} times its output's, which does not fit 32 bits",
                hint="check the calibration data: the output's range is far too small for the inputs'",
            )
        attrs: dict[str, Any] = {
            "zero_point1": int(operands.first.zero_point),
            "zero_point2": int(operands.second.zero_point),
            "multiplier": int(multiplier[0]),
            "shift": int(shift[0]),
        }
        return replace(
            node, inputs=operands.activations, attrs=attrs | output_attrs(node, out_quant)
        ), operands.constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        acc = (inputs[0].astype(np.int64) - a["zero_point1"]) * (inputs[1].astype(np.int64) - a["zero_point2"])
        multiplier, shift = np.asarray(a["multiplier"]), np.asarray(a["shift"])
        return [requantize_output(acc, multiplier, shift, a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        wide = any_wide(node, graph)
        cycles, code_bytes = (16.0, 100) if wide else (14.0, 90)
        call = binary_call(node, graph, FIELDS, cycles_per_value=cycles, code_bytes=code_bytes)
        return [Lowering((call,)), *(Lowering((c,)) for c in (() if wide else variants(self.name, call, target)))]

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
            ("same", (1, 5, 7), (1, 5, 7), {}),
            ("channels", (1, 4, 5, 6), (1, 1, 1, 6), {"clip_min": 0.0}),
            ("column", (1, 1, 6), (1, 5, 1), {}),
            ("alternating", (1, 2, 3, 4, 5), (1, 2, 1, 4, 1), {"clip_min": -0.5, "clip_max": 0.5}),
        ]
        for name, first, second, attrs in shapes:
            builder = GraphBuilder(f"mul_{name}")
            operands = [builder.input("a", first), builder.input("b", second)]
            yield Case(name, builder.output(builder.emit("mul", operands, **attrs)))
        yield Case("constant", constant_case("mul", (1, 4, 6), constant_first=False))
        yield Case("constant_first", constant_case("mul", (1, 3, 5), constant_first=True), -3.0, 0.5)

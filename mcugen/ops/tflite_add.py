"""Sum of two tensors in TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.add import Add
from mcugen.ops.binary import broadcast_params, in_place
from mcugen.ops.operator import Case, Lowering, QuantContext, integer_bounds
from mcugen.ops.refusal import refusal
from mcugen.ops.tflite_weighted import tflite_case, tflite_output
from mcugen.program import KernelCall
from mcugen.tflite_arithmetic import ADD_LEFT_SHIFT, quantize_multiplier, requantize

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

FIELDS = (
    "zero_point1", "zero_point2", "multiplier1", "multiplier2", "exponent1", "exponent2",
    "multiplier", "exponent", "out_zero_point", "act_min", "act_max",
)  # fmt: skip


class TfliteAdd(Add):
    """`first + second`, both scaled by 2^20 and to twice the larger scale, summed, and scaled to the output."""

    name: ClassVar[str] = "tflite_add"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    onnx: ClassVar[tuple[str, ...]] = ()
    elementwise: ClassVar[bool] = False

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        if node.attrs["subtract"] or any(graph.is_constant(name) for name in node.inputs):
            raise refusal(
                node,
                graph,
                "TensorFlow Lite's arithmetic is known for the sum of two activations",
                hint="build it with `--arithmetic default`",
            )
        quants = [context.activations[name] for name in node.inputs]
        out_quant = context.activations[node.outputs[0]]
        twice = 2 * max(float(q.scale) for q in quants)
        scales = [float(q.scale) / twice for q in quants] + [twice / (2**ADD_LEFT_SHIFT * float(out_quant.scale))]
        multipliers, exponents = quantize_multiplier(np.array(scales))
        if exponents[2] > 0:
            raise refusal(node, graph, "its output's scale is too small", hint="build it with `--arithmetic default`")
        values = [
            *(int(q.zero_point) for q in quants), *multipliers[:2].tolist(), *exponents[:2].tolist(),
            int(multipliers[2]), int(exponents[2]), int(out_quant.zero_point),
        ]  # fmt: skip
        attrs = dict(zip(FIELDS, values, strict=False))
        return replace(node, attrs=attrs | integer_bounds(node, out_quant)), {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        scaled = [
            requantize(
                (q.astype(np.int64) - a[f"zero_point{i}"]) << ADD_LEFT_SHIFT, a[f"multiplier{i}"], a[f"exponent{i}"]
            )
            for i, q in enumerate(inputs, 1)
        ]
        return [tflite_output(node, scaled[0] + scaled[1], a["multiplier"], a["exponent"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        shapes = [graph.tensors[name].shape for name in node.inputs]
        out = graph.tensors[node.outputs[0]]
        call = KernelCall(
            "mcugen_add_s8_tflite",
            ("add_s8_tflite.h",),
            {field: int(node.attrs[field]) for field in FIELDS} | broadcast_params(node, *shapes),
            overlap=in_place(out.shape, shapes),
            cycles=out.size * 60.0,
            code_bytes=250,
        )
        return [Lowering((call,))]

    def cases(self) -> Iterator[Case]:
        for case in Add().cases():
            if len(case.graph.inputs) == 2 and not case.graph.nodes[0].attrs["subtract"]:
                yield replace(case, graph=tflite_case(case.graph))

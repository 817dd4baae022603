"""Softmax in TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.operator import Case, Lowering, QuantContext
from mcugen.ops.refusal import refusal
from mcugen.ops.softmax import Softmax
from mcugen.ops.tflite_weighted import tflite_case
from mcugen.program import KernelCall
from mcugen.tflite_arithmetic import softmax, softmax_parameters

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

FIELDS = ("multiplier", "exponent", "lowest")
LONGEST_ROW = 512
"""The last shift is 35 less the free bits above the sum in Q12.19, and at most 31."""


class TfliteSoftmax(Softmax):
    """`x` [..., n]; attributes multiplier, exponent, lowest: see `tflite_arithmetic.softmax`."""

    name: ClassVar[str] = "tflite_softmax"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    onnx: ClassVar[tuple[str, ...]] = ()

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        scale = float(context.activations[node.inputs[0]].scale)
        columns = graph.tensors[node.inputs[0]].shape[-1]
        multiplier, exponent, lowest = softmax_parameters(scale)
        if columns >= LONGEST_ROW or exponent < 0:
            raise refusal(
                node,
                graph,
                f"softmax over {columns} values at scale {scale:g} does not fit TensorFlow Lite's fixed point",
                hint="build it with `--arithmetic default`",
            )
        return replace(node, attrs={"multiplier": multiplier, "exponent": exponent, "lowest": max(lowest, -255)}), {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [softmax(inputs[0], *(node.attrs[field] for field in FIELDS))]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x = graph.tensors[node.inputs[0]]
        call = KernelCall(
            "mcugen_softmax_s8_tflite",
            ("softmax_s8_tflite.h",),
            {"rows": x.size // x.shape[-1], "columns": x.shape[-1]} | {field: node.attrs[field] for field in FIELDS},
            cycles=x.size * 600.0,
            code_bytes=900,
        )
        return [Lowering((call,))]

    def cases(self) -> Iterator[Case]:
        return (replace(case, graph=tflite_case(case.graph)) for case in Softmax().cases())

"""Average over windows in TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops.average_pool2d import AveragePool2d, divisors
from mcugen.ops.operator import Case, Lowering, QuantContext, RowWindow, integer_bounds
from mcugen.ops.pool import pool_geometry, pool_rows, taps
from mcugen.ops.refusal import refusal
from mcugen.ops.tflite_weighted import tflite_case
from mcugen.ops.window import pad_image, windows
from mcugen.program import KernelCall
from mcugen.tflite_arithmetic import rounded_average

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class TfliteAveragePool2d(AveragePool2d):
    """The integers of the taps on the image, averaged and rounded; the output keeps the input's parameters."""

    name: ClassVar[str] = "tflite_average_pool2d"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    onnx: ClassVar[tuple[str, ...]] = ()

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return "same"

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        if in_quant != out_quant or any(node.attrs["count_pads"]) or not node.attrs["divide"]:
            raise refusal(
                node,
                graph,
                "TensorFlow Lite averages the taps on the image, with one scale for input and output",
                hint="build it with `--arithmetic default`",
            )
        attrs = {k: v for k, v in node.attrs.items() if k not in ("clip_min", "clip_max")}
        return replace(node, attrs=attrs | integer_bounds(node, out_quant)), {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a, x = node.attrs, inputs[0].astype(np.int64)
        padded = pad_image(x, a["pads"], 0)
        sums = windows(padded, a["kernel"], a["strides"], a["dilations"]).sum(axis=(3, 4))
        mean = rounded_average(sums, divisors(node, x.shape)[:, :, None])
        return [np.clip(mean, a["act_min"], a["act_max"]).astype(np.int8)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        params = pool_geometry(node, graph) | {field: int(node.attrs[field]) for field in ("act_min", "act_max")}
        call = KernelCall(
            "mcugen_average_pool2d_s8_tflite",
            ("average_pool2d_s8_tflite.h",),
            params,
            cycles=taps(node, graph) * 6.0 + graph.tensors[node.outputs[0]].size * 30.0,
            code_bytes=220,
        )
        return [Lowering((call,))]

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """None where some taps lie beside the image."""
        counts = divisors(node, graph.tensors[node.inputs[0]].shape)
        return pool_rows(node, 0) if counts.min() == int(np.prod(node.attrs["kernel"])) else None

    def cases(self) -> Iterator[Case]:
        for case in AveragePool2d().cases():
            attrs = case.graph.nodes[0].attrs
            if attrs["divide"] and not any(attrs["count_pads"]):
                yield replace(case, graph=tflite_case(case.graph))

"""Fully connected layer in TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from mcugen.fixed_point import exact_matmul
from mcugen.graph import Graph, Node
from mcugen.ops.fully_connected import FullyConnected, fully_connected_layer, portable_call
from mcugen.ops.operator import Case, Lowering, QuantContext
from mcugen.ops.tflite_weighted import tflite_call, tflite_case, tflite_output, tflite_quantize

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class TfliteFullyConnected(FullyConnected):
    """As fully_connected; constants weights, bias, multiplier, exponent: see `tflite_arithmetic.requantize`."""

    name: ClassVar[str] = "tflite_fully_connected"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    nearest_weights: ClassVar[bool] = True
    onnx: ClassVar[tuple[str, ...]] = ()

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return tflite_quantize(node, graph, context, single_product=True)

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, bias, multiplier, exponent = inputs
        return [tflite_output(node, exact_matmul(x, weights.T) + bias, multiplier, exponent)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        layer = fully_connected_layer(node, graph)
        return [Lowering((tflite_call(portable_call(layer), layer.shift, "mcugen_fully_connected_s8_tflite"),))]

    def cases(self) -> Iterator[Case]:
        return (replace(case, graph=tflite_case(case.graph)) for case in FullyConnected().cases())

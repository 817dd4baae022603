"""Convolution in TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.conv2d import Conv2d, conv_layer, portable_call
from mcugen.ops.operator import Case, Lowering, QuantContext
from mcugen.ops.tflite_weighted import tflite_call, tflite_case, tflite_output, tflite_quantize
from mcugen.ops.window import convolve

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class TfliteConv2d(Conv2d):
    """As conv2d; constants weights, bias, multiplier, exponent: see `tflite_arithmetic.requantize`."""

    name: ClassVar[str] = "tflite_conv2d"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    nearest_weights: ClassVar[bool] = True
    onnx: ClassVar[tuple[str, ...]] = ()

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return tflite_quantize(node, graph, context)

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, bias, multiplier, exponent = inputs
        a = node.attrs
        window = (a["strides"], a["dilations"], a["pads"], a["groups"], a["in_zero_point"])
        acc = np.rint(convolve(x.astype(np.float64), weights, *window)).astype(np.int64) + bias
        return [tflite_output(node, acc, multiplier, exponent)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        layer = conv_layer(node, graph)
        return [Lowering((tflite_call(portable_call(layer), layer.shift, "mcugen_conv2d_s8_tflite"),))]

    def cases(self) -> Iterator[Case]:
        return (replace(case, graph=tflite_case(case.graph)) for case in Conv2d().cases())

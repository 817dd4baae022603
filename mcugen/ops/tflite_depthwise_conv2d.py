"""Depthwise convolution in TensorFlow Lite's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.conv2d import conv_layer, portable_call
from mcugen.ops.depthwise_conv2d import DepthwiseConv2d
from mcugen.ops.operator import Case, Lowering, QuantContext
from mcugen.ops.tflite_weighted import tflite_call, tflite_case, tflite_output, tflite_quantize
from mcugen.ops.window import convolve_depthwise

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class TfliteDepthwiseConv2d(DepthwiseConv2d):
    """As depthwise_conv2d; constants weights, bias, multiplier, exponent: see `tflite_arithmetic.requantize`."""

    name: ClassVar[str] = "tflite_depthwise_conv2d"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    nearest_weights: ClassVar[bool] = True

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return tflite_quantize(node, graph, context)

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, bias, multiplier, exponent = inputs
        a = node.attrs
        window = (a["strides"], a["dilations"], a["pads"], a["in_zero_point"])
        acc = convolve_depthwise(x.astype(np.int32), weights, *window).astype(np.int64) + bias
        return [tflite_output(node, acc, multiplier, exponent)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        layer = conv_layer(node, graph)
        call = portable_call(layer, "mcugen_depthwise_conv2d_s8", channel_multiplier=layer.out_c // layer.in_c)
        return [Lowering((tflite_call(call, layer.shift, "mcugen_depthwise_conv2d_s8_tflite"),))]

    def cases(self) -> Iterator[Case]:
        return (replace(case, graph=tflite_case(case.graph)) for case in DepthwiseConv2d().cases())

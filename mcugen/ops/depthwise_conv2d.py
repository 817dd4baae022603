"""Depthwise convolution over channels-last images: every output channel reads one input channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize_output
from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.conv2d import conv_case, conv_layer, convolution_rows, portable_call, window_shape
from mcugen.ops.operator import Case, Cost, Lowering, RowWindow, Spec, apply_clip
from mcugen.ops.weight_offset import weighted_lowerings
from mcugen.ops.weighted import WeightedOperator
from mcugen.ops.window import convolve_depthwise

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class DepthwiseConv2d(WeightedOperator):
    """`x` [1, H, W, C], `weights` [O, kh, kw, 1], `bias` [O], O a multiple of C; attributes as conv2d without groups."""

    name: ClassVar[str] = "depthwise_conv2d"
    windowed: ClassVar[bool] = True

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(window_shape(node, inputs[0].shape, inputs[1].shape))]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        y = convolve_depthwise(inputs[0], inputs[1], a["strides"], a["dilations"], a["pads"], 0)
        return [apply_clip(node, y + inputs[2] if len(inputs) > 2 else y)]

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, bias, multiplier, shift = inputs
        a = node.attrs
        products = convolve_depthwise(
            x.astype(np.int32), weights, a["strides"], a["dilations"], a["pads"], a["in_zero_point"]
        )
        acc = products.astype(np.int64) + bias
        return [requantize_output(acc, multiplier, shift, a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        layer = conv_layer(node, graph)
        plain = portable_call(layer, "mcugen_depthwise_conv2d_s8", channel_multiplier=layer.out_c // layer.in_c)
        return weighted_lowerings(self.name, layer, plain, target)

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        return convolution_rows(node, graph)

    def cost(self, node: Node, graph: Graph) -> Cost:
        size = graph.tensors[node.outputs[0]].size
        return Cost(size * int(np.prod(graph.tensors[node.inputs[1]].shape[1:3])), size)

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, int, int, int, int, tuple[int, int], dict[str, Any]]] = [
            ("same", 5, 6, 8, 1, (3, 3), {"pads": (1, 1, 1, 1)}),
            ("stride", 9, 9, 5, 1, (3, 3), {"strides": (2, 2), "pads": (0, 0, 1, 1)}),
            ("odd_channels", 6, 7, 13, 1, (3, 3), {"pads": (1, 1, 1, 1), "clip_min": 0.0, "clip_max": 1.0}),
            ("multiplier", 5, 5, 3, 4, (3, 3), {"pads": (1, 1, 1, 1)}),
            ("dilated", 9, 9, 4, 1, (3, 3), {"dilations": (2, 2)}),
            ("five", 8, 8, 6, 1, (5, 5), {"pads": (2, 2, 2, 2)}),
            ("temporal", 1, 20, 7, 1, (1, 5), {"pads": (0, 4, 0, 0)}),
            ("affine", 3, 4, 9, 1, (1, 1), {}),
        ]
        for name, h, w, c, multiplier, kernel, attrs in shapes:
            yield Case(name, conv_case(self.name, name, (1, h, w, c), (c * multiplier, *kernel, 1), attrs))

"""Convolution over channels-last images; 1-D convolutions run as height 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize_output
from mcugen.graph import Graph, Node, Tensor
from mcugen.kernels.layer import ConvLayer, convolution_params, plain_overlap
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.operator import Case, Cost, Importer, Lowering, RowWindow, Spec, apply_clip
from mcugen.ops.spatial import channels_first, image_input, window_attrs
from mcugen.ops.weight_offset import weighted_lowerings
from mcugen.ops.weighted import WeightedOperator, requantization
from mcugen.ops.window import convolve, output_size
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Conv2d(WeightedOperator):
    """`x` [1, H, W, C] * `weights` [O, kh, kw, C / groups] + `bias` [O]; attributes strides, dilations, pads (t, l, b, r), groups."""

    name: ClassVar[str] = "conv2d"
    onnx: ClassVar[tuple[str, ...]] = ("Conv",)
    windowed: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        inputs = importer.inputs()
        weights = importer.constant(inputs[1])
        bias = importer.constant(inputs[2]) if len(inputs) > 2 and inputs[2] else None
        if weights is None or (len(inputs) > 2 and inputs[2] and bias is None):
            raise importer.unsupported("its weights or bias are computed by the model, not constant")
        rank = len(importer.shape(inputs[0]))
        if rank not in (3, 4) or weights.ndim != rank:
            raise importer.unsupported(
                f"convolution over {rank - 2} dimensions", "mcugen compiles 1-D and 2-D convolutions"
            )
        groups, channels = int(importer.attr("group", 1)), importer.shape(inputs[0])[1]
        if weights.shape[1] * groups != channels or weights.shape[0] % groups:
            raise importer.unsupported(
                f"{channels} input channels do not fit weights {list(weights.shape)} in {groups} groups"
            )
        if bias is not None and bias.shape != weights.shape[:1]:
            raise importer.unsupported(f"a bias {list(bias.shape)} for {weights.shape[0]} output channels")
        if rank == 3:
            weights = weights[:, :, None, :]
        window = window_attrs(importer, inputs[0], weights.shape[2:])
        x = image_input(importer, inputs[0])
        channels_last = np.ascontiguousarray(weights.transpose(0, 2, 3, 1))
        operands = [x, importer.add_constant(channels_last, "weights", importer.quant(inputs[1], 0))]
        if bias is not None:
            operands.append(importer.add_constant(bias, "bias"))
        depthwise = groups == channels and groups > 1
        if depthwise:
            y = importer.emit("depthwise_conv2d", operands, **window)
        else:
            y = importer.emit("conv2d", operands, groups=groups, **window)
        return [channels_first(importer, y, rank)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(window_shape(node, inputs[0].shape, inputs[1].shape))]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        y = convolve(inputs[0], inputs[1], a["strides"], a["dilations"], a["pads"], a["groups"], 0)
        return [apply_clip(node, y + inputs[2] if len(inputs) > 2 else y)]

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, bias, multiplier, shift = inputs
        a = node.attrs
        products = convolve(
            x.astype(np.float64), weights, a["strides"], a["dilations"], a["pads"], a["groups"], a["in_zero_point"]
        )
        acc = np.rint(products).astype(np.int64) + bias
        return [requantize_output(acc, multiplier, shift, a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        layer = conv_layer(node, graph)
        return weighted_lowerings(self.name, layer, portable_call(layer), target)

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        return convolution_rows(node, graph)

    def cost(self, node: Node, graph: Graph) -> Cost:
        size = graph.tensors[node.outputs[0]].size
        return Cost(size * int(np.prod(graph.tensors[node.inputs[1]].shape[1:])), size)

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, int, int, int, int, tuple[int, int], dict[str, Any]]] = [
            ("plain", 5, 6, 3, 4, (3, 3), {}),
            ("pointwise", 4, 5, 8, 7, (1, 1), {}),
            ("same", 6, 5, 4, 5, (3, 3), {"pads": (1, 1, 1, 1)}),
            ("stride", 9, 8, 5, 3, (3, 3), {"strides": (2, 2), "pads": (0, 0, 1, 1)}),
            ("dilated", 9, 9, 2, 3, (3, 2), {"dilations": (2, 3), "pads": (2, 1, 2, 3)}),
            ("groups", 5, 5, 6, 9, (3, 3), {"groups": 3, "pads": (1, 1, 1, 1)}),
            ("one_channel", 12, 10, 1, 8, (5, 4), {"strides": (2, 2), "pads": (2, 1, 2, 1)}),
            ("temporal", 1, 17, 6, 8, (1, 5), {"pads": (0, 2, 0, 2)}),
            ("wide", 3, 3, 65, 17, (3, 3), {"pads": (1, 1, 1, 1)}),
            ("whole_window", 4, 4, 3, 5, (4, 4), {"clip_min": 0.0}),
            ("pointwise_stride", 7, 7, 9, 6, (1, 1), {"strides": (2, 2)}),
        ]
        for name, h, w, c, out_c, kernel, attrs in shapes:
            yield Case(
                name, conv_case(self.name, name, (1, h, w, c), (out_c, *kernel, c // attrs.get("groups", 1)), attrs)
            )


def conv_case(
    op: str, name: str, shape: tuple[int, ...], weight_shape: tuple[int, ...], attrs: dict[str, Any]
) -> Graph:
    """A graph of one convolution with random weights, seeded by its shape."""
    rng = np.random.default_rng([*shape, *weight_shape])
    builder = GraphBuilder(f"{op}_{name}")
    x = builder.input("x", shape)
    weights = builder.constant(rng.normal(size=weight_shape) * rng.uniform(0.2, 2, (weight_shape[0], 1, 1, 1)), "w")
    bias = builder.constant(rng.normal(size=weight_shape[0]), "b")
    defaults: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    if op == "conv2d":
        defaults["groups"] = 1
    return builder.output(builder.emit(op, [x, weights, bias], **(defaults | attrs)))


def window_shape(node: Node, x: tuple[int, ...], weights: tuple[int, ...]) -> tuple[int, ...]:
    strides, dilations, pads = node.attrs["strides"], node.attrs["dilations"], node.attrs["pads"]
    sizes = (output_size(x[1 + i], weights[1 + i], strides[i], dilations[i], pads[i], pads[i + 2]) for i in range(2))
    return (x[0], *sizes, weights[0])


def convolution_rows(node: Node, graph: Graph) -> RowWindow:
    """The rows that a convolution, depthwise or not, walks down."""
    a, kernel = node.attrs, graph.tensors[node.inputs[1]].shape[1]
    return RowWindow((kernel - 1) * a["dilations"][0] + 1, a["strides"][0], a["pads"][0], a["in_zero_point"])


def conv_layer(node: Node, graph: Graph) -> ConvLayer:
    """What kernels need to know of an integer convolution, depthwise or not."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    weights = graph.constant(node.inputs[1])
    a = node.attrs
    return ConvLayer(
        in_h=x.shape[1],
        in_w=x.shape[2],
        in_c=x.shape[3],
        out_h=y.shape[1],
        out_w=y.shape[2],
        out_c=y.shape[3],
        kernel_h=weights.shape[1],
        kernel_w=weights.shape[2],
        stride_h=a["strides"][0],
        stride_w=a["strides"][1],
        dilation_h=a["dilations"][0],
        dilation_w=a["dilations"][1],
        pad_top=a["pads"][0],
        pad_left=a["pads"][1],
        groups=a.get("groups", x.shape[3]),
        weights=weights,
        **requantization(node, graph),
    )


PORTABLE_CYCLES_PER_MAC = 9.5
PORTABLE_CYCLES_PER_DEPTHWISE_MAC = 22.0
PORTABLE_CYCLES_PER_OUTPUT = 30.0


def portable_call(layer: ConvLayer, function: str = "mcugen_conv2d_s8", **extra: int) -> KernelCall:
    """The plain kernel, which takes every shape."""
    outputs = layer.out_h * layer.out_w * layer.out_c
    params = convolution_params(layer) | extra
    cycles_per_mac = PORTABLE_CYCLES_PER_DEPTHWISE_MAC
    if function == "mcugen_conv2d_s8":
        params["groups"] = layer.groups
        cycles_per_mac = PORTABLE_CYCLES_PER_MAC
    return KernelCall(
        function,
        (function.removeprefix("mcugen_") + ".h",),
        params,
        {"weights": layer.weights, "bias": layer.bias, **layer.scales},
        overlap={0: plain_overlap(layer)},
        cycles=layer.macs * cycles_per_mac + outputs * PORTABLE_CYCLES_PER_OUTPUT,
        code_bytes=400,
    )

"""Scale and offset along one axis: batch normalization and arithmetic with constants, where no neighbour took it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize_output
from mcugen.graph import Graph, Node, Tensor
from mcugen.kernels import variants
from mcugen.kernels.layer import ConvLayer
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import onnx_type, reshaped
from mcugen.ops.int16 import any_wide, element_bytes, place_distance
from mcugen.ops.operator import (
    Case,
    Cost,
    Importer,
    Lowering,
    Operator,
    QuantContext,
    RowWindow,
    Spec,
    apply_clip,
    image_rows,
    output_attrs,
)
from mcugen.ops.weighted import float_bias, integer_parameters, requantization, round_weights
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Affine(Operator):
    """`x * scale + offset`; `scale` and `offset` are constants [C] along attribute `axis`, or both [1].

    Integer meaning: a depthwise 1x1 convolution, with the same rounding of weights, bias and multipliers.
    """

    name: ClassVar[str] = "affine"
    onnx: ClassVar[tuple[str, ...]] = ("BatchNormalization", "ai.onnx.ml::Scaler")
    fuses_clip: ClassVar[bool] = True
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        if onnx_type(importer) == "Scaler":
            return [_from_scaler(importer)]
        inputs = importer.inputs()
        tensors = [importer.constant(name) for name in inputs[1:5]]
        if any(tensor is None for tensor in tensors):
            raise importer.unsupported("its scale, bias, mean or variance is computed by the model, not constant")
        gamma, beta, mean, variance = (np.asarray(tensor, np.float64) for tensor in tensors)
        scale = gamma / np.sqrt(variance + float(importer.attr("epsilon", 1e-5)))
        return [emit_affine(importer, inputs[0], 1, scale, beta - mean * scale)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, scale, offset = inputs
        axis = node.attrs["axis"]
        return [apply_clip(node, (x * along(scale, axis, x.ndim) + along(offset, axis, x.ndim)).astype(x.dtype))]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        weights, scale = round_weights(graph.constant(node.inputs[1]), in_quant, out_quant, float_bias(node, graph))
        constants = integer_parameters(node, graph, weights, scale, in_quant, out_quant)
        attrs = {k: v for k, v in node.attrs.items() if k not in ("clip_min", "clip_max")}
        attrs |= {"in_zero_point": int(in_quant.zero_point), **output_attrs(node, out_quant)}
        return replace(node, inputs=node.inputs[:1], attrs=attrs), constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a, x = node.attrs, inputs[0].astype(np.int64)
        weights, bias, multiplier, shift = (along(constant, a["axis"], x.ndim) for constant in inputs[1:5])
        acc = x * weights.astype(np.int64) + bias
        return [requantize_output(acc, multiplier, shift, a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        shape = graph.tensors[node.inputs[0]].shape
        weights, bias, multiplier, shift = (graph.constant(name) for name in node.inputs[1:5])
        channels, size = weights.size, int(np.prod(shape))
        inner = size if channels == 1 else int(np.prod(shape[node.attrs["axis"] + 1 :]))
        constants = {"weights": weights, "bias": bias, "multiplier": multiplier}
        if np.any(shift):
            constants["shift"] = shift
        params = {"outer": size // (channels * inner), "channels": channels, "inner": inner}
        suffix, overlap = "s8", 0
        if any_wide(node, graph):
            x, y = (element_bytes(graph.tensors[name]) for name in (node.inputs[0], node.outputs[0]))
            suffix, overlap = "s16", place_distance(size, x, y)
            params |= {"in_bytes": x, "out_bytes": y}
        call = KernelCall(
            f"mcugen_affine_{suffix}",
            (f"affine_{suffix}.h",),
            params | {field: int(node.attrs[field]) for field in ("out_zero_point", "act_min", "act_max")},
            constants,
            overlap={0: overlap},
            cycles=size * 14.0,
            code_bytes=100,
        )
        found = [Lowering((call,))]
        if inner == 1 and channels > 1:
            layer = depthwise_layer(node, graph, size // channels)
            op = "depthwise_conv2d_s16" if layer.wide else "depthwise_conv2d"
            found += [Lowering((c,)) for c in variants(op, layer, target)]
        return found

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        even = node.attrs["axis"] != 1 or graph.tensors[node.inputs[1]].size == 1
        return RowWindow() if even and image_rows(node, graph) is not None else None

    def cost(self, node: Node, graph: Graph) -> Cost:
        size = graph.tensors[node.outputs[0]].size
        return Cost(size, size)

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        return bool(axis != node.attrs["axis"])

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node.with_attrs(axis=perm.index(node.attrs["axis"]))

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], int, int, dict[str, Any]]] = [
            ("last", (1, 3, 4, 9), 3, 9, {}),
            ("channels_first", (1, 5, 7), 1, 5, {"clip_min": 0.0}),
            ("one_value", (1, 3, 7), 2, 1, {}),
            ("vector", (1, 17), 1, 17, {"clip_min": -1.0, "clip_max": 1.0}),
        ]
        for name, shape, axis, channels, attrs in shapes:
            rng = np.random.default_rng([*shape, channels])
            builder = GraphBuilder(f"affine_{name}")
            x = builder.input("x", shape)
            scale = rng.normal(size=channels) * rng.uniform(0.1, 3, channels)
            operands = [x, builder.constant(scale, "scale"), builder.constant(rng.normal(size=channels), "offset")]
            yield Case(name, builder.output(builder.emit(self.name, operands, axis=axis, **attrs)))


def along(values: Array, axis: int, rank: int) -> Array:
    """1-D `values` shaped so that they broadcast along `axis` of a tensor of `rank` dimensions."""
    return values if values.size == 1 else values.reshape([-1 if i == axis else 1 for i in range(rank)])


def depthwise_layer(node: Node, graph: Graph, rows: int) -> ConvLayer:
    """The integer node, channels last, as a depthwise 1x1 convolution over an image of height 1."""
    weights = graph.constant(node.inputs[1])
    channels = weights.size
    return ConvLayer(
        *(1, rows, channels, 1, rows, channels, 1, 1, 1, 1, 1, 1, 0, 0),
        groups=channels,
        weights=weights.reshape(channels, 1, 1, 1),
        **requantization(node, graph),
    )


def _from_scaler(importer: Importer) -> str:
    """`(x - offset) * scale`, both attributes of one value or one for each element of the last axis."""
    source = importer.inputs()[0]
    shape = importer.shape(source)
    scale = np.asarray(importer.attr("scale") or [1.0], np.float64)
    offset = np.asarray(importer.attr("offset") or [0.0], np.float64)
    if not shape or any(values.size not in (1, shape[-1]) for values in (scale, offset)):
        sizes = f"{offset.size} offsets and {scale.size} scales"
        raise importer.unsupported(f"{sizes} do not fit the shape {list(shape)}", "give the input's size with --shape")
    return emit_affine(importer, source, len(shape) - 1, scale, -offset * scale)


def emit_affine(importer: Importer, x: str, axis: int, scale: Array, offset: Array) -> str:
    """An affine node; `scale` and `offset`, of size 1 or the axis' length, are brought to the same length."""
    length = max(scale.size, offset.size)
    constants = [
        importer.add_constant(np.broadcast_to(values.reshape(-1), (length,)).astype(np.float32), stem)
        for values, stem in ((scale, "scale"), (offset, "offset"))
    ]
    return importer.emit("affine", [x, *constants], axis=axis)


def affine_operand(importer: Importer) -> tuple[str, int, Array, bool] | None:
    """One of two operands as a constant that varies along at most one axis, and does not enlarge the other operand.

    Returns (the activation at the rank of the result, the axis, the constant's values 1-D, whether the constant comes
    first), or None where the operands are not of this kind.
    """
    inputs = importer.inputs()
    fixed = [i for i, name in enumerate(inputs) if importer.constant(name) is not None]
    if len(fixed) != 1:
        return None
    x, data = inputs[1 - fixed[0]], np.asarray(importer.constant(inputs[fixed[0]]))
    rank = max(len(importer.shape(x)), data.ndim)
    shape = (1,) * (rank - len(importer.shape(x))) + importer.shape(x)
    varying = [i for i, size in enumerate((1,) * (rank - data.ndim) + data.shape) if size > 1]
    if len(varying) > 1 or rank == 0:
        return None
    axis = varying[0] if varying else rank - 1
    if varying and shape[axis] != data.size:
        return None
    return reshaped(importer, x, shape), axis, data.reshape(-1).astype(np.float64), fixed[0] == 0

"""What convolutions and fully connected layers share: rounding of weights, bias, multipliers, and the accumulator's bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.errors import UnsupportedModel
from mcugen.fixed_point import INT32_LIMIT, quantize_multiplier
from mcugen.graph import Graph, Node, QuantParams
from mcugen.kernels.layer import INT8
from mcugen.ops import operator
from mcugen.ops.operator import Operator, QuantContext, output_attrs

Array = npt.NDArray[Any]

CONSTANT_CHANNEL_STEP = 2.0**-10
"""The accumulator step, in output steps, of a channel whose weights are all zero; of int16 outputs sixteen times that."""
CONSTANT_CHANNEL_LIMIT = 2**22
"""A constant channel's bias is cut here: 4096 output steps, or 65,536 of int16, far in saturation."""
ACCUMULATOR_MARGIN = 0.98
"""The part of an accumulator's limit up to which scales are chosen: another rounding may sum to a little more."""


def round_weights(weights: Array, in_quant: QuantParams, out_quant: QuantParams, bias: Array) -> tuple[Array, Array]:
    """Symmetric int8 weights per output channel by minimum and maximum: (integers in [-127, 127], scales float64).

    `weights` float, output channel first; `bias` float `[out_c]`.  A channel whose weights together cannot move the output by
    half a step over the input's range becomes zero; scales are raised until no input can overflow the accumulator.
    """
    flat = weights.reshape(weights.shape[0], -1).astype(np.float64)
    in_scale, out_scale = float(in_quant.scale), float(out_quant.scale)
    scale = np.abs(flat).max(axis=1, initial=0.0) / 127
    reach = np.abs(flat).sum(axis=1) * in_scale * (in_quant.high - in_quant.low)
    dead = reach < out_scale / 2
    constant_step = CONSTANT_CHANNEL_STEP * (1 if out_quant.dtype == "int8" else 16)
    scale = np.where(dead, out_scale / in_scale * constant_step, scale)
    for _ in range(64):
        bound = accumulator_bound(np.rint(flat / scale[:, None]), bias / (in_scale * scale), in_quant)
        too_large = bound >= INT32_LIMIT - 2**16
        if not np.any(too_large & ~dead):
            break
        scale = np.where(too_large & ~dead, scale * 2, scale)
    integers = np.where(dead[:, None], 0, np.clip(np.rint(flat / scale[:, None]), -127, 127))
    return integers.reshape(weights.shape).astype(np.int8), scale


def accumulator_bound(weights: Array, bias: Array, in_quant: QuantParams) -> Array:
    """Per channel the largest magnitude of `b' + sum(w * x)`, `b'` with the zero point folded in, over all inputs x."""
    flat = weights.reshape(weights.shape[0], -1).astype(np.float64)
    folded = bias - int(in_quant.zero_point) * flat.sum(axis=1)
    largest = max(-in_quant.low, in_quant.high)
    return np.asarray(np.abs(folded) + np.abs(flat).sum(axis=1) * largest)


def scales_that_fit(integers: Array, scale: Array, bias: Array, in_quant: QuantParams) -> Array:
    """The scales [out_c] at which the accumulators of the weights that `integers` at `scale` stand for keep to 32 bits.

    `integers` output channel first; `bias` float `[out_c]`.  Within a margin for another rounding.
    """
    bound = accumulator_bound(integers, bias / (float(in_quant.scale) * scale), in_quant)
    return np.asarray(scale * bound / (INT32_LIMIT * ACCUMULATOR_MARGIN))


class WeightedOperator(Operator):
    """Inputs (x, weights[, bias]) in float; (x) and the constants weights, bias, multiplier, shift in integers."""

    weight_input: ClassVar[int | None] = 1
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True
    fuses_clip: ClassVar[bool] = True
    nearest_weights: ClassVar[bool] = False
    """Whether its weights are always rounded to the nearest integers, as TensorFlow Lite's are."""

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        bias = float_bias(node, graph)
        if node.name in context.weights:
            weights, scale = context.weights[node.name]
        else:
            weights, scale = round_weights(graph.constant(node.inputs[1]), in_quant, out_quant, bias)
        constants = integer_parameters(node, graph, weights, scale, in_quant, out_quant)
        attrs = {k: v for k, v in node.attrs.items() if k not in ("clip_min", "clip_max")}
        attrs |= {"in_zero_point": int(in_quant.zero_point), **output_attrs(node, out_quant)}
        return replace(node, inputs=node.inputs[:1], attrs=attrs), constants


def has_weights(node: Node) -> bool:
    """Whether the node is a convolution, depthwise or not, or a fully connected layer, whose integer weights mcugen chooses."""
    found = operator(node.op)
    return isinstance(found, WeightedOperator) and not found.nearest_weights


def float_bias(node: Node, graph: Graph) -> Array:
    out_channels = graph.tensors[node.inputs[1]].shape[0]
    if len(node.inputs) < 3:
        return np.zeros(out_channels)
    return np.broadcast_to(graph.constant(node.inputs[2]).astype(np.float64).reshape(-1), (out_channels,))


def requantization(node: Node, graph: Graph) -> dict[str, Any]:
    """The fields of the integer node's ConvLayer that do not depend on its shape."""
    bias, multiplier, shift = (graph.constant(name) for name in node.inputs[2:5])
    fields = {name: node.attrs[name] for name in ("in_zero_point", "out_zero_point", "act_min", "act_max")}
    return fields | {
        "bias": bias,
        "multiplier": multiplier,
        "shift": shift,
        "in_dtype": graph.tensors[node.inputs[0]].dtype,
        "out_dtype": graph.tensors[node.outputs[0]].dtype,
        "weight_format": node.attrs.get("weight_format", INT8),
    }


def integer_parameters(
    node: Node, graph: Graph, weights: Array, scale: Array, in_quant: QuantParams, out_quant: QuantParams
) -> dict[str, Array]:
    """weights, bias (input zero point folded in), multiplier, shift; raises where the accumulator could overflow."""
    in_scale = float(in_quant.scale)
    bias = float_bias(node, graph) / (in_scale * scale)
    constant = ~np.any(weights.reshape(weights.shape[0], -1), axis=1)
    bias = np.where(constant, np.clip(bias, -CONSTANT_CHANNEL_LIMIT, CONSTANT_CHANNEL_LIMIT), bias)
    bound = accumulator_bound(weights, bias, in_quant)
    # kernels whose accumulator is scaled by 256 read int8
    multiplier, shift = quantize_multiplier(in_scale * scale / float(out_quant.scale), coarse=in_quant.dtype == "int8")
    worst = int(np.argmax(bound * 2.0 ** shift.astype(np.float64)))
    if bound[worst] * 2.0 ** float(shift[worst]) >= INT32_LIMIT:
        origin = ", ".join(node.origin) or node.name
        raise UnsupportedModel(
            f"{graph.name}: node '{origin}' ({node.op}): the accumulator of output channel {worst} could overflow: "
            f"it can reach {bound[worst]:.4g} x 2^{int(shift[worst])} of 2^31",
            hint="its bias is too large for its weights, or the calibration range of its output is far too small; "
            "check the calibration data's normalisation",
        )
    axes = tuple(range(1, weights.ndim))
    folded = np.rint(bias).astype(np.int64) - int(in_quant.zero_point) * weights.astype(np.int64).sum(axis=axes)
    return {
        "weights": weights if weights.dtype == np.int16 else weights.astype(np.int8),
        "bias": folded.astype(np.int32),
        "multiplier": multiplier,
        "shift": shift,
    }

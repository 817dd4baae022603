"""What convolutions and fully connected layers in TensorFlow Lite's arithmetic share: bias, multipliers and exponents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT
from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops.operator import QuantContext, integer_bounds
from mcugen.ops.refusal import refusal
from mcugen.ops.weighted import accumulator_bound, float_bias, round_weights
from mcugen.program import KernelCall
from mcugen.tflite_arithmetic import quantize_multiplier, requantize

Array = npt.NDArray[Any]


def tflite_quantize(
    node: Node, graph: Graph, context: QuantContext, *, single_product: bool = False
) -> tuple[Node, dict[str, Array]]:
    """The integer node with constants weights, bias (input zero point folded in), multiplier and exponent.

    `single_product`: the input's and the weights' scale are multiplied in float32 first, as fully connected layers do it.
    """
    in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
    bias = float_bias(node, graph)
    given = context.weights.get(node.name)
    weights, scale = given or round_weights(graph.constant(node.inputs[1]), in_quant, out_quant, bias)
    if weights.dtype != np.int8:
        raise refusal(
            node, graph, "TensorFlow Lite has no zero points of weights", hint="build it with `--arithmetic default`"
        )
    product = _product(in_quant, scale, single=single_product)
    multiplier, exponent = quantize_multiplier(product / float(out_quant.scale))
    integers = np.rint(bias / (float(in_quant.scale) * scale))
    reach = accumulator_bound(weights, integers, in_quant) * 2.0 ** np.maximum(exponent.astype(np.float64), 0)
    if np.any(reach >= INT32_LIMIT):
        raise refusal(
            node,
            graph,
            f"the accumulator of output channel {int(np.argmax(reach))} could overflow 32 bits",
            hint="its bias is too large for its weights, or its output's range is far too small",
        )
    sums = weights.astype(np.int64).reshape(len(weights), -1).sum(axis=1)
    constants = {
        "weights": weights,
        "bias": (integers.astype(np.int64) - int(in_quant.zero_point) * sums).astype(np.int32),
        "multiplier": multiplier,
        "exponent": exponent,
    }
    attrs = {k: v for k, v in node.attrs.items() if k not in ("clip_min", "clip_max")}
    attrs |= {"in_zero_point": int(in_quant.zero_point), "out_zero_point": int(out_quant.zero_point)}
    return replace(node, inputs=node.inputs[:1], attrs=attrs | integer_bounds(node, out_quant)), constants


def _product(in_quant: QuantParams, scale: Array, *, single: bool) -> Array:
    if single:
        return np.asarray(np.float32(in_quant.scale) * scale.astype(np.float32)).astype(np.float64)
    return np.asarray(float(in_quant.scale) * scale)


def tflite_output(node: Node, acc: Array, multiplier: Array, exponent: Array) -> Array:
    """Accumulators to int8, channels along the last axis."""
    a = node.attrs
    value = requantize(acc, multiplier, exponent) + a["out_zero_point"]
    return np.asarray(np.clip(value, a["act_min"], a["act_max"]).astype(np.int8))


def tflite_call(call: KernelCall, exponent: Array, function: str) -> KernelCall:
    """The portable kernel's call with TensorFlow Lite's rounding instead."""
    constants = {name: data for name, data in call.constants.items() if name != "shift"} | {"exponent": exponent}
    header = function.removeprefix("mcugen_") + ".h"
    return replace(call, function=function, headers=(header,), constants=constants, cycles=call.cycles * 1.1)


def tflite_case(graph: Graph) -> Graph:
    """An operator's test case with the operator's node in TensorFlow Lite's arithmetic."""
    graph = graph.copy()
    graph.nodes = [replace(node, op=f"tflite_{node.op}") for node in graph.nodes]
    return graph.check()

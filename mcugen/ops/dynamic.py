"""Tensors whose parameters are found at run time: block floating point, one exponent and zero point for a whole tensor.

A dynamic tensor of n values is n + 2 bytes: int8 integers q, an int8 exponent e, an int8 zero point z; `real = 2^e * (q - z)`.
A layer computes int32 values v, |v| < 2^30, whose unit is 2^E, and ends with `settle`: n is the smallest shift for which
`r(high, n) - r(low, n) <= 255`, with low and high the extremes of v and 0, and `r(v, n) = (v + 2^(n - 1)) >> n` (v itself for
n = 0); then `z = -128 - r(low, n)`, `q = z + r(v, n)`, and e is E + n, saturated to int8.
Rounding is within half a step 2^e, and e is the smallest possible: a step is below 1/127 of the range of this very tensor.
(Block floating point: J. H. Wilkinson, Rounding Errors in Algebraic Processes, 1963.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT, exact_matmul, quantize_multiplier, requantize
from mcugen.graph import DYNAMIC, DYNAMIC_BYTES, Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.refusal import refusal

Array = npt.NDArray[Any]

MANTISSA_BITS = 15
VALUE_LIMIT = 2.0**29
"""Products and biases stay below it, so that their sum stays below 2^30."""
SMALLEST = 2.0**-126
"""Scales and products below it, zero among them, count as this much where a logarithm is taken."""
LARGEST_SHIFT = 31
WIDEST = 255
"""The largest difference of an int8 and its zero point."""


def split(x: Array) -> tuple[Array, Array, Array]:
    """Integers `[N, n]`, exponents and zero points `[N, 1]` of a dynamic tensor, int64."""
    wide = x.astype(np.int64)
    return wide[:, :-DYNAMIC_BYTES], wide[:, -2:-1], wide[:, -1:]


def rounding_shift(value: Array, shift: Array) -> Array:
    """`value / 2^shift`, halves up; shifts of 31 and more are 31."""
    shift = np.minimum(shift, LARGEST_SHIFT)
    return np.asarray((value + ((np.int64(1) << shift) >> 1)) >> shift)


def settle(values: Array, exponent: Array) -> Array:
    """The dynamic tensor `[N, n + 2]` of values `[N, n]` in units of 2^exponent, `[N, 1]`."""
    low = np.minimum(values.min(axis=1, keepdims=True), 0)
    high = np.maximum(values.max(axis=1, keepdims=True), 0)
    shift = np.zeros_like(low)
    while np.any(wide := rounding_shift(high, shift) - rounding_shift(low, shift) > 255):
        shift = shift + wide
    zero_point = -128 - rounding_shift(low, shift)
    integers = zero_point + rounding_shift(values, shift)
    return np.concatenate([integers, np.clip(exponent + shift, -128, 127), zero_point], axis=1).astype(np.int8)


def binary_scale(scale: float) -> tuple[int, int]:
    """`mantissa` in [2^14, 2^15) and `exponent` with `scale ~ mantissa * 2^exponent`, to 2^-15 of it."""
    exponent = int(np.floor(np.log2(scale))) + 1 - MANTISSA_BITS
    mantissa = int(np.rint(scale / 2.0**exponent))
    return (mantissa, exponent) if mantissa < 1 << MANTISSA_BITS else (mantissa // 2, exponent + 1)


def product_parameters(node: Node, graph: Graph, *, common_shift: bool = False) -> tuple[dict[str, Array], int]:
    """weights, row_sums, multiplier and shift of a product with the matrix `node.inputs[1]` [O, K], and s.

    `p = requantize(sum(w * q) - z * sum(w))` is in units of 2^(e + s), with s the smallest for which |p| < 2^29 whatever the input,
    and with `common_shift` all rows have the same shift.  Raises UnsupportedModel where a sum could leave 32 bits.
    """
    weights, scale = _integer_weights(graph.tensors[node.inputs[1]])
    reach = np.abs(weights.astype(np.float64)).sum(axis=1) * WIDEST
    # rows of zeros need no scale of their own, which could be far from the others'
    scale = np.where(reach > 0, scale, np.minimum(scale, scale[reach > 0].max(initial=0)))
    exponent = int(np.ceil(np.log2(max(float((reach * scale).max()), SMALLEST) / VALUE_LIMIT)))
    if common_shift:
        most = int(np.ceil(np.log2(INT32_LIMIT / (reach.max() + 1)))) - 1
        # a multiplier of 2^31 is one too many
        exponent = max(exponent, int(np.floor(np.log2(scale.max() or SMALLEST))) + 2 - most)
        multiplier = np.floor(scale * 2.0 ** (32 - most - exponent) + 0.5)
        multiplier = np.minimum(multiplier, INT32_LIMIT - 1).astype(np.int32)
        shift = np.full(len(weights), max(most, 0), np.uint8)
    else:
        multiplier, shift = quantize_multiplier(scale / 2.0**exponent)
    if np.any((reach + 1) * 2.0 ** shift.astype(np.float64) >= INT32_LIMIT):
        raise refusal(
            node,
            graph,
            f"{weights.shape[1]} products a row whose rows differ too much in scale do not fit a 32-bit sum",
            hint="build it with `--activations static`",
        )
    row_sums = weights.astype(np.int64).sum(axis=1).astype(np.int32)
    return {"weights": weights, "row_sums": row_sums, "multiplier": multiplier, "shift": shift}, exponent


def product(q: Array, zero_point: Array, parameters: tuple[Array, Array, Array, Array]) -> Array:
    """p of `product_parameters` for integers [N, K] and zero points [N, 1]; int64 [N, O]."""
    weights, row_sums, multiplier, shift = parameters
    return requantize(exact_matmul(q, weights.T) - zero_point * row_sums, multiplier, shift, 0)


def _integer_weights(tensor: Tensor) -> tuple[Array, Array]:
    """int8 weights and the scale of every row: the model's own, or by minimum and maximum."""
    assert tensor.data is not None
    real = tensor.data.astype(np.float64)
    if tensor.quant is not None:
        scale = np.broadcast_to(tensor.quant.scale, (len(real),)).astype(np.float64)
        return np.rint(real / scale[:, None]).astype(np.int8), scale
    largest = np.abs(real).max(axis=1)
    scale = np.where(largest > 0, largest, largest.max() or 1.0) / 127
    return np.rint(real / scale[:, None]).astype(np.int8), scale


def dynamic_input(builder: GraphBuilder, shape: tuple[int, ...]) -> str:
    """A model input whose parameters are found at run time."""
    name = builder.input("x", shape)
    builder.graph.tensors[name] = replace(builder.graph.tensors[name], quant=DYNAMIC)
    return name

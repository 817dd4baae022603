"""The input's product of a recurrent layer whose input finds its parameters at run time: no calibration.

Integers (dynamic.py has tensors, r and p, in units of 2^(e + s) at the scale 2^-12 of the gates' sums): with `n = -(e + s)` the
product is `r(p, n) + b` where n >= 0, else `clamp(p, -2^(29 - m), 2^(29 - m)) * 2^m + b` with `m = min(-n, 29)`; b is the bias,
int32 at scale 2^-12, |b| < 2^29.  It then takes the place of `requantize(acc_x, M_x)` (recurrent.py).
Error: a unit of 2^-12 by two roundings, 2^-24 of p from the multiplier, and half a unit of p, below 2^-29 of its largest value.
A product beyond 2^29 saturates, where a sum is far beyond what the curves tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.dynamic import VALUE_LIMIT, product, product_parameters, rounding_shift, split
from mcugen.ops.weighted import float_bias

Array = npt.NDArray[Any]

VALUE_BITS = 29
"""log2 of VALUE_LIMIT."""


def input_parameters(node: Node, graph: Graph, sum_bits: int) -> tuple[dict[str, Array], dict[str, int]]:
    """Constants, `in_row_sums` last, and attributes of the product of a recurrent node's input and weights."""
    found, exponent = product_parameters(node, graph, common_shift=True)
    bias = np.rint(float_bias(node, graph) * 2.0**sum_bits)
    found["bias"] = np.clip(bias, 1 - VALUE_LIMIT, VALUE_LIMIT - 1).astype(np.int32)
    order = ("weights", "bias", "multiplier", "shift", "row_sums")
    steps = graph.tensors[node.inputs[0]].shape[1]
    return {f"in_{part}": found[part] for part in order}, {"in_exponent": exponent + sum_bits, "steps": steps}


@dataclass(frozen=True)
class DynamicInput:
    """Integers [N, T, I] of dynamic tensors, with zero points and n [N, 1], and the sums of the rows of weights."""

    x: Array
    zero_point: Array
    shift: Array
    row_sums: Array

    @staticmethod
    def of(node: Node, x: Array, row_sums: Array) -> DynamicInput:
        q, exponent, zero_point = split(x)
        steps = q.reshape(len(q), node.attrs["steps"], -1)
        return DynamicInput(steps, zero_point, -(exponent + node.attrs["in_exponent"]), row_sums)

    def product(self, q: Array, weights: Array, bias: Array, multiplier: Array, shift: Array, rows: slice) -> Array:
        """The product for q [N, I], a step of x, and some rows of the matrix; int64."""
        p = product(q, self.zero_point, (weights, self.row_sums[rows], multiplier, shift))
        left = np.clip(-self.shift, 0, VALUE_BITS)
        limit = np.int64(1) << (VALUE_BITS - left)
        right = rounding_shift(p, np.maximum(self.shift, 0))
        return np.asarray((np.clip(right, -limit, limit) << left) + bias)

"""Rounding of a recurrent layer's weights: the products of its input and of its state, each as a layer of its own.

The state's rows are those of the float layer over the samples, which differ from the integer ones by little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Node, QuantParams
from mcugen.ops import operator
from mcugen.ops.recurrent import STATE, SUM
from mcugen.ops.weighted import round_weights
from mcugen.quantize.layer_data import sample_positions
from mcugen.quantize.layer_problem import RoundingOptions, layer_problem, round_to_int8

Array = npt.NDArray[Any]


def round_recurrent(
    node: Node,
    inputs: Sequence[Array],
    in_quant: QuantParams,
    x_integers: Array,
    options: RoundingOptions,
    *,
    seed: int,
) -> tuple[Array, Array]:
    """Integers [G * H, I + H], the matrices of input and state side by side, and scales [G * H, 2].

    `inputs`: the float node's, x [N, T, I]; `x_integers`: x of the quantized layers before, with parameters `in_quant`.
    """
    x, weights, bias, state_weights, state_bias = inputs[:5]
    given = in_quant.dequantize(x_integers) if options.follow else x
    h = states_before(node, inputs)
    products = ((weights, bias, in_quant, x, given), (state_weights, state_bias, STATE, h, h))
    rounded = [_round_product(*product, options, seed=seed) for product in products]
    integers, scales = zip(*rounded, strict=True)
    return np.concatenate(integers, axis=1), np.stack(scales, axis=1)


def states_before(node: Node, inputs: Sequence[Array]) -> Array:
    """h that each step reads, in the order of the input's steps: [N, T, H]."""
    h = operator(node.op).evaluate(node.with_attrs(sequence=True), inputs)[0]
    first = np.broadcast_to(inputs[5], (len(h), h.shape[-1]))[:, None]
    parts = [h[:, 1:], first] if node.attrs["reverse"] else [first, h[:, :-1]]
    return np.concatenate(parts, axis=1)


def _round_product(
    weights: Array, bias: Array, quant: QuantParams, wanted: Array, given: Array, options: RoundingOptions, *, seed: int
) -> tuple[Array, Array]:
    samples, steps, depth = wanted.shape
    plain = round_weights(weights, quant, SUM, bias.astype(np.float64))
    limit = max(depth, len(weights))
    positions = sample_positions(samples * steps, limit, limit=options.row_values, seed=seed)
    exact, rounded = (array.reshape(1, -1, depth)[:, positions].astype(np.float64) for array in (wanted, given))
    matrix = weights[None].astype(np.float64)
    sample = positions // steps
    problem = layer_problem(matrix, bias, plain, quant, exact, rounded, sample, samples, (-np.inf, np.inf))
    integers, scales = round_to_int8(problem, matrix, options)
    return np.where(problem.dead[..., None], 0, integers)[0].astype(np.int8), scales[0]

"""Weights in fewer bits than int8: a grid and scales for a layer, and its integers on that grid.

Methods: scales and factors by search, on the layer's outputs; levels of a codebook by weighted one-dimensional k-means (S. Lloyd,
"Least squares quantization in PCM", 1982), a weight's importance being its input's variance, as in S. Kim et al., "SqueezeLLM",
ICML 2024; powers of two as in A. Zhou et al., "Incremental Network Quantization", ICLR 2017.

Shapes: weights [groups, outputs, depth], scales [groups, outputs], Hessians [groups, depth, depth]; all float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, QuantParams
from mcugen.ops.weighted import float_bias, round_weights, scales_that_fit
from mcugen.quantize import rounding
from mcugen.quantize.grid import INT8_LIMIT, Grid
from mcugen.quantize.layer_data import weight_matrix
from mcugen.weight_format import GROUP_REACH, INDEX_LIMIT, INT4_LIMIT, WEIGHT_FORMATS

Array = npt.NDArray[Any]

SHRINKS = tuple(np.linspace(1.0, 0.5, 11).tolist())
"""Scales that are tried, in parts of the one at which no weight is cut."""
ROUNDS = 4
"""How often the scales are fitted to the integers, and the integers to the scales."""
KMEANS_ROUNDS = 60
FACTORS = GROUP_REACH // INT4_LIMIT
"""The largest factor of a group."""


def round_to_format(
    weights: Array,
    hessian: Array,
    word: str,
    *,
    smallest_scales: Array,
    grid_scales: Array | float = 0.0,
    feedback: bool = True,
    sweeps: float = 1.0,
) -> tuple[Array, Array]:
    """Integers [groups, outputs, depth] of the weight format `word`, and scales [groups, outputs], not below the smallest.

    `hessian`: of the layer's inputs, positive definite; `grid_scales`: those from which on the grid follows the scales;
    `feedback` and `sweeps` as in RoundingOptions.
    """
    grid, scales = layer_grid(weights, hessian, word, grid_scales)
    scales = np.maximum(scales, smallest_scales)

    def rounded(scales: Array) -> Array:
        if feedback:
            return rounding.error_feedback(weights, scales, hessian, grid)
        return rounding.plain_rounding(weights, scales, grid)

    best = np.full(scales.shape, np.inf)
    q, chosen = np.zeros_like(weights), scales
    for shrink in SHRINKS:
        candidate = np.maximum(scales * shrink, smallest_scales)
        integers = rounded(candidate)
        error = rounding.quadratic_error(integers, candidate, weights, hessian)
        better = error < best * (1 - 1e-6)
        best = np.where(better, error, best)
        q, chosen = np.where(better[..., None], integers, q), np.where(better, candidate, chosen)
    if sweeps:
        for _ in range(ROUNDS):
            q = rounding.descend(q, chosen, weights, hessian, sweeps=sweeps, grid=grid)
            chosen = np.maximum(_fitted_scales(q, chosen, weights, hessian), smallest_scales)
        q = rounding.descend(q, chosen, weights, hessian, sweeps=sweeps, grid=grid)
    return q, chosen


def plain_weights(
    graph: Graph, activations: Mapping[str, QuantParams], formats: Mapping[str, str]
) -> dict[str, tuple[Array, Array]]:
    """Without samples: by node name of `formats` the nearest integers, at scales at which no weight is cut, and these scales."""
    found = {}
    for node in graph.nodes:
        if node.name not in formats:
            continue
        weights, bias = graph.constant(node.inputs[1]), float_bias(node, graph)
        plain, least = round_weights(weights, activations[node.inputs[0]], activations[node.outputs[0]], bias)
        matrix = weight_matrix(node, weights)
        same = np.broadcast_to(np.eye(matrix.shape[-1]), (len(matrix), matrix.shape[-1], matrix.shape[-1]))
        dead = np.asarray(~plain.reshape(len(weights), -1).any(axis=1))
        in_quant = activations[node.inputs[0]]
        chosen = np.where(dead, least, least * INT8_LIMIT / INDEX_LIMIT)
        for _ in range(ROUNDS if in_quant.dtype != "int8" else 1):
            grid, scales = layer_grid(matrix, same, formats[node.name], chosen.reshape(matrix.shape[:2]))
            chosen = np.where(dead, least, scales.reshape(-1))
            q = rounding.plain_rounding(matrix, chosen.reshape(scales.shape), grid).reshape(weights.shape)
            found[node.name] = (np.where(_columns(dead, q), 0, q).astype(integer_dtype(formats[node.name])), chosen)
            if in_quant.dtype != "int8":
                chosen = np.maximum(chosen, scales_that_fit(q, chosen, bias, in_quant))
    return found


def integer_dtype(word: str | None) -> str:
    """What the integers of a weight format, None: int8, are held in."""
    return "int16" if word is not None and WEIGHT_FORMATS[word].bits == 8 else "int8"


def _columns(flags: Array, like: Array) -> Array:
    """Flags by output channel, for weights with the output channel first."""
    return np.asarray(flags.reshape(-1, *[1] * (like.ndim - 1)))


def layer_grid(weights: Array, hessian: Array, word: str, smallest_scales: Array | float) -> tuple[Grid, Array]:
    """The grid of a weight format for a layer, and the scales at which it reaches the largest weight of each output.

    Where these would be below the smallest, the grid is for the smallest.
    """
    peak = np.maximum(np.abs(weights).max(axis=2), 1e-30)
    form = WEIGHT_FORMATS[word]
    if form.group:
        return _grouped_grid(weights, hessian, form.group, smallest_scales)
    if form.values is not None:
        levels = np.unique(np.array(form.values, np.float64))
        levels = levels[levels >= -levels.max()]
        return Grid(levels=levels), np.maximum(peak / levels.max(), smallest_scales)
    limit = INT8_LIMIT if form.bits == 4 else INDEX_LIMIT
    scales = np.maximum(peak / limit, smallest_scales)
    importance = np.diagonal(hessian, axis1=1, axis2=2)[:, None, :] * scales[..., None] ** 2
    values, share = (weights / scales[..., None]).reshape(-1), importance.reshape(-1)
    return Grid(levels=weighted_kmeans(values, share, 1 << form.bits)), scales


def _grouped_grid(
    weights: Array, hessian: Array, group: int, smallest_scales: Array | float
) -> tuple[Grid, Array]:
    """Seven steps to either side, and for each output and group of inputs a factor from the search of its best scale."""
    depth = weights.shape[-1]
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)[:, None, :]
    parts = []
    for first in range(0, depth, group):
        part, importance = weights[..., first : first + group], diagonal[..., first : first + group]
        peak = np.maximum(np.abs(part).max(axis=2), 1e-30) / INT4_LIMIT
        best, chosen = np.full(peak.shape, np.inf), peak
        for shrink in SHRINKS:
            step = (peak * shrink)[..., None]
            kept = np.clip(np.rint(part / step), -INT4_LIMIT, INT4_LIMIT) * step
            loss = ((kept - part) ** 2 * importance).sum(axis=2)
            best, chosen = np.where(loss < best, loss, best), np.where(loss < best, peak * shrink, chosen)
        parts.append(chosen)
    steps = np.stack(parts, axis=2)
    scales = np.maximum(steps.max(axis=2) / FACTORS, smallest_scales)
    factors = np.clip(np.rint(steps / scales[..., None]), 1, FACTORS)
    return Grid(limit=INT4_LIMIT, factors=np.repeat(factors, group, axis=2)[..., :depth]), scales


def weighted_kmeans(values: Array, importance: Array, count: int) -> Array:
    """At most `count` sorted integers that stand for `values` with little squared error, weighted by `importance`; 0 is one.

    From quantiles of the importance's cube root, which Panter and Dite's law for many levels asks for.
    """
    order = np.argsort(values, kind="stable")
    x, w = values[order], importance[order] + 1e-30 * max(float(importance.max()), 1e-30) + 1e-300
    spread = np.cumsum(np.cbrt(w))
    levels = x[np.searchsorted(spread, (np.arange(count) + 0.5) / count * spread[-1]).clip(0, len(x) - 1)]
    levels[[0, -1]] = x[[0, -1]]
    weight, moment = (np.append(0.0, np.cumsum(part)) for part in (w, w * x))
    for _ in range(KMEANS_ROUNDS):
        edges = np.searchsorted(x, (levels[1:] + levels[:-1]) / 2)
        first, last = np.append(0, edges), np.append(edges, len(x))
        mass = weight[last] - weight[first]
        centres = (moment[last] - moment[first]) / np.where(mass > 0, mass, 1)
        moved = np.sort(np.where(mass > 0, centres, levels))
        if np.array_equal(moved, levels):
            break
        levels = moved
    levels[np.abs(levels).argmin()] = 0.0
    return np.unique(np.rint(levels))


def _fitted_scales(integers: Array, scales: Array, weights: Array, hessian: Array) -> Array:
    """The scales with the least error for given integers, where that is a proper scale."""
    product = integers @ hessian
    power = np.einsum("gok,gok->go", product, integers)
    cross = np.einsum("gok,gok->go", product, weights)
    fitted = cross / np.where(power > 0, power, 1)
    return np.where((power > 0) & (fitted > 0), fitted, scales)

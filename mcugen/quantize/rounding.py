"""Rounding of a layer's weights so that its outputs, not its weights, stay close: error feedback and coordinate descent.

Methods: E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, "GPTQ", ICLR 2023 (error feedback through the Cholesky factor of the
inverse Hessian, which is OBQ in a fixed order); and coordinate descent on the same quadratic error, which stands in for the
learned rounding of M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (AdaRound), ICML 2020.

Shapes: weights [groups, outputs, depth], scales [groups, outputs], Hessians [groups, depth, depth]; all float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.quantize.grid import INT8_GRID, Grid

Array = npt.NDArray[Any]

SHRINKS = (1.0, 0.97, 0.94, 0.91, 0.88, 0.84, 0.8)


def plain_rounding(weights: Array, scales: Array, grid: Grid = INT8_GRID) -> Array:
    """The nearest integers of the grid."""
    return grid.nearest(weights / scales[..., None])


def quadratic_error(integers: Array, scales: Array, weights: Array, hessian: Array) -> Array:
    """`d^T H d` for every output [groups, outputs], d the error of the weights."""
    d = integers * scales[..., None] - weights
    return np.asarray(np.einsum("gok,gok->go", d @ hessian, d))


def error_feedback(weights: Array, scales: Array, hessian: Array, grid: Grid = INT8_GRID) -> Array:
    """Integers by GPTQ: columns in the order of falling diagonal, each error spread over the columns still free."""
    depth = weights.shape[-1]
    order = np.argsort(-np.diagonal(hessian, axis1=1, axis2=2).round(9), axis=1, kind="stable")
    rows = np.take_along_axis(weights, order[:, None, :], axis=2)
    sorted_hessian = np.take_along_axis(
        np.take_along_axis(hessian, order[:, :, None], axis=1), order[:, None, :], axis=2
    )
    factor = _inverse_factor(sorted_hessian)
    integers = np.empty_like(rows)
    block = 32
    for start in range(0, depth, block):
        stop = min(start + block, depth)
        errors = np.zeros((*rows.shape[:2], stop - start))
        for k in range(start, stop):
            integers[..., k] = grid.nearest_in_column(rows[..., k] / scales, order[:, k])
            error = (rows[..., k] - integers[..., k] * scales) / factor[:, None, k, k]
            rows[..., k + 1 : stop] -= error[..., None] * factor[:, None, k, k + 1 : stop]
            errors[..., k - start] = error
        if stop < depth:
            rows[..., stop:] -= errors @ factor[:, start:stop, stop:]
    result = np.empty_like(integers)
    np.put_along_axis(result, np.broadcast_to(order[:, None, :], integers.shape), integers, axis=2)
    return result


def _inverse_factor(hessian: Array) -> Array:
    """Upper Cholesky factor U of the inverse: H^-1 = U^T U."""
    flipped = hessian[:, ::-1, ::-1]
    lower = np.linalg.cholesky(flipped)
    identity = np.broadcast_to(np.eye(hessian.shape[-1]), hessian.shape)
    # H = J L L^T J  =>  H^-1 = (J L^-T J)(J L^-1 J), and J L^-1 J is upper triangular.
    return np.ascontiguousarray(np.linalg.solve(lower, identity)[:, ::-1, ::-1])


def descend(
    integers: Array, scales: Array, weights: Array, hessian: Array, *, sweeps: float, grid: Grid = INT8_GRID
) -> Array:
    """Improve `integers` by single steps along the grid: in every round each output takes its best step, while one helps.

    At most `sweeps * depth` rounds.
    """
    q = integers.copy()
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)[:, None, :]
    gradient = ((q * scales[..., None] - weights) @ hessian) * 2
    bend = diagonal * scales[..., None] ** 2
    up, down = grid.gaps(q)
    groups = np.arange(q.shape[0])[:, None]
    outputs = np.arange(q.shape[1])[None, :]
    for _ in range(max(1, int(sweeps * q.shape[-1]))):
        slope = gradient * scales[..., None]
        size = np.where(slope < 0, up, down)
        gain = (np.abs(slope) - bend * size) * size
        column = gain.argmax(axis=2)
        at = (groups, outputs, column)
        active = gain[at] > 1e-9 * np.abs(bend).max()
        if not active.any():
            break
        step = np.where(active, -np.sign(slope[at]) * size[at], 0.0)
        q[at] += step
        up[at], down[at] = grid.gaps_at(q[at], at)
        gradient += 2 * (step * scales)[..., None] * hessian[groups, column]
    return q


def search_scales(weights: Array, scales: Array, hessian: Array) -> Array:
    """Per output the scale among `SHRINKS` of the given one with the least rounding error, weighted by the Hessian's diagonal."""
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)[:, None, :]
    best, chosen = np.full(scales.shape, np.inf), scales
    for shrink in SHRINKS:
        candidate = scales * shrink
        error = (plain_rounding(weights, candidate) * candidate[..., None] - weights) ** 2
        loss = (error * diagonal).sum(axis=2)
        better = loss < best * (1 - 1e-6)
        best, chosen = np.where(better, loss, best), np.where(better, candidate, chosen)
    return chosen

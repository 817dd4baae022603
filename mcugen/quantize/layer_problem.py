"""The rounding of one layer's weights as a problem of its own: what it reads, what it should give, and the int8 weights for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import QuantParams
from mcugen.ops.weighted import ACCUMULATOR_MARGIN, accumulator_bound, scales_that_fit
from mcugen.quantize import rounding
from mcugen.quantize.reconstruction import FOLDS, Moments, damped, moments, shrunk

Array = npt.NDArray[Any]

FAST_ACCUMULATOR = 2.0**23
"""Kernels whose accumulator is scaled by 256 need it below this: a channel that keeps it when rounded plainly keeps it here."""
COARSEST = 8.0
LEAST_UNSATURATED = 0.5
"""With fewer rows inside the input's range all rows count."""


@dataclass(frozen=True)
class RoundingOptions:
    """Which parts of the sequential method are on, and how.

    `damping`: the part of the Hessian's mean diagonal that is added to it: what rounding must not learn by heart from few samples.
    """

    fit: bool = True
    bias: bool = True
    feedback: bool = True
    scales: bool = True
    sweeps: float = 1.0
    damping: float = 0.15
    follow: bool = True
    row_values: int = 3_000_000


@dataclass(frozen=True)
class LayerProblem:
    """One layer's rounding problem; see rounding.py for shapes.

    `dead` [groups, outputs]: channels that are constant; `smallest_scales`: below them an accumulator could grow too large;
    `given` and `wanted` [groups, rows, ...]: quantized inputs, float outputs before the activation; `sample` of each row;
    `in_quant`: of the inputs.
    """

    weights: Array
    bias: Array
    scales: Array
    smallest_scales: Array
    dead: Array
    moments: Moments
    power: float
    given: Array
    wanted: Array
    bounds: tuple[float, float]
    sample: Array
    in_quant: QuantParams

    @property
    def rows(self) -> int:
        return len(self.sample)


def layer_problem(
    matrix: Array,
    bias: Array,
    plain: tuple[Array, Array],
    in_quant: QuantParams,
    wanted: Array,
    given: Array,
    sample: Array,
    samples: int,
    bounds: tuple[float, float],
) -> LayerProblem:
    """The problem of weights [groups, outputs, depth] and a bias [groups * outputs], plainly rounded to integers and scales `plain`.

    `wanted`, `given` [groups, rows, depth]: the inputs in float and quantized; `sample` [rows]: each one's, of `samples`.
    """
    groups, outputs, _ = matrix.shape
    integers, scales = plain
    target = wanted @ matrix.transpose(0, 2, 1)
    blocks = sample * min(FOLDS, samples) // samples
    folds = np.where(_saturated(wanted, in_quant), -1, blocks)
    if np.mean(folds >= 0) < LEAST_UNSATURATED:
        folds = blocks
    return LayerProblem(
        matrix,
        bias.reshape(groups, outputs),
        scales.reshape(groups, outputs),
        _smallest_scales(integers, scales, bias, in_quant).reshape(groups, outputs),
        ~np.any(integers.reshape(groups, outputs, -1), axis=2),
        moments(given, target - given @ matrix.transpose(0, 2, 1), folds),
        float(((target - target.mean(axis=1, keepdims=True)) ** 2).sum()),
        given,
        target + bias.reshape(groups, 1, outputs),
        bounds,
        sample,
        in_quant,
    )


def _smallest_scales(plain: Array, scales: Array, bias: Array, in_quant: QuantParams) -> Array:
    """The scales [outputs] at which accumulators stay below `FAST_ACCUMULATOR`, or as large as plain rounding has them.

    A channel whose bias is large for its weights takes coarser weights for it, within `COARSEST`.  Sums of int16 stay within
    32 bits.
    """
    if in_quant.dtype != "int8":
        return scales_that_fit(plain, scales, bias, in_quant)
    bound = accumulator_bound(plain, bias / (float(in_quant.scale) * scales), in_quant)
    growth = bound / (FAST_ACCUMULATOR * ACCUMULATOR_MARGIN)
    return np.asarray(scales * np.where(growth <= COARSEST, growth, 1.0))


def _saturated(rows: Array, quant: QuantParams) -> Array:
    """Which rows [groups, rows, depth] hold a value outside the range; a fit to them would bend all others."""
    low, high = (float(quant.scale) * (bound - int(quant.zero_point)) for bound in (quant.low, quant.high))
    half = float(quant.scale) / 2
    return np.asarray(((rows < low - half) | (rows > high + half)).any(axis=(0, 2)))


def round_to_int8(problem: LayerProblem, weights: Array, options: RoundingOptions) -> tuple[Array, Array]:
    """Integers [groups, outputs, depth] in [-127, 127] and scales [groups, outputs]."""
    dead, m = problem.dead, problem.moments
    peak = np.abs(weights).max(axis=2)
    grown = peak / np.maximum(np.abs(problem.weights).max(axis=2), 1e-300)
    scales = np.where(dead, problem.scales, problem.scales * np.where(grown > 0, grown, 1))
    hessian = damped(shrunk(m), options.damping)
    if options.scales:
        scales = np.where(dead, scales, rounding.search_scales(weights, scales, hessian))
    scales = np.maximum(scales, problem.smallest_scales)
    q = (
        rounding.error_feedback(weights, scales, hessian)
        if options.feedback
        else rounding.plain_rounding(weights, scales)
    )
    if options.sweeps:
        q = rounding.descend(q, scales, weights, hessian, sweeps=options.sweeps)
    return q, scales

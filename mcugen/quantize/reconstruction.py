"""Layer-wise reconstruction: real-valued weights and bias that give the float layer's outputs from the quantized inputs.

Method: the least-squares solution of I. Hubara et al., "Accurate Post Training Quantization With Small Calibration Sets"
(AdaQuant), ICML 2021, in closed form, drawn towards the float weights by as much as cross-validation over the samples asks for;
the bias is the empirical bias correction of Nagel et al. 2019 on the quantized prefix.  Covariances are shrunk towards their
diagonal as in O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FOLDS = 4
DAMPINGS = (0.01, 0.1, 1.0)
ROUNDOFF = 1e-10
"""The part of the inputs' power that subtracting the means may leave as an error."""
LEAST_GAIN = 0.9
"""A fit must leave at most this part of the error on samples that it has not seen."""


@dataclass(frozen=True)
class Moments:
    """Sums over rows of one layer: quantized inputs with a one appended (x'), and errors r = y - W x - b of the float weights.

    `inputs` [folds, groups, depth + 1, depth + 1] = sum x' x'^T; `cross` [folds, groups, outputs, depth + 1] = sum r x'^T;
    `power` [folds, groups, outputs] = sum r^2; `rows` [folds].
    """

    inputs: Array
    cross: Array
    power: Array
    rows: Array

    def total(self) -> Moments:
        return Moments(*(part.sum(axis=0, keepdims=True) for part in (self.inputs, self.cross, self.power, self.rows)))

    def without(self, fold: int) -> Moments:
        kept = [f for f in range(len(self.rows)) if f != fold]
        return Moments(self.inputs[kept], self.cross[kept], self.power[kept], self.rows[kept]).total()


def moments(x: Array, residual: Array, folds: Array) -> Moments:
    """`x` [groups, rows, depth], `residual` [groups, rows, outputs], `folds` [rows] the fold number of each row."""
    ones = np.ones((*x.shape[:2], 1))
    extended = np.concatenate([x, ones], axis=2)
    parts = []
    for fold in range(int(folds.max()) + 1):
        rows = folds == fold
        part, errors = extended[:, rows], residual[:, rows]
        transposed = part.transpose(0, 2, 1)
        power = (errors**2).sum(axis=1)
        parts.append((transposed @ part, (transposed @ errors).transpose(0, 2, 1), power, int(rows.sum())))
    inputs, cross, totals, counts = zip(*parts, strict=True)
    return Moments(np.stack(inputs), np.stack(cross), np.stack(totals), np.array(counts))


def covariance(m: Moments) -> Array:
    """The inputs' covariance [groups, depth, depth] about their mean, positive definite also for inputs that never change."""
    total = m.total()
    second = total.inputs[0] / max(int(total.rows[0]), 1)
    mean = second[:, -1, :-1]
    centred = second[:, :-1, :-1] - mean[:, :, None] * mean[:, None, :]
    power = np.diagonal(second[:, :-1, :-1], axis1=1, axis2=2).mean(axis=1)
    return np.asarray(centred + (power * ROUNDOFF)[:, None, None] * np.eye(centred.shape[-1]))


def shrunk(m: Moments) -> Array:
    """The covariance drawn towards its diagonal by the ratio of its variance between folds to its size off the diagonal."""
    full = covariance(m)
    folds = len(m.rows)
    diagonal = full * np.eye(full.shape[-1])
    if folds < 2:
        return full
    parts = np.stack(
        [covariance(Moments(*(a[f : f + 1] for a in (m.inputs, m.cross, m.power, m.rows)))) for f in range(folds)]
    )
    spread = ((parts - full) ** 2).sum(axis=(0, 2, 3)) / (folds * (folds - 1))
    size = np.maximum(((full - diagonal) ** 2).sum(axis=(1, 2)), 1e-60)
    share = np.minimum(spread / size, 1.0)[:, None, None]
    return np.asarray((1 - share) * full + share * diagonal)


def damped(hessian: Array, damping: float) -> Array:
    """The Hessian plus `damping` times its mean diagonal on the diagonal (never zero)."""
    mean = np.diagonal(hessian, axis1=1, axis2=2).mean(axis=1)
    extra = np.maximum(mean * damping, 1e-30)
    return np.asarray(hessian + extra[:, None, None] * np.eye(hessian.shape[-1]))


def _change(m: Moments, damping: float) -> Array:
    """The ridge solution for the change of [weights, bias]: [groups, outputs, depth + 1]; the bias is not damped."""
    total = m.total()
    rows = max(int(total.rows[0]), 1)
    second = total.inputs[0] / rows
    cross = total.cross[0] / rows
    mean = second[:, -1, :-1]
    centred_cross = cross[..., :-1] - cross[..., -1:] * mean[:, None, :]
    hessian = damped(covariance(total), damping)
    weights = np.linalg.solve(hessian, centred_cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    bias = cross[..., -1] - np.einsum("gok,gk->go", weights, mean)
    return np.concatenate([weights, bias[..., None]], axis=2)


def error_after(change: Array, m: Moments) -> Array:
    """Sum of squared errors per group over the rows of `m` once [weights, bias] have changed."""
    total = m.total()
    linear = (change * total.cross[0]).sum(axis=(1, 2))
    quadratic = ((change @ total.inputs[0]) * change).sum(axis=(1, 2))
    return np.asarray(total.power[0].sum(axis=1) - 2 * linear + quadratic)


def fit_weights(weights: Array, m: Moments) -> tuple[Array, float | None]:
    """Weights [groups, outputs, depth] fitted by ridge regression; the damping by cross-validation, None where no fit helps."""
    if len(m.rows) < 2:
        return weights, None
    best: tuple[float, float | None] = (_validated(m, None), None)
    for damping in DAMPINGS[::-1]:
        error = _validated(m, damping)
        if error < best[0] * LEAST_GAIN:
            best = (error, damping)
    if best[1] is None:
        return weights, None
    return weights + _change(m, best[1])[..., :-1], best[1]


def _validated(m: Moments, damping: float | None) -> float:
    total = 0.0
    for fold in range(len(m.rows)):
        others = m.without(fold)
        change = _change(others, damping if damping is not None else 1e9)
        held_out = Moments(*(a[fold : fold + 1] for a in (m.inputs, m.cross, m.power, m.rows)))
        total += float(error_after(change, held_out).sum())
    return total

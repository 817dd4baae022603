"""How much more saturation costs than rounding, for each unit of a tensor's squared error, at the model's outputs.

Rounding errors are independent and average out over the places that a pool or a wide layer sums up; the few large values that
saturate do not.  Method: as in Y. Nahshan et al., "Loss Aware Post-Training Quantization", Machine Learning 110, 2021, each
error is made alone and judged where it is felt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import is_batchable
from mcugen.graph import Graph
from mcugen.quantize.goals import goal_tensors
from mcugen.quantize.range_search import error_at_goals, float_values

Array = npt.NDArray[Any]

SATURATING = 0.1
"""The part of the samples whose largest, or smallest, value is cut."""
STEPS = 255
PILED_UP = 1e-6
"""An excess below this part of the largest value is no tail: values pile up at the end, as at the zero of a Relu."""


def saturation_weights(graph: Graph, samples: Mapping[str, Array], names: Sequence[str]) -> dict[str, float]:
    """For every tensor of `names` what a saturated value's squared error counts where a rounded one's counts 1, at least 1.

    The square root of the ratio measured on `samples`: the few that saturate tell its order, not its size.  What forgives
    saturation on them may not on others.  A graph that mixes its batch axis with others gives too few samples: 1.
    """
    if not is_batchable(graph):
        return dict.fromkeys(names, 1.0)
    values, goals = float_values(graph, samples), goal_tensors(graph)
    return {name: math.sqrt(max(1.0, _ratio(graph, values, name, goals))) for name in names}


def _ratio(graph: Graph, values: Mapping[str, Array], name: str, goals: Sequence[str]) -> float:
    x = values[name].astype(np.float64)
    step = (max(float(x.max()), 0.0) - min(float(x.min()), 0.0)) / STEPS
    cut = _saturated(x)
    excess = float(((x - cut) ** 2).sum())
    if step <= 0 or excess <= 0:
        return 1.0
    rounding = error_at_goals(graph, values, name, np.rint(x / step) * step, goals) / (x.size * step**2 / 12)
    return error_at_goals(graph, values, name, cut, goals) / excess / rounding if rounding > 0 else 1.0


def _saturated(x: Array) -> Array:
    """`x` [samples, ...] cut at both ends so far that a part `SATURATING` of the samples is touched."""
    rows = x.reshape(len(x), -1)
    return -_cut_above(-_cut_above(x, rows.max(axis=1)), -rows.min(axis=1))


def _cut_above(x: Array, largest: Array) -> Array:
    """`x` cut at one of the samples' `largest` values, where these are positive and have a tail."""
    ordered = np.sort(largest)[::-1]
    bound = max(float(ordered[min(max(1, int(len(ordered) * SATURATING)), len(ordered) - 1)]), 0.0)
    if ordered[0] - bound <= PILED_UP * max(float(ordered[0]), 0.0):
        return x
    return np.minimum(x, bound)

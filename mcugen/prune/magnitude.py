"""Magnitude pruning: the smallest weights become zero; shapes stay.

S. Han, J. Pool, J. Tran, W. J. Dally, Learning both Weights and Connections for Efficient Neural Networks, 2015;
between layers by the score of J. Lee, S. Park, S. Mo, S. Ahn, J. Shin, Layer-adaptive Sparsity for the
Magnitude-based Pruning, 2021.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import McugenError
from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.prune.reconstruction import match

Array = npt.NDArray[Any]

SCOPES = ("global", "layer")


def prune_weights(
    graph: Graph,
    fraction: float,
    *,
    scope: str = "global",
    samples: Mapping[str, Array] | None = None,
    skip: Collection[str] = (),
) -> Graph:
    """A float graph with `fraction` of its weights set to zero: those that were zero already count.

    `scope`: "layer" takes the same fraction of every layer, "global" of all together, by each weight's share of what
    would be left of its layer (so that layers of different scale compare, and none loses its last weight).  With
    `samples` (arrays by input name) biases are corrected to keep every layer's mean output.  `skip` names nodes to
    leave as they are.
    Raises McugenError for a fraction outside [0, 1) or an unknown scope.
    """
    check_choice(fraction, scope)
    names = {node.inputs[1]: node for node in weighted_nodes(graph) if node.name not in skip}
    sizes = [graph.tensors[name].size for name in names]
    scores = [_layer_score(graph.constant(name)) for name in names]
    if scope == "global":
        chosen = np.split(_smallest(np.concatenate([np.zeros(0), *scores]), fraction), np.cumsum(sizes)[:-1])
    else:
        chosen = [_smallest(score, fraction) for score in scores]
    result = graph.copy()
    for name, zero in zip(names, chosen, strict=False):
        data = np.where(zero.reshape(graph.tensors[name].shape), 0, graph.constant(name))
        result.tensors[name] = replace(graph.tensors[name], data=data.astype(graph.constant(name).dtype))
    return result if samples is None else match(graph, result, samples)


def check_choice(fraction: float, scope: str) -> None:
    """Raise McugenError for what a user may get wrong."""
    if not 0 <= fraction < 1:
        raise McugenError(
            f"prune: the fraction is {fraction:g}; it must be at least 0 and less than 1", hint="0.5 prunes one half"
        )
    if scope not in SCOPES:
        raise McugenError(f"prune: no scope '{scope}'", hint=f"choose {' or '.join(SCOPES)}")


def weighted_nodes(graph: Graph) -> list[Node]:
    """The nodes with constant weights in their second input."""
    return [n for n in graph.nodes if operator(n.op).weight_input == 1 and graph.is_constant(n.inputs[1])]


def _smallest(score: Array, fraction: float) -> Array:
    """The `fraction` of elements with the lowest score; of equal ones those that come first."""
    chosen = np.zeros(score.size, bool)
    chosen[np.argsort(score, kind="stable")[: int(fraction * score.size)]] = True
    return chosen


def _layer_score(weights: Array) -> Array:
    return adaptive_score(np.square(weights.astype(np.float64)).reshape(-1))


def adaptive_score(energy: Array) -> Array:
    """Each element's share of itself and all elements that are larger; 1 for the largest, 0 for zeros."""
    order = np.argsort(energy, kind="stable")
    left = np.cumsum(energy[order][::-1])[::-1]
    score = np.empty(energy.size)
    score[order] = energy[order] / np.maximum(left, np.finfo(np.float64).tiny)
    return score

"""Layers whose weights have larger steps because they read int16: what is told of them.

A sum of int16 times int8 must keep to 32 bits (weighted.accumulator_bound), so that a long row, or one with a large bias, cannot
use its format's whole range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, QuantParams
from mcugen.ops.weighted import float_bias, has_weights, round_weights, scales_that_fit
from mcugen.quantize.grid import INT8_LIMIT
from mcugen.weight_format import GROUP_REACH, INDEX_LIMIT, WEIGHT_FORMATS

Array = npt.NDArray[Any]

TOLD = 1.05
"""Steps that grow by less are not worth a word."""


@dataclass(frozen=True)
class Coarser:
    """A layer of whose `channels` output channels `coarser` have steps up to `growth` times those that int8 inputs allow."""

    layer: str
    coarser: int
    channels: int
    growth: float

    def __str__(self) -> str:
        return (
            f"'{self.layer}' reads int16, and to keep its sums in 32 bits the weights of {self.coarser} of {self.channels} output "
            f"channels have larger steps, up to {self.growth:.2f} times: {np.log2(self.growth):.1f} bits less"
        )


def coarser_layers(graph: Graph, activations: Mapping[str, QuantParams], formats: Mapping[str, str]) -> list[Coarser]:
    """The layers of a float graph that its int16 tensors make coarser, in execution order; `formats`: of weights by node name."""
    found = []
    for node in graph.nodes:
        if not has_weights(node) or activations[node.inputs[0]].dtype == "int8":
            continue
        in_quant, out_quant = activations[node.inputs[0]], activations[node.outputs[0]]
        weights, bias = graph.constant(node.inputs[1]).astype(np.float64), float_bias(node, graph)
        flat = weights.reshape(len(weights), -1)
        scale = np.maximum(np.abs(flat).max(axis=1), 1e-30) / _largest(formats.get(node.name))
        needed = scales_that_fit(flat / scale[:, None], scale, bias, in_quant)
        rounded, _ = round_weights(weights, in_quant, out_quant, bias)
        alive = rounded.reshape(len(weights), -1).any(axis=1)  # the output of the others is a constant
        growth = np.where(alive, needed / scale, 0)
        if growth.max() > TOLD:
            name = "+".join(dict.fromkeys(node.origin)) or node.name
            found.append(Coarser(name, int(np.sum(growth > TOLD)), len(flat), float(growth.max())))
    return found


def _largest(word: str | None) -> int:
    """The largest integer of a format of weights, None: int8."""
    if word is None:
        return INT8_LIMIT
    form = WEIGHT_FORMATS[word]
    if form.group:
        return GROUP_REACH
    if form.values is not None:
        return max(form.values)
    return INT8_LIMIT if form.bits == 4 else INDEX_LIMIT

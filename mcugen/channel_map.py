"""Which channels of the model's tensors an integer graph still has, and how each is scaled there.

Pruning and the removal of dead channels take channels away, and equalization scales them between layers: without this record
the tensors in between could not be compared with the model's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import UnsupportedModel
from mcugen.graph import DynamicQuantParams, Graph

Array = npt.NDArray[Any]

SCHEMA = 1
STEPS_PER_OCTAVE = 16
"""Equalization scales channels by powers of 2^(1/16)."""


@dataclass(frozen=True)
class ChannelMap:
    """Of one tensor: `index` [kept], the channels (last axis) of the model's tensor that are left, and `exponents` [kept], int:
    integers stand for the model's values times `2^(exponent / 16)`."""

    index: Array
    exponents: Array

    @property
    def scale(self) -> Array:
        return np.asarray(2.0 ** (self.exponents / STEPS_PER_OCTAVE))

    def forth(self, values: Array) -> Array:
        """The model's values [..., channels] as the integer graph has them [..., kept], float64."""
        return np.asarray(values[..., self.index] * self.scale)

    def back(self, values: Array, others: Array) -> Array:
        """The integer graph's real values [..., kept] in the model's channels, the rest taken from `others`; float64."""
        result = np.array(others, np.float64)
        result[..., self.index] = values / self.scale
        return result


def channel_maps(
    original: Graph,
    integer: Graph,
    *,
    pruned: Mapping[str, Array] | None = None,
    scales: Mapping[str, Array] | None = None,
    live: Mapping[str, Array] | None = None,
) -> dict[str, ChannelMap]:
    """The maps of all activations that the graphs share and that differ in channels, by name.

    `pruned`: masks over `original`'s channels, of what channel pruning kept; `scales`: equalization's factor of every channel left
    then; `live`: masks over the same, of what the removal of dead channels kept.
    """
    found = {}
    for name in integer.activations():
        if name not in original.tensors or not original.tensors[name].shape:
            continue
        index = np.arange(original.tensors[name].shape[-1])
        if pruned and name in pruned:
            index = index[pruned[name]]
        factor = np.ones(len(index)) if not scales or name not in scales else scales[name]
        whole = not live or name not in live or isinstance(integer.tensors[name].quant, DynamicQuantParams)
        alive = np.ones(len(index), bool) if whole or live is None else live[name]
        exponents = np.rint(np.log2(factor) * STEPS_PER_OCTAVE).astype(np.int64)[alive]
        if not alive.all() or exponents.any() or len(index) < original.tensors[name].shape[-1]:
            found[name] = ChannelMap(index[alive], exponents)
    return found


def channel_maps_text(maps: Mapping[str, ChannelMap]) -> str:
    """The maps as a file's content; tensors without a map are the model's own."""
    tensors = {
        name: {"channels": found.index.tolist(), "exponents": found.exponents.tolist()}
        for name, found in sorted(maps.items())
    }
    return json.dumps({"schema": SCHEMA, "tensors": tensors}, separators=(",", ":")) + "\n"


def read_channel_maps(text: str, where: str) -> dict[str, ChannelMap]:
    """What `channel_maps_text` wrote; raises UnsupportedModel for anything else."""
    try:
        record = json.loads(text)
        if record["schema"] != SCHEMA:
            raise UnsupportedModel(f"{where}: written by another version of mcugen", hint="build the folder again")
        return {
            name: ChannelMap(np.array(entry["channels"], np.int64), np.array(entry["exponents"], np.int64))
            for name, entry in record["tensors"].items()
        }
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnsupportedModel(f"{where}: not a record of channels ({error})", hint="build the folder again") from None

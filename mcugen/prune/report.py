"""What pruning removed, layer by layer, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import evaluate
from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.prune.magnitude import weighted_nodes

Array = npt.NDArray[Any]

CHUNK = 16


@dataclass(frozen=True)
class PrunedLayer:
    """A layer before and after: output channels, weights that are not zero, multiply-accumulates (zeros count).

    `sqnr` is the signal-to-noise ratio in dB of its output, on the channels left, against the graph before: what all
    pruning up to this layer costs.  None without samples, where nothing differs, and where the channels left are not
    known.
    """

    name: str
    op: str
    channels_before: int
    channels_after: int
    weights_before: int
    weights_after: int
    macs_before: int
    macs_after: int
    sqnr: float | None = None


@dataclass(frozen=True)
class PruneReport:
    """The layers in execution order, and the ratio of each graph output (None: equal, or no samples)."""

    layers: tuple[PrunedLayer, ...]
    outputs: Mapping[str, float | None]

    @property
    def macs_before(self) -> int:
        return sum(layer.macs_before for layer in self.layers)

    @property
    def macs_after(self) -> int:
        return sum(layer.macs_after for layer in self.layers)

    @property
    def weights_before(self) -> int:
        return sum(layer.weights_before for layer in self.layers)

    @property
    def weights_after(self) -> int:
        return sum(layer.weights_after for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the JSON report."""
        return {
            "macs_before": self.macs_before,
            "macs_after": self.macs_after,
            "weights_before": self.weights_before,
            "weights_after": self.weights_after,
            "outputs": dict(self.outputs),
            "layers": [asdict(layer) for layer in self.layers],
        }


def prune_report(
    before: Graph,
    after: Graph,
    samples: Mapping[str, Array] | None = None,
    *,
    keep: Mapping[str, Array] | None = None,
) -> PruneReport:
    """Compare a float graph with its pruned form; `keep` says which channels were left where channels were removed."""
    left = after.producers()
    pairs = [(node, left[node.outputs[0]]) for node in weighted_nodes(before) if node.outputs[0] in left]
    names = [old.outputs[0] for old, _ in pairs]
    ratios = {} if samples is None else _ratios(before, after, samples, sorted({*names, *before.outputs}), keep or {})
    layers = [_layer(before, after, old, new, ratios.get(old.outputs[0])) for old, new in pairs]
    return PruneReport(tuple(layers), {name: ratios.get(name) for name in before.outputs})


def _layer(before: Graph, after: Graph, old: Node, new: Node, sqnr: float | None) -> PrunedLayer:
    sizes = []
    for graph, node in ((before, old), (after, new)):
        weights = int(np.count_nonzero(graph.constant(node.inputs[1])))
        sizes.append((graph.tensors[node.outputs[0]].shape[-1], weights, operator(node.op).cost(node, graph).macs))
    (channels, weights, macs), (channels_left, weights_left, macs_left) = sizes
    return PrunedLayer(old.name, old.op, channels, channels_left, weights, weights_left, macs, macs_left, sqnr)


def _ratios(
    before: Graph, after: Graph, samples: Mapping[str, Array], names: list[str], keep: Mapping[str, Array]
) -> dict[str, float | None]:
    """10 log10(sum of squares / sum of squared differences), by tensor."""
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    known = [n for n in names if n in keep or before.tensors[n].shape == after.tensors[n].shape]
    total = len(next(iter(samples.values())))
    for start in range(0, total, CHUNK):
        batch = {name: array[start : start + CHUNK] for name, array in samples.items()}
        wanted, got = (evaluate(graph, batch, keep=known) for graph in (before, after))
        for name in known:
            old = wanted[name][..., keep[name]] if name in keep else wanted[name]
            signal[name] += float(np.square(old.astype(np.float64)).sum())
            noise[name] += float(np.square(old.astype(np.float64) - got[name]).sum())
    return {n: 10 * float(np.log10(signal[n] / noise[n])) if noise[n] and signal[n] else None for n in known}

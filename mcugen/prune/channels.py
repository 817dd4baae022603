"""Channel pruning: whole channels are removed from the layers that make them and from all that read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import McugenError
from mcugen.execute import evaluate_batches
from mcugen.graph import Graph
from mcugen.prune.groups import ChannelGroups, channel_groups, channels, components, mixes_channels
from mcugen.prune.magnitude import adaptive_score, check_choice, weighted_nodes
from mcugen.prune.reconstruction import match
from mcugen.prune.slicing import keep_channels

Array = npt.NDArray[Any]

CRITERIA = ("activation", "l1", "l2")


def prune_channels(
    graph: Graph,
    fraction: float,
    samples: Mapping[str, Array] | None = None,
    *,
    scope: str = "global",
    criterion: str | None = None,
    compensate: bool = True,
    reconstruct: bool = True,
    align: int = 1,
    skip: Collection[str] = (),
) -> Graph:
    """A float graph without `fraction` of its channels: `choose_channels`, then `remove_channels`."""
    keep = choose_channels(
        graph, fraction, samples, scope=scope, criterion=criterion, centred=compensate, align=align, skip=skip
    )
    return remove_channels(graph, keep, samples, compensate=compensate, reconstruct=reconstruct)


def choose_channels(
    graph: Graph,
    fraction: float,
    samples: Mapping[str, Array] | None = None,
    *,
    scope: str = "global",
    criterion: str | None = None,
    centred: bool = True,
    align: int = 1,
    skip: Collection[str] = (),
) -> dict[str, Array]:
    """Which channels of every tensor to keep, bool `[channels]` by name; `fraction` counts groups of channels.

    Channels that can only go together (summands, a depthwise layer's two sides, ...) are one group, see
    ChannelGroups; a layer here is all groups that share tensors.  `scope`: "layer" takes the fraction of each,
    "global" of all together, by each group's share of what would be left of its layer.  `criterion`:
    - "activation" (the default with `samples`): the group's share in the variance of each reader's sums, estimated as
      |w|^2 * var(x) over the samples, channels taken as independent; of the mean square unless `centred`;
    - "l1", "l2" (the default without): norms of the weights that make it, relative to their layer's mean
      (H. Li et al., Pruning Filters for Efficient ConvNets, 2017).

    `align` rounds what a layer keeps up to a multiple, for kernels that take channels in blocks.  Every tensor keeps
    a channel, graph inputs and outputs keep all, and so does what the nodes named in `skip` write.
    Raises McugenError for a fraction outside [0, 1), an unknown scope or criterion, or "activation" without samples.
    """
    check_choice(fraction, scope)
    criterion = criterion or ("l2" if samples is None else "activation")
    if criterion not in CRITERIA:
        raise McugenError(f"prune: no criterion '{criterion}'", hint=f"choose {', '.join(CRITERIA)}")
    groups = channel_groups(graph)
    if criterion != "activation":
        energy = _weight_norms(graph, groups, 1 if criterion == "l1" else 2)
    elif samples is None:
        raise McugenError("prune: the criterion 'activation' needs calibration data", hint="give samples, or choose l2")
    else:
        energy = _variance_shares(graph, groups, samples, centred=centred)
    fixed = groups.pinned.copy()
    for node in graph.nodes:
        if node.name in skip:
            fixed[np.concatenate([groups.of[name] for name in node.outputs])] = True
    families = _families(groups)
    score = np.empty(groups.count)
    for family in families:
        score[family] = adaptive_score(energy[family])
    live = np.ones(groups.count, bool)
    for pool in [np.arange(groups.count)] if scope == "global" else families:
        free = pool[~fixed[pool]]
        live[free[np.argsort(score[free], kind="stable")[: int(fraction * len(free))]]] = False
    _round_up(live, groups, score, families, align)
    return groups.keep_masks(live)


def remove_channels(
    graph: Graph,
    keep: Mapping[str, Array],
    samples: Mapping[str, Array] | None = None,
    *,
    compensate: bool = True,
    reconstruct: bool = True,
) -> Graph:
    """The float graph with only the channels `keep`, from `choose_channels`.

    Without samples the removed channels count as zero.  With samples `compensate` folds their means into the readers'
    biases, and `reconstruct` also fits the readers' weights to what they gave before, in least squares: see `match`.
    """
    removed = keep_channels(graph, keep).check()
    if samples is None or not compensate:
        return removed
    return match(graph, removed, samples, keep=keep, reconstruct=reconstruct).check()


def _weight_norms(graph: Graph, groups: ChannelGroups, order: int) -> Array:
    """Per group the sum over its layers of the squared norm of its channel's weights, relative to the layer's mean."""
    energy = np.zeros(groups.count)
    for node in weighted_nodes(graph):
        weights = np.abs(graph.constant(node.inputs[1]).astype(np.float64))
        norms = (weights.reshape(len(weights), -1) ** order).sum(axis=1) ** (1 / order)
        relative = norms / max(norms.mean(), np.finfo(np.float64).tiny)
        np.add.at(energy, groups.of[node.outputs[0]], relative**2)
    return energy


def _variance_shares(graph: Graph, groups: ChannelGroups, samples: Mapping[str, Array], *, centred: bool) -> Array:
    """Per group the sum over its readers of its share of the reader's variance."""
    readers = [node for node in weighted_nodes(graph) if mixes_channels(node) and node.inputs[0] in groups.of]
    spread = _spreads(graph, samples, sorted({node.inputs[0] for node in readers}), centred=centred)
    energy = np.zeros(groups.count)
    for node in readers:
        weights = graph.constant(node.inputs[1]).astype(np.float64)
        shares = np.square(weights).reshape(-1, weights.shape[-1]).sum(axis=0) * spread[node.inputs[0]]
        np.add.at(energy, groups.of[node.inputs[0]], shares / max(shares.sum(), np.finfo(np.float64).tiny))
    return energy


def _spreads(graph: Graph, samples: Mapping[str, Array], names: list[str], *, centred: bool) -> dict[str, Array]:
    """Per channel the variance (or the mean square) over samples and positions."""
    sums = {name: np.zeros((2, channels(graph, name))) for name in names}
    counts = dict.fromkeys(names, 0)
    for batch in evaluate_batches(graph, samples, keep=names):
        for name in names:
            flat = batch[name].astype(np.float64).reshape(-1, channels(graph, name))
            sums[name] += flat.sum(axis=0), np.square(flat).sum(axis=0)
            counts[name] += len(flat)
    means = {name: total / counts[name] for name, total in sums.items()}
    return {name: np.maximum(square - mean**2, 0) if centred else square for name, (mean, square) in means.items()}


def _round_up(live: Array, groups: ChannelGroups, score: Array, families: list[Array], align: int) -> None:
    """Take back the best of what was removed: one channel for a tensor with none, and a family's rest up to `align`."""
    for name in sorted(groups.of):
        of = groups.of[name]
        live[of[int(np.argmax(score[of]))]] |= not live[of].any()
    for family in families:
        dead = family[~live[family]]
        missing = -(len(family) - len(dead)) % align
        live[dead[np.argsort(-score[dead], kind="stable")][:missing]] = True


def _families(groups: ChannelGroups) -> list[Array]:
    """The groups that share tensors, directly or through others."""
    chains = [of for of in groups.of.values() if len(of) > 1]
    firsts, seconds = ([np.zeros(0, np.int64), *(of[side] for of in chains)] for side in (slice(-1), slice(1, None)))
    labels = components(groups.count, np.concatenate(firsts), np.concatenate(seconds))
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]

"""Which tensors to hold in int16 and which weights in 4 bits: least noise at the output within limits of cycles and flash.

Method: noise powers and costs of single choices add, so that this is a knapsack; it is filled by gain per cost, pairs of neighbouring
tensors together where a kernel runs no slower for two than for one, and then improved by taking one choice out at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import McugenError
from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops import operator
from mcugen.plan.schedule import Goal, choose_kernels
from mcugen.plan.select import alternatives, total_cycles
from mcugen.quantize.integer_graph import integer_graph, name_formats
from mcugen.quantize.precision import INT8, Precision, int16_tensors
from mcugen.quantize.quantizer import QuantizedModel
from mcugen.quantize.ranges import quant_params
from mcugen.quantize.sensitivity import Sensitivity
from mcugen.targets import Target
from mcugen.weight_format import weight_bytes

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Mix:
    """A choice: tensors in int16 (with all that share their parameters), and formats of weights by node."""

    wide: frozenset[str] = frozenset()
    formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def precision(self) -> Precision:
        return Precision(dict.fromkeys(sorted(self.wide), "int16"), dict(self.formats))


@dataclass(frozen=True)
class Move:
    """One step of the search: what it is, the noise power that remains, and modelled cycles and weight bytes then."""

    what: str
    noise: float
    cycles: float
    weights: int


class Costs:
    """Modelled cycles and weight bytes of every node under a mix, from the kernels that the target has for it."""

    def __init__(
        self, model: QuantizedModel, weights: Mapping[str, Mapping[str, tuple[Array, Array]]], target: Target, goal: Goal,
        alive: Mapping[str, float],
    ) -> None:  # fmt: skip
        """`weights`: rounded weights by format and node; `alive`: the part of a node's work that dead channels leave."""
        self.graph = model.source
        self._activations = model.activations
        self._weights = weights
        self._target, self._goal, self._alive = target, Goal(goal.optimize), alive
        self._known: dict[tuple[str, frozenset[str], str], tuple[float, int]] = {}

    def node(self, node: Node, mix: Mix) -> tuple[float, int]:
        """Cycles (infinite where no kernel runs it so) and weight bytes."""
        names = {name for name in (*node.inputs, *node.outputs) if not self.graph.is_constant(name)}
        key = (node.name, frozenset(names & mix.wide), mix.formats.get(node.name, INT8))
        if key not in self._known:
            self._known[key] = self._measure(node, names, key[1], key[2])
        return self._known[key]

    def _measure(self, node: Node, names: set[str], wide: frozenset[str], word: str) -> tuple[float, int]:
        graph = self.graph
        activations = {
            name: _widened(quant) if name in wide else quant
            for name, quant in self._activations.items()
            if name in names or graph.is_constant(name)
        }
        read = [name for name in dict.fromkeys(node.inputs) if not graph.is_constant(name)]
        tensors = {name: graph.tensors[name] for name in (*node.inputs, *node.outputs)}
        alone = Graph(graph.name, [node], tensors, read, list(node.outputs))
        weights = self._weights[word] if word != INT8 or node.name in self._weights[INT8] else {}
        size = 0
        if operator(node.op).weight_input is not None and len(node.inputs) > 1:
            size = weight_bytes(graph.tensors[node.inputs[1]].shape, word)
        try:
            formats = {} if word == INT8 else {node.name: word}
            integer = name_formats(integer_graph(alone, activations, weights), formats)
            choices, _ = choose_kernels(alternatives(integer, self._target), self._goal)
        except McugenError:
            return float("inf"), size
        return total_cycles(choices) * self._alive.get(node.name, 1.0), size

    def total(self, mix: Mix, nodes: Sequence[Node] | None = None) -> tuple[float, int]:
        """Cycles and weight bytes of all nodes, or of some."""
        pairs = [self.node(node, mix) for node in (self.graph.nodes if nodes is None else nodes)]
        return sum(cycles for cycles, _ in pairs), sum(size for _, size in pairs)


def _widened(quant: QuantParams) -> QuantParams:
    low, high = (float(quant.scale) * (bound - int(quant.zero_point)) for bound in (quant.low, quant.high))
    return quant_params(low, high, "int16")


def tensor_groups(graph: Graph) -> list[frozenset[str]]:
    """The tensors that can be held in int16, by groups that share their parameters."""
    groups: dict[frozenset[str], None] = {}
    for name in graph.activations():
        group = int16_tensors(graph, Precision({name: "int16"}))
        if group:
            groups[group] = None
    return list(groups)


class Search:
    """The state that all moves share: noises, costs, and what may be moved."""

    def __init__(
        self, costs: Costs, noise: Sensitivity, groups: Sequence[frozenset[str]], formats: Sequence[str]
    ) -> None:
        self.costs, self.noise_of, self.formats = costs, noise, formats
        graph = costs.graph
        self.groups = [group for group in groups if self._rounding(group) > 0]
        self.packable = [node for node in graph.nodes if any((node.name, word) in noise.weights for word in formats)]
        self._at = {
            group: [n for n in graph.nodes if not group.isdisjoint((*n.inputs, *n.outputs))] for group in self.groups
        }

    def _rounding(self, group: frozenset[str]) -> float:
        return sum(self.noise_of.tensors.get(name, 0.0) for name in group)

    def noise(self, mix: Mix) -> float:
        """The expected noise power at the output."""
        tensors = sum(self.noise_of.tensors[name] for name in self.noise_of.tensors if name not in mix.wide)
        weights = {
            node: power for (node, word), power in self.noise_of.weights.items() if word == mix.formats.get(node, INT8)
        }
        return tensors + sum(weights.values())

    def widen(self, mix: Mix, *, cycles: float) -> tuple[Mix, list[Move]]:
        """More tensors in int16, as long as the modelled cycles stay within `cycles`; a full search."""
        best, path = self._fill(mix, cycles)
        for _ in range(3):
            trials = [
                self._fill(replace(best, wide=best.wide - group), cycles, barred=group)
                for group in self.groups
                if group <= best.wide
            ]
            better = [trial for trial in trials if self.noise(trial[0]) < self.noise(best) * 0.995]
            if not better:
                break
            best, _ = min(better, key=lambda trial: self.noise(trial[0]))
            path = self._path(mix, best)
        return best, path

    def _path(self, start: Mix, end: Mix) -> list[Move]:
        """The moves from one mix to another, the largest gain first."""
        mix, path = start, []
        added = sorted(
            (g for g in self.groups if g <= end.wide and not g <= start.wide), key=lambda g: -self._rounding(g)
        )
        for group in added:
            mix = replace(mix, wide=mix.wide | group)
            path.append(self._move(f"{min(group)}=int16", mix))
        return path

    def _move(self, what: str, mix: Mix) -> Move:
        cycles, weights = self.costs.total(mix)
        return Move(what, self.noise(mix), cycles, weights)

    def _fill(self, mix: Mix, cycles: float, barred: frozenset[str] = frozenset()) -> tuple[Mix, list[Move]]:
        path: list[Move] = []
        now, _ = self.costs.total(mix)
        while True:
            best: tuple[float, frozenset[str], float] | None = None
            for group in self._candidates(mix, barred):
                nodes = [n for n in self.costs.graph.nodes if not group.isdisjoint((*n.inputs, *n.outputs))]
                wider = replace(mix, wide=mix.wide | group)
                more = self.costs.total(wider, nodes)[0] - self.costs.total(mix, nodes)[0]
                if now + more > cycles:
                    continue
                gain = self.noise(mix) - self.noise(wider)
                score = gain / max(more, 1.0)
                if gain > 0 and (best is None or score > best[0]):
                    best = (score, group, more)
            if best is None:
                return mix, path
            mix, now = replace(mix, wide=mix.wide | best[1]), now + best[2]
            path.append(self._move(f"{_label(best[1], self.groups)}=int16", mix))

    def _candidates(self, mix: Mix, barred: frozenset[str]) -> Iterator[frozenset[str]]:
        """Groups, and pairs of groups at one node, that are not yet wide and that no packed weights forbid."""
        free = [
            group
            for group in self.groups
            if not group <= mix.wide and group != barred and not any(n.name in mix.formats for n in self._at[group])
        ]
        yield from free
        for i, first in enumerate(free):
            near = {n.name for n in self._at[first]}
            for second in free[i + 1 :]:
                if not near.isdisjoint(n.name for n in self._at[second]):
                    yield first | second

    def pack(self, mix: Mix, *, cycles: float) -> Iterator[tuple[Mix, Move]]:
        """Mixes with the weights of more and more layers packed: at each step the least noise for the bytes that it saves."""
        now, _ = self.costs.total(mix)
        while True:
            best: tuple[float, str, str, float] | None = None
            for node in self.packable:
                held = mix.formats.get(node.name, INT8)
                for word in self.formats:
                    trial = replace(mix, formats={**mix.formats, node.name: word})
                    saved = self.costs.node(node, mix)[1] - self.costs.node(node, trial)[1]
                    more = self.costs.node(node, trial)[0] - self.costs.node(node, mix)[0]
                    if (
                        word == held
                        or saved <= 0
                        or (node.name, word) not in self.noise_of.weights
                        or now + more > cycles
                    ):
                        continue
                    score = max(self.noise(trial) - self.noise(mix), 0.0) / saved
                    if best is None or score < best[0]:
                        best = (score, node.name, word, more)
            if best is None:
                return
            mix, now = replace(mix, formats={**mix.formats, best[1]: best[2]}), now + best[3]
            yield mix, self._move(f"{best[1]}={best[2]}", mix)


def _label(wide: frozenset[str], groups: Sequence[frozenset[str]]) -> str:
    return "+".join(min(group) for group in groups if group <= wide)


def decibels(signal: float, noise: float) -> float:
    return 10 * float(np.log10(max(signal, 1e-300) / max(noise, 1e-300)))

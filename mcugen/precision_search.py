"""Which tensors to hold in int16 and which weights in 4 bits: least noise at the output within limits of cycles and flash.

Method: noise powers and costs of single choices add.  Weights are chosen by prices for bytes and cycles.  Tensors are a knapsack
that is filled by gain per cost, pairs of neighbouring tensors together where a kernel runs no slower for two than for one, and
then improved by taking one choice out at a time.
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
from mcugen.ops.weighted import has_weights
from mcugen.plan.schedule import Goal, choose_kernels
from mcugen.plan.select import alternatives, total_cycles
from mcugen.program import Program
from mcugen.quantize.integer_graph import integer_graph, name_formats
from mcugen.quantize.low_bits import plain_weights
from mcugen.quantize.precision import INT8, Precision, int16_tensors
from mcugen.quantize.quantizer import QuantizedModel
from mcugen.quantize.ranges import quant_params
from mcugen.quantize.sensitivity import Sensitivity
from mcugen.targets import Target
from mcugen.weight_format import weight_bytes

Array = npt.NDArray[Any]


WIDENED = 8
"""How many mixes of weights are tried with int16 beside."""
PRICES = 25
"""Prices of a byte, and of a cycle, that are tried."""


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
        self._planned: set[tuple[str, frozenset[str], str]] = set()

    def node(self, node: Node, mix: Mix) -> tuple[float, int]:
        """Cycles (infinite where no kernel runs it so) and weight bytes."""
        key = self._key(node, mix)
        if key not in self._known:
            self._known[key] = self._measure(node, self._names(node), key[1], key[2])
        return self._known[key]

    def _key(self, node: Node, mix: Mix) -> tuple[str, frozenset[str], str]:
        return node.name, frozenset(self._names(node) & mix.wide), mix.formats.get(node.name, INT8)

    def _names(self, node: Node) -> set[str]:
        return {name for name in (*node.inputs, *node.outputs) if not self.graph.is_constant(name)}

    def learn(self, program: Program, mix: Mix) -> None:
        """Take over what the nodes cost in a whole program of that mix, where kernels share code and dead channels are gone."""
        cycles: dict[str, float] = {}
        for step in program.steps:
            cycles[step.name] = cycles.get(step.name, 0.0) + step.call.cycles * step.repeats
        for node in self.graph.nodes:
            if node.name in cycles:
                key = self._key(node, mix)
                known, size = self.node(node, mix)
                least = min(known, cycles[node.name]) if key in self._planned else cycles[node.name]
                self._known[key] = (least, size)
                self._planned.add(key)

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
        formats = {} if word == INT8 else {node.name: word}
        cycles = self._cycles(alone, activations, weights, formats)
        if cycles is None and wide and has_weights(node):
            # rounded for int8 inputs they may take sums of int16 past 32 bits; any others cost the same
            cycles = self._cycles(alone, activations, plain_weights(alone, activations, formats), formats)
        return float("inf") if cycles is None else cycles * self._alive.get(node.name, 1.0), size

    def _cycles(
        self,
        alone: Graph,
        activations: Mapping[str, QuantParams],
        weights: Mapping[str, tuple[Array, Array]],
        formats: Mapping[str, str],
    ) -> float | None:
        """Cycles of a graph of one node with these weights, None where nothing runs it."""
        try:
            integer = name_formats(integer_graph(alone, activations, weights), formats)
            choices, _ = choose_kernels(alternatives(integer, self._target), self._goal)
        except McugenError:
            return None
        return total_cycles(choices)

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

    def bar_largest(self, mix: Mix) -> None:
        """Keep the largest third of the mix's int16 tensors in int8 from now on: they need too much RAM."""
        tensors = self.costs.graph.tensors
        chosen = sorted((g for g in self.groups if g <= mix.wide), key=lambda g: -max(tensors[n].size for n in g))
        barred = chosen[: -(-len(chosen) // 3)]
        self.groups = [group for group in self.groups if group not in barred]

    def bar_least(self, mix: Mix) -> None:
        """Keep the half of the mix's int16 tensors that gain least in int8 from now on: their kernels need too much flash."""
        chosen = sorted((g for g in self.groups if g <= mix.wide), key=self._rounding)
        barred = chosen[: -(-len(chosen) // 2)]
        self.groups = [group for group in self.groups if group not in barred]

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
        """Groups, and pairs of groups at one node, that are not yet wide."""
        free = [group for group in self.groups if not group <= mix.wide and group != barred]
        yield from free
        for i, first in enumerate(free):
            near = {n.name for n in self._at[first]}
            for second in free[i + 1 :]:
                if not near.isdisjoint(n.name for n in self._at[second]):
                    yield first | second

    def packings(self, *, cycles: float) -> list[tuple[Mix, Move]]:
        """The mixes with packed weights that no other beats in both noise and bytes, within `cycles`; the least noise first."""
        front: list[tuple[Mix, Move]] = []
        for mix, move in self._packings(cycles):
            if not front or move.weights < front[-1][1].weights:
                front.append((mix, move))
        return [(mix, move) for mix, move in front if mix.formats]

    def best_packing(self, *, weights: int, cycles: float) -> tuple[Mix, Move] | None:
        """The mix with at most so many bytes of weights that has the least noise once tensors are widened as far as `cycles` go.

        Weights with less noise may take cycles that int16 would have used better, so that mixes of few cycles are tried too.
        """
        front: list[tuple[Mix, Move]] = []
        for mix, move in self._packings(cycles):
            if move.weights <= weights and (not front or move.cycles < front[-1][1].cycles):
                front.append((mix, move))
        index = np.unique(np.linspace(0, len(front) - 1, min(len(front), WIDENED)).astype(int))
        tried = [front[i] for i in index]
        return min(tried, key=lambda step: self.noise(self._fill(step[0], cycles)[0]), default=None)

    def _packings(self, cycles: float) -> list[tuple[Mix, Move]]:
        """Mixes of weights alone within `cycles`, the least noise first.

        By prices for a byte and for a cycle, at which every layer takes what is best for it alone (H. Everett, "Generalized
        Lagrange multiplier method", 1963).
        """
        options = {node.name: [self._option(node, word) for word in (INT8, *self.formats)] for node in self.packable}
        known = [option for found in options.values() for option in found if option[1] < np.inf]
        if not known:
            return []
        noise = max(*(option[1] for option in known), 1e-300)
        per_byte = [0.0, *np.geomspace(1e-6, 1.0, PRICES) * noise]
        per_cycle = [0.0, *np.geomspace(1e-6, 1.0, PRICES) * noise]
        mixes = {self._cheapest(options, byte, cycle) for byte in per_byte for cycle in per_cycle}
        moves = [(Mix(frozenset(), dict(formats)), _tally(formats)) for formats in sorted(mixes)]
        found = [(mix, self._move(what, mix)) for mix, what in moves]
        kept = [(mix, move) for mix, move in found if move.cycles <= cycles]
        return sorted(kept, key=lambda pair: (pair[1].noise, pair[1].weights))

    def _option(self, node: Node, word: str) -> tuple[str, float, float, int]:
        """A format of a layer's weights: its noise, cycles and bytes."""
        cycles, size = self.costs.node(node, Mix(frozenset(), {} if word == INT8 else {node.name: word}))
        return word, self.noise_of.weights.get((node.name, word), np.inf), cycles, size

    def _cheapest(
        self, options: Mapping[str, Sequence[tuple[str, float, float, int]]], byte: float, cycle: float
    ) -> tuple[tuple[str, str], ...]:
        chosen = {
            name: min(found, key=lambda option: option[1] + byte * option[3] + cycle * option[2])[0]
            for name, found in options.items()
        }
        return tuple((name, word) for name, word in chosen.items() if word != INT8)


def _tally(formats: Sequence[tuple[str, str]]) -> str:
    words = [word for _, word in formats]
    return ", ".join(f"{words.count(word)} layers {word}" for word in sorted(set(words)))


def _label(wide: frozenset[str], groups: Sequence[frozenset[str]]) -> str:
    return "+".join(min(group) for group in groups if group <= wide)


def decibels(signal: float, noise: float) -> float:
    return 10 * float(np.log10(max(signal, 1e-300) / max(noise, 1e-300)))

"""`--precision auto`: measure what each layer's precision is worth and costs, choose a mix within limits, quantize, and measure again.

Everything is chosen on the calibration data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from mcugen.errors import DoesNotFit, McugenError
from mcugen.execute import Rows, is_batchable
from mcugen.graph import Graph
from mcugen.ops.weighted import has_weights
from mcugen.passes.remove_dead_channels import dead_channel_report, split_dead_channels
from mcugen.plan.schedule import Goal, build_program
from mcugen.precision_search import Costs, Mix, Move, Search, decibels, tensor_groups
from mcugen.program import Program
from mcugen.quantize.ablation import measure
from mcugen.quantize.precision import INT8, SPARING, Precision, int16_tensors
from mcugen.quantize.quantizer import QuantizedModel, observed_tensors, quantize_graph, spread_samples
from mcugen.quantize.sample_files import hold
from mcugen.quantize.sensitivity import Sensitivity, Weights, measure_sensitivity
from mcugen.targets import Target

Array = npt.NDArray[Any]
Progress = Callable[[str, int, int], None]

DEFAULT_CYCLES = "1.2x"
FORMATS = ("int4", "int4x32", "codebook")
"""What weights are packed to."""
SENSITIVITY_SAMPLES = 64
MEASURED_SAMPLES = 256
ATTEMPTS = 4
NEAR = 0.97
"""A limit that is used to this part needs no further attempt."""
_CYCLES = re.compile(r"(\d+(?:\.\d+)?)x")


@dataclass(frozen=True)
class Limits:
    """What a mix must keep.

    `max_loss`: top-1 points below float where the samples have labels, else dB of signal to noise below all int8; None: as little
    as the other limits allow.  `max_cycles`: `1.2x` of all int8's modelled cycles, or a number of them.
    """

    goal: Goal
    max_loss: float | None = None
    max_cycles: str | int | None = None

    def cycles(self, int8_cycles: float) -> float:
        """The least of the limits in modelled cycles."""
        asked = self.max_cycles if self.max_cycles is not None else (self.goal.cycles or DEFAULT_CYCLES)
        found = _CYCLES.fullmatch(str(asked))
        limit = float(found[1]) * int8_cycles if found else float(asked)
        return min(limit, self.goal.cycles or limit)


@dataclass(frozen=True)
class Attempt:
    """A mix as quantized and planned: modelled cycles, bytes of flash and RAM, dB at the logits or the first output on the
    calibration samples, and top-1 lost in points (None without labels)."""

    mix: Mix
    cycles: float
    flash: int
    ram: int
    sqnr_db: float
    points: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "cycles": round(self.cycles),
            "flash": self.flash,
            "ram": self.ram,
            "sqnr_db": self.sqnr_db,
            "top1_points_lost": self.points,
        }


@dataclass(frozen=True)
class AutoPrecision:
    """The chosen precision, and the report of how it came to be."""

    precision: Precision
    facts: Mapping[str, Any]


class _Trial:
    """What every attempt needs: the float graph, data, target and options."""

    def __init__(
        self, graph: Graph, samples: Mapping[str, Rows], labels: Array | None, *, target: Target, goal: Goal, observer: str,
        effort: str, base: Precision, progress: Progress | None,
    ) -> None:  # fmt: skip
        self.graph, self.samples, self.target, self.base = graph, samples, target, base
        self.goal = replace(goal, flash=None, cycles=None)  # smaller or faster kernels are no part of the search
        self._observer, self._effort, self._progress = observer, effort, progress
        held = hold(samples)
        self.few = spread_samples(held, SENSITIVITY_SAMPLES)
        self._measured = spread_samples(held, MEASURED_SAMPLES)
        total = len(next(iter(samples.values())))
        known = labels is not None and total == len(next(iter(held.values())))
        self._labels = spread_samples({"y": labels}, MEASURED_SAMPLES)["y"] if known and labels is not None else None

    def quantize(self, precision: Precision, stage: str) -> QuantizedModel:
        merged = Precision(
            {**precision.activations, **self.base.activations}, {**precision.weights, **self.base.weights}
        )
        return quantize_graph(
            self.graph,
            self.samples,
            observer=self._observer,
            effort=self._effort,
            precision=merged,
            progress=self.step(stage),
        )

    def step(self, stage: str) -> Callable[[int, int], None] | None:
        report = self._progress
        return None if report is None else lambda done, total: report(stage, done, total)

    def attempt(self, mix: Mix, stage: str) -> tuple[Attempt, QuantizedModel, Program]:
        model = self.quantize(mix.precision, stage)
        integer, _ = split_dead_channels(model.graph)
        program = build_program(integer, self.target, self.goal, name="model")
        found = measure(self.graph, integer, self._measured, self._labels)
        points = None
        if found.top1 is not None and found.float_top1 is not None:
            points = 100 * (found.float_top1 - found.top1)
        db = found.output_db if found.logits_db is None else found.logits_db
        cycles = sum(step.call.cycles * step.repeats for step in program.steps)
        return Attempt(mix, cycles, program_flash(program), program.arena_size, db, points), model, program


def program_flash(program: Program) -> int:
    """Bytes of constants and code, as far as they are known before linking."""
    shared: dict[str, int] = {}
    for step in program.steps:
        shared.update(step.call.shared_code)
    return sum(step.call.weight_bytes + step.call.code_bytes for step in program.steps) + sum(shared.values())


def choose_automatically(
    graph: Graph,
    samples: Mapping[str, Rows],
    limits: Limits,
    *,
    target: Target,
    labels: Array | None = None,
    observer: str = "auto",
    effort: str = "default",
    base: Precision | None = None,
    progress: Progress | None = None,
) -> AutoPrecision:
    """A mix of int16 tensors, int8, and weights in 4 bits for a canonical float graph; one layer may have both.

    With `limits.goal.flash` or `limits.max_loss`: weights are packed, least harm first, until the flash is kept, or as far as the
    loss is.  Then tensors become int16, the largest gain for its cycles first, within the limit of cycles.  `base`: what is chosen
    already.  Quantizes the model some three to ten times.  Raises DoesNotFit where no mix keeps the limits, McugenError for a graph
    that cannot take samples stacked.
    """
    if not is_batchable(graph):
        raise McugenError(
            f"{graph.name}: mixes its batch axis with others, so its layers' precision cannot be searched",
            hint="choose it by hand with `--layer-precision`",
        )
    trial = _Trial(
        graph, samples, labels, target=target, goal=limits.goal, observer=observer, effort=effort,
        base=base or Precision(), progress=progress,
    )  # fmt: skip
    first, model, program = trial.attempt(Mix(), "int8")
    cycles = limits.cycles(first.cycles)
    packing = limits.max_loss is not None or (limits.goal.flash is not None and first.flash > limits.goal.flash)
    search = _search(trial, model, FORMATS if packing else ())
    search.costs.learn(program, Mix())
    best, path = _choose(trial, search, first, limits, cycles)
    return AutoPrecision(_merged(best.mix.precision, trial.base), _facts(search, first, best, path, cycles))


def _merged(precision: Precision, base: Precision) -> Precision:
    return Precision({**precision.activations, **base.activations}, {**precision.weights, **base.weights})


def _search(trial: _Trial, model: QuantizedModel, formats: tuple[str, ...]) -> Search:
    graph, fixed = model.source, int16_tensors(model.source, trial.base)
    packable = [n.name for n in graph.nodes if n.op in SPARING and n.name not in trial.base.weights]
    layers = [n.name for n in graph.nodes if n.name in model.weights and has_weights(n)]
    weights: dict[str, Weights] = {INT8: {n: model.weights[n] for n in layers if n not in trial.base.weights}}
    for word in formats:
        packed = trial.quantize(Precision({}, dict.fromkeys(packable, word)), word).weights
        weights[word] = {name: packed[name] for name in packable}
    tensors = [name for name in (*graph.inputs, *observed_tensors(graph)) if name not in fixed]
    noise = measure_sensitivity(graph, model.activations, weights, tensors, trial.few, progress=trial.step("layers"))
    integer, _ = split_dead_channels(model.graph)
    report = dead_channel_report(model.graph, integer)
    alive = {node.name: node.macs_after / node.macs_before for node in report.nodes if node.macs_before}
    groups = [g for g in tensor_groups(graph) if g.isdisjoint(fixed)]
    known = {word: {**trial_weights, **_fixed_weights(model, trial.base)} for word, trial_weights in weights.items()}
    return Search(Costs(model, known, trial.target, trial.goal, alive), noise, groups, formats)


def _fixed_weights(model: QuantizedModel, base: Precision) -> Weights:
    return {name: model.weights[name] for name in base.weights}


def _choose(trial: _Trial, search: Search, first: Attempt, limits: Limits, cycles: float) -> tuple[Attempt, list[Move]]:
    """Pack as far as needed, then widen as far as the cycles go; what is planned and measured corrects what is expected."""
    start, packed_path = _packed(trial, search, first, limits, cycles)
    best, best_path = (start, packed_path) if _keeps(start, limits, cycles) else (None, packed_path)
    tried, allowed = {start.mix.wide}, cycles
    for number in range(1, ATTEMPTS + 1):
        mix, path = search.widen(start.mix, cycles=allowed)
        if mix.wide in tried:
            break
        tried.add(mix.wide)
        attempt = _attempt(trial, search, mix, f"mix {number}")
        if _keeps(attempt, limits, cycles) and (best is None or attempt.sqnr_db > best.sqnr_db):
            best, best_path = attempt, packed_path + path
        if limits.goal.ram is not None and attempt.ram > limits.goal.ram:
            search.bar_largest(mix)
            continue
        if limits.goal.flash is not None and attempt.flash > limits.goal.flash:
            search.bar_least(mix)
            continue
        if NEAR * cycles <= attempt.cycles <= cycles:
            break
        expected = search.costs.total(mix)[0]  # kernels that share code cost more in other company
        allowed = min(allowed, expected) + cycles - attempt.cycles if attempt.cycles > cycles else cycles
    if best is None:
        raise _misfit(trial.graph, start, limits, cycles)
    return best, best_path


def _attempt(trial: _Trial, search: Search, mix: Mix, stage: str) -> Attempt:
    attempt, _, program = trial.attempt(mix, stage)
    search.costs.learn(program, mix)
    return attempt


def _keeps(attempt: Attempt, limits: Limits, cycles: float) -> bool:
    goal = limits.goal
    return (
        attempt.cycles <= cycles
        and (goal.flash is None or attempt.flash <= goal.flash)
        and (goal.ram is None or attempt.ram <= goal.ram)
    )


def _misfit(graph: Graph, start: Attempt, limits: Limits, cycles: float) -> DoesNotFit:
    goal = limits.goal
    return DoesNotFit(
        f"{graph.name}: no mix of precisions keeps the limits: the smallest found takes {start.flash} bytes of flash"
        f"{'' if goal.flash is None else f' of {goal.flash}'}, {start.ram} of RAM{'' if goal.ram is None else f' of {goal.ram}'} "
        f"and {start.cycles:.0f} modelled cycles of {cycles:.0f}",
        hint="raise `--max-cycles`, `--flash` or `--ram`; `--prune-channels 0.3` makes all of them smaller",
    )


def _packed(trial: _Trial, search: Search, first: Attempt, limits: Limits, cycles: float) -> tuple[Attempt, list[Move]]:
    """The mix of weights that keeps the flash, or the one with fewest bytes of them whose loss is allowed."""
    if not search.formats:
        return first, []
    if limits.goal.flash is not None:
        return _packed_to(trial, search, first, limits.goal.flash, cycles)
    assert limits.max_loss is not None
    steps = search.packings(cycles=cycles)
    low, high, best = 0, len(steps), first
    while low < high:  # noise rises along the steps: the last whose measured loss is allowed
        middle = (low + high + 1) // 2
        attempt = _attempt(trial, search, steps[middle - 1][0], f"packed {middle}")
        if _loss(attempt, first) <= limits.max_loss:
            low, best = middle, attempt
        else:
            high = middle - 1
    return best, [steps[low - 1][1]] if low else []


def _loss(attempt: Attempt, first: Attempt) -> float:
    return first.sqnr_db - attempt.sqnr_db if attempt.points is None else attempt.points


def _packed_to(trial: _Trial, search: Search, first: Attempt, flash: int, cycles: float) -> tuple[Attempt, list[Move]]:
    """The mix of weights that keeps the flash as planned with the least noise to expect, or the smallest found."""
    best, moves = first, []
    code = first.flash - search.costs.total(Mix())[1]
    for number in range(1, ATTEMPTS + 1):
        chosen = search.best_packing(weights=flash - code, cycles=cycles)
        if chosen is None:
            chosen = next(reversed(search.packings(cycles=cycles)), None)
        if chosen is None or chosen[0] == best.mix:
            break
        best, moves = _attempt(trial, search, chosen[0], f"packed {number}"), [chosen[1]]
        if best.flash <= flash and best.cycles <= cycles:
            break
        code = max(code, best.flash - chosen[1].weights)
    return best, moves


def _facts(search: Search, first: Attempt, best: Attempt, path: list[Move], cycles: float) -> dict[str, Any]:
    """The sensitivity of all sources of noise, largest first, the curve of the search, and what came of it."""
    noise: Sensitivity = search.noise_of
    signal = noise.signal
    sources = [(power, name, INT8 + " output") for name, power in noise.tensors.items()]
    sources += [(power, node, f"{word} weights") for (node, word), power in noise.weights.items()]
    return {
        "goal": noise.goal,
        "cycle_limit": round(cycles),
        "int8": first.to_dict(),
        "chosen": {**best.to_dict(), "int16": sorted(best.mix.wide), "weights": dict(sorted(best.mix.formats.items()))},
        "sensitivity": [
            {"source": name, "what": what, "sqnr_db": decibels(signal, power) if power else None}
            for power, name, what in sorted(sources, key=lambda source: -source[0])
        ],
        "curve": [
            {
                "step": move.what,
                "expected_db": decibels(signal, move.noise),
                "cycles": round(move.cycles),
                "weights": move.weights,
            }
            for move in path
        ],
    }

"""What it would cost to hold one more tensor of a built model in int16, by the cost model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcugen.execute import Rows
from mcugen.graph import Graph
from mcugen.layer_fidelity import LayerStudy, Price
from mcugen.package import Package
from mcugen.passes.remove_dead_channels import remove_dead_channels
from mcugen.plan.schedule import Goal, build_program
from mcugen.quantize.imported import is_imported
from mcugen.quantize.precision import Precision, choose_precision, int16_tensors
from mcugen.quantize.quantizer import quantize_graph, spread_samples
from mcugen.targets import Target, load_target

SAMPLES = 8
"""Costs depend on shapes and types alone: any parameters will do."""


def with_price(study: LayerStudy, package: Package, samples: Mapping[str, Rows]) -> LayerStudy:
    """The study with what the layer that it names would cost in int16, on the folder's target."""
    named = [layer for layer in study.layers if layer.name.split("+")[0] == study.most_sensitive]
    if not named:
        return study
    worst = min(named, key=lambda layer: float("inf") if layer.output_db is None else layer.output_db)
    return replace(study, price=_price(package, worst.tensor, samples))


def _price(package: Package, tensor: str, samples: Mapping[str, Rows]) -> Price | None:
    """None where the model cannot hold the tensor so."""
    graph, options = package.float_graph, package.report["options"]
    if is_imported(graph) or options.get("arithmetic", "default") != "default" or "pruning" in package.report:
        return None
    if (
        options.get("activations", "static") != "static"
        or options.get("stream")
        or "precision_search" in package.report
    ):
        return None
    base = choose_precision(graph, options.get("precision", "int8"), options.get("layer-precision"))
    more = Precision({**base.activations, tensor: "int16"}, base.weights)
    if tensor not in int16_tensors(graph, more):
        return None
    few, target, goal = spread_samples(samples, SAMPLES), load_target(package.report["target"]), _goal(package)
    (cycles, ram), (cycles_after, ram_after) = (_costs(graph, few, p, target, goal) for p in (base, more))
    return Price(cycles, cycles_after, ram, ram_after)


def _goal(package: Package) -> Goal:
    return Goal(package.report["options"].get("optimize", "balanced"))


def _costs(
    graph: Graph, samples: Mapping[str, Rows], precision: Precision, target: Target, goal: Goal
) -> tuple[int, int]:
    model = quantize_graph(graph, samples, effort="fast", methods=(), precision=precision)
    program = build_program(remove_dead_channels(model.graph), target, goal, name="model")
    return round(sum(step.call.cycles * step.repeats for step in program.steps)), program.arena_size

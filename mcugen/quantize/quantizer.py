"""Quantization as one verb: from a float graph and calibration samples to the integer graph, by the methods of this folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import Rows
from mcugen.graph import Graph, QuantParams
from mcugen.ops import operator
from mcugen.ops.operator import clip_bounds
from mcugen.quantize.calibration import choose_activations, fixed_inputs, observe
from mcugen.quantize.equalization import channel_statistics, equalize
from mcugen.quantize.headroom import LEVELS, observe_tails, range_with_headroom
from mcugen.quantize.integer_graph import integer_graph, name_formats
from mcugen.quantize.layer_problem import RoundingOptions
from mcugen.quantize.precision import INT8_THROUGHOUT, Precision, int16_tensors
from mcugen.quantize.range_search import search_ranges
from mcugen.quantize.ranges import INT16_LEVELS, quant_params
from mcugen.quantize.saturation import saturation_weights
from mcugen.quantize.sequential import LayerNote, quantize_sequentially
from mcugen.quantize.states import observe_states

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

METHODS = ("equalize", "headroom", "saturation", "ranges", "fit", "bias", "feedback", "scales", "descent", "follow")
"""All methods, in the order in which they act; the ablation table has one row for each."""
DEFAULT_METHODS = tuple(name for name in METHODS if name != "fit")
"""Without the fit of weights: it gains on some models and loses on others, where unseen samples are of another kind."""
EFFORTS: Mapping[str, tuple[int, float, int]] = {
    "fast": (48, 0.0, 1_000_000),
    "default": (256, 0.5, 3_000_000),
    "max": (1024, 3.0, 8_000_000),
}
"""Samples that the layers are fitted on, rounds of coordinate descent per weight of a row, values of a layer's sampled rows."""
SEARCH_SAMPLES = 64
PERCENT = 100


@dataclass(frozen=True)
class QuantizedModel:
    """An integer graph, and how it came to be.

    `graph`: the integer graph.  `source`: the float graph that it stands for, equalized and with corrected biases; it computes the
    same function as the graph given up to those corrections.  `activations` by tensor, `weights` (integers, scales per output
    channel) by node, `notes` by node in execution order; `scales`: equalization's factors of a tensor's channels, by tensor.
    """

    graph: Graph
    source: Graph
    activations: Mapping[str, QuantParams]
    weights: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    notes: tuple[LayerNote, ...] = ()
    scales: Mapping[str, Array] = field(default_factory=dict)


def quantize_graph(
    graph: Graph,
    samples: Mapping[str, Rows],
    *,
    observer: str = "auto",
    effort: str = "default",
    progress: Progress | None = None,
    methods: Collection[str] = DEFAULT_METHODS,
    precision: Precision = INT8_THROUGHOUT,
) -> QuantizedModel:
    """The integer graph of a canonical float graph.

    `samples`: float32 `[N, ...]` by input name, as `load_samples` gives them.  `observer`: "auto" takes the observed range, and
    headroom for outputs; a name of ranges.py takes that observer for every tensor.  `methods`: a part of `METHODS`;
    `precision`: what is not int8.  `progress(done, 100)` is called as work goes on.  The result depends on the arguments alone.
    Raises CalibrationError where the samples cannot be used and ValueError for an unknown effort or method.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or effort not in EFFORTS:
        raise ValueError(
            f"no method {', '.join(unknown)}" if unknown else f"no effort '{effort}': {', '.join(EFFORTS)}"
        )
    count, sweeps, row_values = EFFORTS[effort]
    on = {name: name in methods for name in METHODS}
    scales: Mapping[str, Array] = {}
    int16 = int16_tensors(graph, precision)
    if on["equalize"]:
        graph, scales = equalize(graph, channel_statistics(graph, samples, _part(progress, 0, 15)), int16)
    graph = observe_states(graph, samples)
    histograms = observe(graph, samples, progress=_part(progress, 15, 40))
    plain = "minmax" if observer == "auto" else observer
    activations = choose_activations(graph, histograms, observer_name=plain, int16=int16)
    few = spread_samples(samples, SEARCH_SAMPLES)
    if observer == "auto" and on["headroom"]:
        weights = saturation_weights(graph, few, observed_tensors(graph)) if on["saturation"] else {}
        chosen = activations_with_headroom(graph, samples, int16, weights)
        activations = share_parameters(graph, activations | chosen)
    if observer == "auto" and on["ranges"]:
        searched = [name for name in graph.inputs if name not in {*int16, *fixed_inputs(graph)}]
        activations = share_parameters(graph, activations | search_ranges(graph, few, activations, searched))
    options = RoundingOptions(
        fit=on["fit"],
        bias=on["bias"],
        feedback=on["feedback"],
        scales=on["scales"],
        follow=on["follow"],
        sweeps=sweeps if on["descent"] else 0.0,
        row_values=row_values,
    )
    fitted_on = spread_samples(samples, count)
    formats = precision.weights
    rounded = quantize_sequentially(
        graph, activations, fitted_on, options, _part(progress, 40, PERCENT), formats=formats
    )
    integer = name_formats(integer_graph(rounded.graph, activations, rounded.weights), formats)
    return QuantizedModel(integer, rounded.graph, activations, rounded.weights, tuple(rounded.notes), scales)


def _part(progress: Progress | None, first: int, last: int) -> Progress | None:
    """A progress of one stage that counts as percents `first` to `last` of the whole."""
    if progress is None:
        return None
    report = progress
    return lambda done, total: report(first + (last - first) * done // max(1, total), PERCENT)


def spread_samples(samples: Mapping[str, Rows], count: int) -> dict[str, Array]:
    """At most `count` samples, evenly spread over those given."""
    total = len(next(iter(samples.values())))
    index = np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))
    return {name: array[index] for name, array in samples.items()}


def observed_tensors(graph: Graph) -> list[str]:
    """The tensors that have a range of their own: the graph's inputs aside, what operators do not fix or share."""
    return [
        name
        for node in graph.nodes
        for name in node.outputs
        if operator(node.op).output_quant(node, graph) == "observe"
    ]


def activations_with_headroom(
    graph: Graph, samples: Mapping[str, Rows], int16: Collection[str], saturation: Mapping[str, float]
) -> dict[str, QuantParams]:
    """Parameters of the observed tensors, with headroom for unseen samples; `int16`: those held so.

    `saturation`: by tensor, what the squared error of a saturated value counts where that of a rounded one counts 1.
    """
    producers = graph.producers()
    chosen = {}
    for name, tails in observe_tails(graph, samples, observed_tensors(graph)).items():
        levels = INT16_LEVELS - 1 if name in int16 else LEVELS
        low, high = range_with_headroom(tails, levels, saturation=saturation.get(name, 1.0))
        bound_low, bound_high = clip_bounds(producers[name])
        dtype = "int16" if name in int16 else "int8"
        chosen[name] = quant_params(max(low, bound_low), min(high, bound_high), dtype)
    return chosen


def share_parameters(graph: Graph, activations: Mapping[str, QuantParams]) -> dict[str, QuantParams]:
    """The same, with every tensor that must have its node's input's parameters given those."""
    shared = dict(activations)
    for node in graph.nodes:
        if operator(node.op).output_quant(node, graph) == "same":
            shared.update(dict.fromkeys(node.outputs, shared[node.inputs[0]]))
    return shared

"""Models that come already quantized: their scales and integers are taken as they are; only what they leave open is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import Rows
from mcugen.graph import DynamicQuantParams, Graph, QuantParams
from mcugen.ops import operator
from mcugen.ops.fake_quantize import activation_params
from mcugen.quantize.calibration import choose_activations, constant_params, fixed_inputs, observe
from mcugen.quantize.integer_graph import integer_graph
from mcugen.quantize.layer_problem import RoundingOptions
from mcugen.quantize.quantizer import QuantizedModel, share_parameters
from mcugen.quantize.sample_files import hold
from mcugen.quantize.sequential import quantize_sequentially
from mcugen.quantize.states import observe_states

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

RANDOM_SAMPLES = 32
NAMED = 5
"""How many tensors a note names."""


def is_imported(graph: Graph) -> bool:
    """Whether the model names parameters of its own."""
    return any(t.quant is not None and not isinstance(t.quant, DynamicQuantParams) for t in graph.tensors.values())


def open_tensors(graph: Graph) -> list[str]:
    """The activations that have neither parameters of the model's nor those that their operator fixes or shares."""
    fixed = fixed_inputs(graph)
    found = [name for name in graph.inputs if graph.tensors[name].quant is None and name not in fixed]
    for node in graph.nodes:
        if operator(node.op).output_quant(node, graph) == "observe":
            found += [name for name in node.outputs if graph.tensors[name].quant is None]
    return found


def open_layers(graph: Graph) -> list[str]:
    """The nodes whose weights the model holds in float."""
    nodes = [(n, operator(n.op).weight_input) for n in graph.nodes]
    return [n.name for n, index in nodes if index is not None and graph.tensors[n.inputs[index]].quant is None]


def quantize_imported(
    graph: Graph, samples: Mapping[str, Rows], *, observer: str = "auto", progress: Progress | None = None
) -> QuantizedModel:
    """The integer graph of a model that names parameters: those, and for the rest the ranges and fits of the samples.

    Weights keep the model's integers and scales; the samples are not looked at where the model leaves nothing open.
    """
    graph = observe_states(graph, samples)
    open_names = open_tensors(graph)
    activations = _given(graph)
    if open_names:
        histograms = observe(graph, samples, progress=progress)
        chosen = choose_activations(graph, histograms, observer_name="minmax" if observer == "auto" else observer)
        activations = chosen | activations
    else:
        activations = _fixed(graph) | activations
    activations = share_parameters(graph, activations)
    weights = imported_weights(graph)
    if not open_layers(graph):
        return QuantizedModel(integer_graph(graph, activations, weights), graph, activations, weights)
    rounded = quantize_sequentially(graph, activations, hold(samples), RoundingOptions(), progress, fixed=weights)
    integer = integer_graph(rounded.graph, activations, rounded.weights)
    return QuantizedModel(integer, rounded.graph, activations, rounded.weights, tuple(rounded.notes))


def _given(graph: Graph) -> dict[str, QuantParams]:
    """What the model names, for activations and for constants that are operands, as int8 parameters."""
    found: dict[str, QuantParams] = {}
    for name, tensor in graph.tensors.items():
        quant = tensor.quant
        if isinstance(quant, DynamicQuantParams):
            found[name] = quant
            continue
        if quant is None or np.ndim(quant.scale) or quant.dtype not in ("int8", "uint8"):
            continue
        params = activation_params(float(quant.scale), np.asarray(quant.zero_point).astype(quant.dtype))
        if params is not None:
            found[name] = params
    return found


def _fixed(graph: Graph) -> dict[str, QuantParams]:
    """What operators fix, and the ranges of constants."""
    found = {}
    for node in graph.nodes:
        for name, demand in zip(node.outputs, operator(node.op).output_quants(node, graph), strict=True):
            if isinstance(demand, QuantParams):
                found[name] = demand
    return found | fixed_inputs(graph) | constant_params(graph)


def imported_weights(graph: Graph) -> dict[str, tuple[Array, Array]]:
    """By node: the model's integers less their zero point (int16 where they leave int8), and scales per output channel."""
    found = {}
    for node in graph.nodes:
        index = operator(node.op).weight_input
        tensor = None if index is None else graph.tensors[node.inputs[index]]
        if tensor is None or tensor.quant is None or tensor.data is None:
            continue
        channels = tensor.shape[0]
        scale = np.broadcast_to(tensor.quant.scale, (channels,)).astype(np.float64)
        integers = np.rint(tensor.data / scale.reshape(-1, *[1] * (tensor.data.ndim - 1))).astype(np.int16)
        fits = integers.min(initial=0) >= -128 and integers.max(initial=0) <= 127
        found[node.name] = (integers.astype(np.int8) if fits else integers, scale)
    return found


def random_samples(graph: Graph) -> dict[str, Array]:
    """Samples that reach every integer of the model's inputs, seeded: for proofs, where nothing needs calibration."""
    rng = np.random.default_rng(0)
    found = {}
    for name in graph.inputs:
        quant, shape = graph.tensors[name].quant, graph.tensors[name].shape
        tail = shape[1:] if shape[:1] == (1,) else shape
        if quant is None or isinstance(quant, DynamicQuantParams):
            found[name] = rng.normal(size=(RANDOM_SAMPLES, *tail)).astype(np.float32)
        else:
            found[name] = quant.dequantize(rng.integers(-128, 128, (RANDOM_SAMPLES, *tail))).astype(np.float32)
    return found


def import_notes(graph: Graph) -> list[str]:
    """What a build says of a model that is quantized in part."""
    notes = []
    names, layers = open_tensors(graph), open_layers(graph)
    if names:
        notes.append(f"the model names no scale for {len(names)} tensors, which were calibrated: {_some(names)}")
    if layers:
        notes.append(f"the model holds float weights in {len(layers)} layers, which were quantized: {_some(layers)}")
    return notes


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")

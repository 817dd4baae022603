"""Does the calibration data look like what the weights were trained on?  Warnings with a remedy, no errors.

The bias of a layer with a batch normalization folded into it is there to centre and scale what the layer sees: with data of
the right normalisation the outputs before the activation lie around zero, and the weighted inputs vary about as much as the
biases do.  The bounds are geometric means between what fifteen trained networks show on their own data and what they show on the
same data times 255 and divided by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import Rows, evaluate, operand
from mcugen.graph import DynamicQuantParams, Graph, Node, QuantParams
from mcugen.ops import operator
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import clip_bounds
from mcugen.ops.recurrent import RecurrentOperator
from mcugen.ops.weighted import float_bias, has_weights
from mcugen.quantize.goals import goal_tensors
from mcugen.sqnr import sqnr_db

Array = npt.NDArray[Any]

SAMPLES = 32
STEADY = 4.0
"""Median over the channels of |mean| / deviation from which on a layer sees constants rather than data."""
FAINT = 0.3
"""The inputs' part in a layer's output against its biases, below which the data is too small if the layer is also steady."""
LOUD = 60.0
"""The same ratio from which on the data is too large."""
DEAFENING = 100.0
"""The same where nothing else speaks for it: later layers that normalise or bound hide what came in."""
CLIPPED = 0.2
PEAK = 30.0
"""Too large data also drives this share of a bounded activation to its bound, or an output beyond this."""
FAR = 2.0
"""Deviations of the data by which it must be moved to centre the first layer, from which on it is called shifted."""
CERTAIN = 4.0
"""How many standard errors that estimate must be away from zero."""
EXPLAINED = 0.5
"""The part of the means' power that the move must explain."""
OUTLIER = 16.0
"""A sample that reaches this many times farther than the median sample costs four bits of all others."""
COARSE = 15.0
"""Decibels of a first layer's output that rounding its input must leave."""
FEWEST = 4
LIVE = 1e-3

NORMALISATION = "give the calibration data exactly as the model took it in training: same scale, same offset"


@dataclass(frozen=True)
class FirstLayer:
    """Of each live channel of the first layer behind an input, before its activation: `mean` and `deviation` over the data, and
    `move`, what it gains when the input rises by one deviation of its own; `loudness`: rms deviation over rms bias."""

    node: Node
    mean: Array
    deviation: Array
    move: Array
    loudness: float


def check_data(graph: Graph, samples: Mapping[str, Rows]) -> list[str]:
    """What is odd about calibration samples `[N, ...]` by input name: sentences that end with the remedy."""
    count = len(next(iter(samples.values())))
    some = _spread(samples, SAMPLES)
    found = []
    if count < FEWEST:
        found.append(
            f"only {count} calibration sample{'s' * (count > 1)}: all ranges are those of so few; a hundred that cover what the "
            "model will see are enough"
        )
    for name in graph.inputs:
        values = some[name].astype(np.float64)
        if np.ptp(values) == 0:
            found.append(
                f"input '{name}' has the value {values.flat[0]:g} throughout the calibration data; give real samples"
            )
            continue
        found += _outliers(name, samples[name])
        complaint = _normalisation(graph, some, name)
        if complaint:
            found.append(f"input '{name}': {complaint}; {NORMALISATION}")
    return found


def coarse_inputs(
    graph: Graph, samples: Mapping[str, Rows], activations: Mapping[str, QuantParams | DynamicQuantParams]
) -> list[str]:
    """Inputs whose integers lose what the first layer computes from them, as one scale for features of all sizes does.

    `activations` are the chosen parameters by tensor; sentences that end with the remedy.
    """
    some, found = _spread(samples, SAMPLES), []
    for name in graph.inputs:
        quant = activations.get(name)
        if not isinstance(quant, QuantParams) or np.ptp(some[name]) == 0:
            continue
        rounded = {**some, name: quant.dequantize(quant.quantize(some[name])).astype(np.float32)}
        for layer in _first_layers(graph, some, name):
            exact, coarse = (_linear(graph, layer.node, data) for data in (some, rounded))
            left = sqnr_db(exact - exact.mean(axis=0), coarse - exact.mean(axis=0))
            if left < COARSE:
                wider = "" if quant.dtype == "int16" else f", or try `--layer-precision {name}=int16`"
                found.append(
                    f"input '{name}': in {quant.dtype} {left:.0f} dB are left of what '{_name(layer.node)}' computes from it, as "
                    f"one step of {float(quant.scale):.3g} serves all its values; scale them alike before the model (of a "
                    f"pipeline, export what follows the scaler){wider}"
                )
                break
    return found


def _spread(samples: Mapping[str, Rows], count: int) -> dict[str, Array]:
    total = len(next(iter(samples.values())))
    index = np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))
    return {name: rows[index] for name, rows in samples.items()}


def _outliers(name: str, rows: Rows, piece: int = 256) -> list[str]:
    reaches = [np.abs(rows[i : i + piece]).reshape(-1, _size(rows)).max(axis=1) for i in range(0, len(rows), piece)]
    reach = np.concatenate(reaches)
    middle = float(np.median(reach))
    far = np.flatnonzero(reach > OUTLIER * middle)
    if middle == 0 or not len(far) or len(reach) < FEWEST:
        return []
    return [
        f"input '{name}': sample {far[0]} reaches {reach[far[0]]:.4g}, the median sample {middle:.4g}"
        + (f" ({len(far)} such samples of {len(reach)})" if len(far) > 1 else "")
        + ": its range leaves the others few integers; remove such samples where they are faults of the recording"
    ]


def _size(rows: Rows) -> int:
    return int(np.prod(rows[0:1].shape[1:], dtype=np.int64))


def _normalisation(graph: Graph, some: Mapping[str, Array], name: str) -> str | None:
    """What is wrong with the values of an input, None where nothing is."""
    data = some[name]
    span = f"its values, from {data.min():.4g} to {data.max():.4g}, "
    for layer in _first_layers(graph, some, name):
        score = layer.mean / layer.deviation
        shift = _shift(layer)
        steady = float(np.median(np.abs(score))) > STEADY
        if steady and layer.loudness < FAINT:
            return f"{span}hardly move the output of '{_name(layer.node)}' beside its biases: they are far too small, or too steady"
        if layer.loudness > (LOUD if _overdriven(graph, some) else DEAFENING):
            return (
                f"{span}move the output of '{_name(layer.node)}' {layer.loudness:.0f} times as much as its biases: "
                "they are far too large"
            )
        if shift is not None:
            return (
                f"{span}lie far off what the biases of '{_name(layer.node)}' expect: about {data.mean() + shift * data.std():.4g} "
                f"on average, not {data.mean():.4g}"
            )
    return None


def _name(node: Node) -> str:
    return node.origin[0] if node.origin else node.name


def _shift(layer: FirstLayer) -> float | None:
    """By how many deviations the data should move for the layer's outputs to lie around zero, where that is clear and far.

    Least squares over the channels, each in units of its deviation.
    """
    score, gain = layer.mean / layer.deviation, layer.move / layer.deviation
    power = float(gain @ gain)
    if power <= 0 or len(score) < 2:
        return None
    shift = -float(score @ gain) / power
    rest = score + shift * gain
    error = float(np.sqrt((rest @ rest) / len(rest) / power))
    explained = 1 - float(rest @ rest) / max(float(score @ score), 1e-30)
    return shift if abs(shift) > max(FAR, CERTAIN * error) and explained > EXPLAINED else None


def _first_layers(graph: Graph, some: Mapping[str, Array], name: str) -> Iterator[FirstLayer]:
    """The layers that read the input as it is or moved, where they have biases."""
    reached, found = {name}, []
    for node in graph.nodes:
        if node.inputs[0] in reached:
            if has_weights(node) or isinstance(operator(node.op), RecurrentOperator):
                found.append(node)
            elif node.op == "affine" or isinstance(operator(node.op), MovementOperator):
                reached.update(node.outputs)
    deviation = float(some[name].std())
    moved = {**some, name: some[name] + np.float32(deviation)}
    for node in found:
        bias = float_bias(node, graph)
        before, after = (_linear(graph, node, data) for data in (some, moved))
        spread = before.std(axis=0)
        live = spread > LIVE * spread.max()
        if np.any(bias) and live.any():
            loudness = float(np.sqrt(np.mean(spread[live] ** 2) / max(float(np.mean(bias[live] ** 2)), 1e-30)))
            yield FirstLayer(
                node, before[:, live].mean(axis=0), spread[live], (after - before)[:, live].mean(axis=0), loudness
            )


def _linear(graph: Graph, node: Node, samples: Mapping[str, Array]) -> Array:
    """The layer's output [rows, channels] before its activation; of a recurrent one what the input adds to its gates."""
    if isinstance(operator(node.op), RecurrentOperator):
        x, weights = _run(graph, samples, node.inputs[0]), graph.constant(node.inputs[1])
        return x.reshape(-1, x.shape[-1]).astype(np.float64) @ weights.T + float_bias(node, graph)
    attrs = {key: value for key, value in node.attrs.items() if key not in ("clip_min", "clip_max")}
    given = [_run(graph, samples, n) if not graph.is_constant(n) else graph.constant(n) for n in node.inputs]
    result = operator(node.op).evaluate(replace(node, attrs=attrs), given)[0]
    return result.reshape(-1, result.shape[-1]).astype(np.float64)


def _run(graph: Graph, samples: Mapping[str, Array], name: str) -> Array:
    return operand(graph.tensors[name], evaluate(graph, samples, keep=[name])[name])


def _overdriven(graph: Graph, some: Mapping[str, Array]) -> bool:
    """Whether the outputs are large for logits, or an activation with an upper bound is mostly at it."""
    goals = goal_tensors(graph)
    bounded = [n for n in graph.nodes if np.isfinite(clip_bounds(n)[1]) and has_weights(n)]
    values = evaluate(graph, some, keep=[*goals, *(n.outputs[0] for n in bounded)])
    clipped = [float(np.mean(values[n.outputs[0]] >= clip_bounds(n)[1])) for n in bounded]
    return max(clipped, default=0.0) > CLIPPED or max(float(np.abs(values[g]).max()) for g in goals) > PEAK

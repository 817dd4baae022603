"""What quantization did to every layer: its noise alone and with all before it, saturation, range use, and the worst channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.channel_map import ChannelMap
from mcugen.execute import Rows, evaluate, evaluate_changed, is_batchable, operand, reference
from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops import operator
from mcugen.ops.movement import MovementOperator
from mcugen.quantize.goals import goal_tensors

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

CHUNK = 32
EFFECT_SAMPLES = 256
"""About how many samples each tensor's share of the output's noise is measured on: one run of the model's rest a tensor."""
WORST = 3
LEAST_GAIN_DB = 0.5
"""A layer is named for more bits when they would gain this much."""


@dataclass(frozen=True)
class Price:
    """Modelled cycles and bytes of RAM of a model before and after a change."""

    cycles: int
    cycles_after: int
    ram: int
    ram_after: int


@dataclass(frozen=True)
class WorstChannel:
    """A channel of the model's tensor (last axis), its SQNR in dB, and its part of the tensor's noise."""

    channel: int
    sqnr_db: float | None
    noise_share: float


@dataclass(frozen=True)
class LayerFidelity:
    """One layer, or a model input (`op` "input"); decibels of signal power over noise power, None for a signal of zeros.

    `alone_db`: the layer on float inputs rounded to their integers, against float on the same values, its corrected bias counted
    as noise; `accumulated_db`: of the integer graph's tensor; `output_db`: of the model's output (a Softmax's input) when this
    tensor alone is rounded, and all else is float; `saturated`: share of float values beyond the integers' range; `range_use`:
    the part of the integers between the smallest and the largest that the data reaches.
    """

    name: str
    op: str
    tensor: str
    dtype: str
    alone_db: float | None
    accumulated_db: float | None
    output_db: float | None
    saturated: float
    range_use: float
    worst: tuple[WorstChannel, ...]


@dataclass(frozen=True)
class LayerStudy:
    """All layers in execution order, on `samples` samples; `output_db` is the SQNR of `output` with everything quantized, on those
    samples that the layers' `output_db` is of: each, or one in several where there are many.

    `most_sensitive`: the layer whose rounding costs the output most, by its first ONNX node, None where none stands out;
    `expected_db`: the output's SQNR without it, if noises add.
    """

    samples: int
    output: str
    output_db: float | None
    layers: tuple[LayerFidelity, ...]
    most_sensitive: str | None
    expected_db: float | None
    price: Price | None = None
    """What holding that layer's tensor in int16 would cost, where the model can and somebody asked."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Sums:
    """What adds up of one tensor over the samples; powers by channel."""

    signal: Array
    alone: Array
    accumulated: Array
    saturated: int = 0
    values: int = 0
    lowest: float = np.inf
    highest: float = -np.inf


@dataclass
class _Effects:
    """Powers at the goal: of its values, of all noise, and of the noise of each tensor's rounding alone."""

    signal: float = 0.0
    noise: float = 0.0
    tensors: dict[str, float] = field(default_factory=dict)


def study_layers(
    original: Graph,
    integer: Graph,
    channels: Mapping[str, ChannelMap],
    samples: Mapping[str, Rows],
    *,
    progress: Progress | None = None,
) -> LayerStudy:
    """Compare every tensor of `integer` with the float graph `original` on samples `[N, ...]` by input name.

    Layers that only move values are left out, and those whose tensor the float graph does not have.
    """
    tensors = _compared(original, integer)
    goal = next((name for name in goal_tensors(original) if name in tensors), original.outputs[0])
    count = len(next(iter(samples.values())))
    sums = {name: _sums(original, name, channels) for name in tensors}
    effects = _Effects(tensors=dict.fromkeys(tensors, 0.0))
    done = 0
    stride = -(-count // EFFECT_SAMPLES)
    for part in _chunks(original, samples):
        kept = original.activations()
        real = _with_conversions(integer, evaluate(original, part, keep=kept))
        _add_powers(original, integer, channels, real, sums)
        some = real if stride == 1 else _every(original, real, stride, done)
        if len(some[goal]):
            _add_effects(original, integer, channels, some, goal, effects)
        done += len(next(iter(part.values())))
        if progress is not None:
            progress(done, count)
    layers = tuple(_layer(integer, name, node, sums[name], effects, channels) for name, node in tensors.items())
    return _conclude(layers, goal, effects, count)


def _compared(original: Graph, integer: Graph) -> dict[str, Node | None]:
    """The tensors to be looked at with the node that writes them, None for the model's inputs."""
    tensors: dict[str, Node | None] = dict.fromkeys(integer.inputs)
    for node in integer.nodes:
        if not isinstance(operator(node.op), MovementOperator):
            tensors.update({name: node for name in node.outputs if name in original.tensors})
    return tensors


def _with_conversions(integer: Graph, real: Mapping[str, Array]) -> dict[str, Array]:
    """The values of the float graph, and with them those of tensors that are others in another form."""
    found = dict(real)
    for node in integer.nodes:
        if node.op in ("to_dynamic", "from_dynamic"):
            found.setdefault(node.outputs[0], found[node.inputs[0]])
    return found


def _chunks(graph: Graph, samples: Mapping[str, Rows]) -> Iterator[dict[str, Array]]:
    size = CHUNK if is_batchable(graph) else 1
    for start in range(0, len(next(iter(samples.values()))), size):
        yield {name: array[start : start + size] for name, array in samples.items()}


def _every(graph: Graph, real: Mapping[str, Array], stride: int, first: int) -> dict[str, Array]:
    """Each `stride`-th sample of a chunk that begins with sample `first`."""
    if not is_batchable(graph):
        return {name: array if first % stride == 0 else array[:0] for name, array in real.items()}
    return {name: array[-first % stride :: stride] for name, array in real.items()}


def _sums(original: Graph, name: str, channels: Mapping[str, ChannelMap]) -> _Sums:
    width = len(channels[name].index) if name in channels else (original.tensors[name].shape or (1,))[-1]
    return _Sums(np.zeros(width), np.zeros(width), np.zeros(width))


def _forth(name: str, values: Array, channels: Mapping[str, ChannelMap]) -> Array:
    return channels[name].forth(values) if name in channels else values.astype(np.float64)


def _back(name: str, values: Array, others: Array, channels: Mapping[str, ChannelMap]) -> Array:
    return channels[name].back(values, others) if name in channels else values


def _quant(graph: Graph, name: str) -> QuantParams:
    quant = graph.tensors[name].quant
    assert quant is not None
    return quant


def _rounded(integer: Graph, channels: Mapping[str, ChannelMap], real: Mapping[str, Array], name: str) -> Array:
    """The model's values of a tensor after rounding to the integer graph's numbers, float32."""
    quant, wanted = _quant(integer, name), _forth(name, real[name], channels)
    values = quant.dequantize(quant.quantize(wanted)).reshape(wanted.shape)
    return _back(name, values, real[name], channels).astype(np.float32)


def _add_powers(
    original: Graph,
    integer: Graph,
    channels: Mapping[str, ChannelMap],
    real: Mapping[str, Array],
    sums: Mapping[str, _Sums],
) -> None:
    producers, makers = integer.producers(), original.producers()
    inputs = {name: _quant(integer, name).quantize(_forth(name, real[name], channels)) for name in integer.inputs}
    run = reference(integer, inputs, keep=list(sums))
    for name, total in sums.items():
        quant, wanted = _quant(integer, name), _forth(name, real[name], channels)
        given = quant.dequantize(run[name]).reshape(wanted.shape)
        scale = channels[name].scale if name in channels else np.ones(())
        total.signal += _power(wanted / scale)
        total.accumulated += _power((given - wanted) / scale)
        if name in producers and name in makers:
            target, alone = _alone(original, integer, channels, real, (makers[name], producers[name]), name)
            total.alone += _power((alone.reshape(target.shape) - target) / scale)
        else:
            total.alone += _power((quant.dequantize(quant.quantize(wanted)).reshape(wanted.shape) - wanted) / scale)
        total.saturated += quant.saturated(wanted)
        total.values += wanted.size
        total.lowest = min(total.lowest, float(run[name].min()))
        total.highest = max(total.highest, float(run[name].max()))


def _power(values: Array) -> Array:
    flat = np.asarray(values, np.float64).reshape(-1, values.shape[-1] if values.ndim else 1)
    return np.asarray(np.einsum("ij,ij->j", flat, flat))


def _alone(
    original: Graph,
    integer: Graph,
    channels: Mapping[str, ChannelMap],
    real: Mapping[str, Array],
    nodes: tuple[Node, Node],
    name: str,
) -> tuple[Array, Array]:
    """A node in float and in integers on the same inputs, which are the float ones rounded; in the integer graph's channels."""
    in_float, in_integers = nodes
    known = set(integer.activations())
    given = [
        original.constant(n)
        if original.is_constant(n)
        else operand(original.tensors[n], _rounded(integer, channels, real, n) if n in known else real[n])
        for n in in_float.inputs
    ]
    wanted = operator(in_float.op).evaluate(in_float, given)[in_float.outputs.index(name)]
    arrays = [
        integer.constant(n)
        if integer.is_constant(n)
        else operand(integer.tensors[n], _quant(integer, n).quantize(_forth(n, real[n], channels)))
        for n in in_integers.inputs
    ]
    result = operator(in_integers.op).reference(in_integers, arrays)[in_integers.outputs.index(name)]
    return _forth(name, wanted, channels), _quant(integer, name).dequantize(result)


def _add_effects(
    original: Graph,
    integer: Graph,
    channels: Mapping[str, ChannelMap],
    real: Mapping[str, Array],
    goal: str,
    effects: _Effects,
) -> None:
    wanted = real[goal].astype(np.float64)
    inputs = {name: _quant(integer, name).quantize(_forth(name, real[name], channels)) for name in integer.inputs}
    given = reference(integer, inputs, keep=[goal])[goal]
    total = _back(
        goal, _quant(integer, goal).dequantize(given).reshape(_kept_shape(goal, wanted, channels)), wanted, channels
    )
    effects.signal += float((wanted**2).sum())
    effects.noise += float(((total - wanted) ** 2).sum())
    for name in effects.tensors:
        changed = evaluate_changed(original, real, {name: _rounded(integer, channels, real, name)})
        if goal in changed:
            effects.tensors[name] += float(((changed[goal] - wanted) ** 2).sum())


def _kept_shape(name: str, values: Array, channels: Mapping[str, ChannelMap]) -> tuple[int, ...]:
    return values.shape if name not in channels else (*values.shape[:-1], len(channels[name].index))


def decibels(signal: float, noise: float) -> float | None:
    """10 log10 of the ratio; infinite without noise, None without signal."""
    if signal <= 0:
        return None
    return float("inf") if noise <= 0 else 10 * float(np.log10(signal / noise))


def _layer(
    integer: Graph, name: str, node: Node | None, sums: _Sums, effects: _Effects, channels: Mapping[str, ChannelMap]
) -> LayerFidelity:
    quant = _quant(integer, name)
    noise = float(sums.accumulated.sum())
    order = np.argsort(-sums.accumulated, kind="stable")[:WORST]
    index = channels[name].index if name in channels else np.arange(len(sums.signal))
    worst = tuple(
        WorstChannel(
            int(index[c]),
            decibels(float(sums.signal[c]), float(sums.accumulated[c])),
            float(sums.accumulated[c] / noise),
        )
        for c in order
        if noise > 0
    )
    return LayerFidelity(
        name if node is None else "+".join(dict.fromkeys(node.origin)) or node.name,
        "input" if node is None else node.op,
        name,
        quant.dtype,
        decibels(float(sums.signal.sum()), float(sums.alone.sum())),
        decibels(float(sums.signal.sum()), noise),
        decibels(effects.signal, effects.tensors[name]),
        sums.saturated / max(1, sums.values),
        (sums.highest - sums.lowest) / (quant.high - quant.low),
        worst,
    )


def _conclude(layers: tuple[LayerFidelity, ...], goal: str, effects: _Effects, count: int) -> LayerStudy:
    total = decibels(effects.signal, effects.noise)
    eight_bits: Sequence[LayerFidelity] = [layer for layer in layers if layer.dtype == "int8"]
    worst = max(eight_bits, key=lambda layer: effects.tensors[layer.tensor], default=None)
    expected = None
    if worst is not None and total is not None:
        expected = decibels(effects.signal, max(effects.noise - effects.tensors[worst.tensor], effects.noise / 100))
    if worst is None or expected is None or total is None or expected < total + LEAST_GAIN_DB:
        return LayerStudy(count, goal, total, layers, None, None)
    return LayerStudy(count, goal, total, layers, worst.name.split("+")[0], expected)

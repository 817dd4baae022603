"""What LSTM, GRU and RNN share: reading the ONNX node, the sums of the gates in integers, and the curves of the gates.

Integers, one step of one direction, for a batch of one:

- input int8 by its own parameters; state h int8 at scale 1/128 (`STATE`), |h| <= 1;
- sums of a gate int16 at scale 2^-12, [-8, 8): `sat16(requantize(acc_x, M_x) + requantize(acc_h, M_h))`, where `acc_x` is the
  input's product with int8 rows plus bias (the input's zero point folded in), `acc_h` the state's; both fit int32 for all
  inputs, which is proved row by row;
- tanh in units of 2^-15 by a table of 257 values at steps of 1/32 and straight lines between them; sigmoid(x) is
  `(2^15 + tanh(x / 2) + 1) >> 1` by the same table.

Errors: a sum is within one unit of 2^-12 of the real product of the rounded weights (two roundings); it saturates at 8, where
both curves are within 2^-11 of their limit.  Tanh is within 4.1 units of 2^-15 of the real curve: 3.1 from the lines
(h^2 / 8 * max|tanh''|), a half from the table, a half from rounding between its values; sigmoid within 2.6 units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import exact_matmul, requantize, saturate
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import emit_slice, reshaped
from mcugen.ops.operator import Case, Cost, Importer, Operator, QuantContext, Spec
from mcugen.ops.refusal import refusal
from mcugen.ops.weighted import integer_parameters, round_weights
from mcugen.program import KernelCall

Array = npt.NDArray[Any]

STATE = QuantParams.per_tensor(1 / 128, 0)
SUM_BITS = 12
SUM = QuantParams.per_tensor(2.0**-SUM_BITS, 0, "int16")
CURVE_STEPS = 256
"""Intervals of the tanh table over [0, 8]."""
CURVE_REACH = 8.0

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
PARTS = ("weights", "bias", "multiplier", "shift")
CONSTANTS = (*(f"in_{part}" for part in PARTS), *(f"state_{part}" for part in PARTS), "tanh", "initial_state")
"""The first constants of an integer node, in this order."""


class RecurrentOperator(Operator):
    """One direction of one layer: `x` [1, T, I] -> h [1, T, H], or [1, 1, H] of the last step where `sequence` is false.

    Float inputs: x, weights [G * H, I], bias [G * H], state weights [G * H, H], state bias [G * H], then an initial value [H]
    for each state; attributes `reverse`, `sequence`, `clip` (of the sums; absent: none).  Gates stand in ONNX order.
    """

    gates: ClassVar[int] = 1
    activations: ClassVar[tuple[str, ...]] = ("Tanh",)
    """The ONNX default activations, the only ones that there are integers for."""
    states: ClassVar[tuple[str, ...]] = ("initial_h",)

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        return import_recurrent(self, importer)

    def extra_attrs(self, importer: Importer) -> dict[str, Any]:
        """Attributes of this operator alone; raises where one asks for what it cannot do."""
        return {}

    def biases(self, importer: Importer, bias: Array, attrs: Mapping[str, Any]) -> tuple[Array, Array]:
        """What is added to the input's and to the state's product, from ONNX's `[2, G * H]`."""
        return bias.sum(axis=0), np.zeros_like(bias[0])

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        (batch, steps, depth), rows, (_, hidden) = inputs[0].shape, inputs[1].shape, inputs[3].shape
        if batch != 1 or rows != (self.gates * hidden, depth):
            raise ValueError(
                f"weights {list(rows)} do not fit an input {list(inputs[0].shape)} and a state of {hidden}"
            )
        return [Spec((1, steps if node.attrs["sequence"] else 1, hidden))]

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return STATE

    def cost(self, node: Node, graph: Graph) -> Cost:
        steps = graph.tensors[node.inputs[0]].shape[1]
        macs = sum(graph.tensors[name].size for name in weight_names(node, graph))
        return Cost(steps * macs, graph.tensors[node.outputs[0]].size)

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return None


def weight_names(node: Node, graph: Graph) -> tuple[str, str]:
    """The matrices of the input and of the state, in the float or the integer node."""
    return node.inputs[1], node.inputs[3 if graph.tensors[node.inputs[1]].dtype == "float32" else 1 + len(PARTS)]


def import_recurrent(op: RecurrentOperator, importer: Importer) -> list[str]:
    """Y and Y_h: a node a direction, in the layout [1, T, I]; raises UnsupportedModel where no integers can do it."""
    inputs = [*importer.inputs(), *[""] * 8][:8]
    directions = DIRECTIONS[str(importer.attr("direction", "forward"))]
    batch_first = bool(importer.attr("layout", 0))
    shape = importer.shape(inputs[0])
    steps, batch = shape[:2][::-1] if batch_first else shape[:2]
    weights, state_weights, bias = _constants(op, importer, inputs, len(directions))
    hidden = state_weights.shape[-1]
    _refuse_rest(op, importer, inputs, steps=steps, batch=batch, directions=len(directions))
    clip = importer.attr("clip")
    attrs = op.extra_attrs(importer) | ({} if clip is None else {"clip": float(clip)})
    given = _given(op, importer, inputs, len(directions), hidden)
    last_cell = len(op.states) > 1 and importer.output_used(2)
    if (given or last_cell) and len(directions) > 1:
        raise importer.unsupported(
            "Y_c, or a computed state, of two directions", "write the directions as two layers, one of them reversed"
        )
    starts = [""] * 2 if given else inputs[5:7]
    initial = [
        _initial(importer, start, len(directions), hidden, op.states[i])
        for i, start in enumerate(starts[: len(op.states)])
    ]
    x = reshaped(importer, inputs[0], (1, steps, shape[-1]))
    outputs, last = [], []
    for i, reverse in enumerate(directions):
        to_input, to_state = op.biases(importer, bias[i], attrs)
        parts = (weights[i], to_input, state_weights[i], to_state, *(value[i] for value in initial))
        names = ("weights", "bias", "state_weights", "state_bias", *op.states)
        constants = [importer.add_constant(part, name) for part, name in zip(parts, names, strict=True)]
        sequence = importer.output_used(0)
        operands = [x, *constants[:4], *(given or constants[4:])]
        options = {"reverse": reverse, "sequence": sequence, **attrs}
        if given or last_cell:
            y, y_c = importer.emit_many("lstm_states", operands, 2, **options)
        else:
            y = y_c = importer.emit(op.name, operands, **options)
        outputs.append(y)
        end = 0 if reverse or not sequence else steps - 1
        last.append(emit_slice(importer, y, {1: range(end, end + 1)}))
    y, y_h = (parts[0] if len(parts) == 1 else importer.emit("concat", parts, axis=2) for parts in (outputs, last))
    results = [y]
    if importer.output_used(0):
        four = (1, steps, len(directions), hidden) if batch_first else (steps, len(directions), 1, hidden)
        results = [reshaped(importer, y, four)]
    three = (1, len(directions), hidden) if batch_first else (len(directions), 1, hidden)
    y_c = reshaped(importer, y_c, three) if last_cell else y_h
    return [*results, reshaped(importer, y_h, three), y_c][: max(1, importer.output_count())]


def _constants(
    op: RecurrentOperator, importer: Importer, inputs: Sequence[str], directions: int
) -> tuple[Array, Array, Array]:
    """Weights [directions, G * H, I], state weights [directions, G * H, H] and biases [directions, 2, G * H]."""
    found = [importer.constant(name) for name in inputs[1:4]]
    if found[0] is None or found[1] is None or (inputs[3] and found[2] is None):
        raise importer.unsupported(
            "its weights are computed by the model", "export it for inference, with constant weights"
        )
    rows, hidden = found[1].shape[1:]
    if len(found[0]) != directions or rows != op.gates * hidden:
        raise importer.unsupported(f"weights {list(found[0].shape)} and {list(found[1].shape)} do not fit each other")
    bias = np.zeros((directions, 2 * rows), np.float32) if found[2] is None else found[2]
    return found[0], found[1], bias.reshape(directions, 2, rows)


def _refuse_rest(
    op: RecurrentOperator, importer: Importer, inputs: Sequence[str], *, steps: int, batch: int, directions: int
) -> None:
    if batch != 1:
        raise importer.unsupported(
            f"a batch of {batch} sequences",
            "give the batch's axis the size 1 with `--shape INPUT=...`; one run is one sequence",
        )
    lengths = importer.constant(inputs[4])
    if inputs[4] and (lengths is None or np.any(lengths != steps)):
        raise importer.unsupported(
            "sequence_lens shorter than the input, or computed",
            f"leave it out of the export: all {steps} steps are run; a shorter sequence is another model",
        )
    if any(inputs[7:]):
        raise importer.unsupported("peepholes (its input P)", "train it without: PyTorch's and Keras' LSTM have none")
    given = [str(getattr(name, "decode", lambda text=name: text)()) for name in importer.attr("activations", [])]
    if [name.lower() for name in given] not in ([], [name.lower() for name in op.activations] * directions):
        raise importer.unsupported(
            f"activations {', '.join(given)}",
            f"the default ones, {', '.join(op.activations)}, have integers; train it with those",
        )
    if importer.attr("input_forget", 0):
        raise importer.unsupported("input_forget (coupled gates)", "export it without: PyTorch and Keras have none")


def _given(op: RecurrentOperator, importer: Importer, inputs: Sequence[str], directions: int, hidden: int) -> list[str]:
    """State and cell of an LSTM [1, H] where both are computed or the model's inputs; none where both are constants."""
    names = inputs[5 : 5 + len(op.states)]
    computed = [bool(name) and importer.constant(name) is None for name in names]
    if len(names) < 2 or not all(computed):
        return []
    return [reshaped(importer, name, (1, hidden)) if directions == 1 else name for name in names]


def _initial(importer: Importer, name: str, directions: int, hidden: int, field: str) -> Array:
    """A constant initial state [directions, H], zero where there is none."""
    if not name:
        return np.zeros((directions, hidden), np.float32)
    value = importer.constant(name)
    if value is None:
        raise importer.unsupported(
            f"{field} is computed by the model or one of its inputs",
            "start from a constant state, and run whole sequences",
        )
    if field == "initial_h" and np.abs(value).max(initial=0.0) > 1:
        raise importer.unsupported(
            "an initial_h beyond [-1, 1]", "no step of the layer could reach it: start from zero"
        )
    return np.broadcast_to(value.reshape(directions, -1), (directions, hidden))


@dataclass(frozen=True)
class FloatStep:
    """One direction's float weights, ready for its steps over x [N, T, I]."""

    x: Array
    weights: Array
    bias: Array
    state_weights: Array
    state_bias: Array
    initial: tuple[Array, ...]
    reverse: bool

    @staticmethod
    def of(node: Node, inputs: Sequence[Array]) -> FloatStep:
        states = tuple(np.broadcast_to(value, (len(inputs[0]), value.shape[-1])) for value in inputs[5:])
        x, weights, bias, state_weights, state_bias = inputs[:5]
        return FloatStep(x, weights, bias, state_weights, state_bias, states, bool(node.attrs["reverse"]))

    def times(self) -> list[int]:
        return step_order(self.x.shape[1], self.reverse)

    def split(self, t: int, h: Array) -> tuple[Array, Array]:
        """The input's and the state's sums [N, G * H], biases included."""
        return self.x[:, t] @ self.weights.T + self.bias, h @ self.state_weights.T + self.state_bias


def step_order(steps: int, reverse: bool) -> list[int]:
    return list(range(steps))[:: -1 if reverse else 1]


def collect(node: Node, states: Sequence[Array], times: Sequence[int]) -> Array:
    """h [N, T, H] in the input's order of time from the states in the order of the steps; the last alone [N, 1, H]."""
    if not node.attrs["sequence"]:
        return states[-1][:, None]
    return np.stack([states[times.index(t)] for t in range(len(times))], axis=1)


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -80, 80))))


def clipped(node: Node, x: Array) -> Array:
    limit = node.attrs.get("clip")
    return x if limit is None else np.clip(x, -limit, limit)


def quantize_recurrent(
    op: RecurrentOperator, node: Node, graph: Graph, context: QuantContext
) -> tuple[Node, dict[str, Array]]:
    """The integer node of one activation, with the constants `CONSTANTS`; initial_state is int8."""
    x, w, b, r, rb = node.inputs[:5]
    constants: dict[str, Array] = {}
    for part, operands, quant in (("in", (x, w, b), context.activations[x]), ("state", (x, r, rb), STATE)):
        layer = replace(node, inputs=operands)
        weights, bias = graph.constant(operands[1]), graph.constant(operands[2]).astype(np.float64)
        integers, scale = round_weights(weights, quant, SUM, bias)
        found = integer_parameters(layer, graph, integers, scale, quant, SUM)
        constants |= {f"{part}_{name}": found[name] for name in PARTS}
    constants["tanh"] = tanh_table()
    start = graph.tensors[node.inputs[5]].data
    constants["initial_state"] = STATE.quantize(np.zeros(weights.shape[1]) if start is None else start)
    limit = float(node.attrs.get("clip", CURVE_REACH))
    if limit <= 0:
        raise refusal(node, graph, f"clip {limit:g}", hint="a positive threshold, or none")
    attrs = {k: v for k, v in node.attrs.items() if k != "clip"}
    clip = min(SUM.high, int(np.rint(min(limit, CURVE_REACH) * 2**SUM_BITS)))
    given = tuple(name for name in node.inputs[5:] if not graph.is_constant(name))
    return replace(node, inputs=(x, *given), attrs=attrs | {"clip": clip}), constants


@dataclass(frozen=True)
class IntegerStep:
    """The integer node's arrays, and the sums of its gates."""

    x: Array
    parts: Mapping[str, Array]
    rest: tuple[Array, ...]
    times: list[int]
    clip: int

    @staticmethod
    def of(node: Node, inputs: Sequence[Array]) -> IntegerStep:
        parts = dict(zip(CONSTANTS, inputs[1:], strict=False))
        times = step_order(inputs[0].shape[1], bool(node.attrs["reverse"]))
        return IntegerStep(inputs[0], parts, tuple(inputs[1 + len(CONSTANTS) :]), times, int(node.attrs["clip"]))

    @property
    def hidden(self) -> int:
        return int(self.parts["state_weights"].shape[1])

    def initial(self) -> Array:
        return np.broadcast_to(self.parts["initial_state"], (len(self.x), self.hidden))

    def product(self, which: str, q: Array, rows: slice) -> Array:
        """The requantized product of `which`, "in" or "state", for some rows, at scale 2^-12; int64."""
        weights, bias, multiplier, shift = (self.parts[f"{which}_{part}"][rows] for part in PARTS)
        return requantize(exact_matmul(q, weights.T) + bias, multiplier, shift, 0)

    def sums(self, t: int, h: Array, rows: slice = slice(None)) -> Array:
        """The sums of some gates' rows, clipped; int64."""
        return self.clipped(self.product("in", self.x[:, t], rows) + self.product("state", h, rows))

    def clipped(self, value: Array) -> Array:
        return np.clip(saturate16(value), -self.clip, self.clip)

    def tanh(self, x: Array) -> Array:
        return tanh_q15(self.parts["tanh"], x)

    def sigmoid(self, x: Array) -> Array:
        return sigmoid_q15(self.parts["tanh"], x)


def saturate16(value: Array) -> Array:
    return np.asarray(saturate(value, -32768, 32767, "int64"))


def tanh_table() -> Array:
    """tanh in units of 2^-15 at 0, 1/32, ... 8."""
    real = np.tanh(np.arange(CURVE_STEPS + 1) * (CURVE_REACH / CURVE_STEPS))
    return np.asarray(np.minimum(np.rint(real * 32768), 32767).astype(np.int16))


def tanh_q15(table: Array, x: Array, shift: int = 7) -> Array:
    """tanh(x * 2^-12) in units of 2^-15, int64 for int16 x; with `shift` 8 tanh of half of that."""
    values = table.astype(np.int64)
    size = np.minimum(np.abs(x), 32767)
    index, rest = size >> shift, size & ((1 << shift) - 1)
    step = values[index + 1] - values[index]
    result = values[index] + ((step * rest + (1 << (shift - 1))) >> shift)
    return np.asarray(np.where(x < 0, -result, result))


def sigmoid_q15(table: Array, x: Array) -> Array:
    """sigmoid(x * 2^-12) in units of 2^-15, in [11, 32757]; int64."""
    return np.asarray((32768 + tanh_q15(table, x, shift=8) + 1) >> 1)


def portable_call(op: RecurrentOperator, node: Node, graph: Graph) -> KernelCall:
    """The call of `mcugen_NAME_s8`; a constant that is zero throughout, but weights, is left out."""
    steps, depth = graph.tensors[node.inputs[0]].shape[1:]
    constants = {name: graph.constant(tensor) for name, tensor in zip(CONSTANTS, node.inputs[1:], strict=False)}
    hidden = constants["state_weights"].shape[1]
    optional = ("in_shift", "state_shift", "state_bias", "initial_state")
    constants = {name: data for name, data in constants.items() if name not in optional or np.any(data)}
    flags = {name: int(node.attrs[name]) for name in ("reverse", "sequence", "clip")}
    rows = op.gates * hidden
    return KernelCall(
        f"mcugen_{op.name}_s8",
        (f"{op.name}_s8.h",),
        {"steps": steps, "in_c": depth, "hidden": hidden} | flags,
        constants,
        cycles=steps * (rows * (depth + hidden) * 8.2 + rows * 30.0 + hidden * 160.0),
    )


def recurrent_cases(
    op: RecurrentOperator,
    states: int,
    variants: Sequence[tuple[str, Mapping[str, Any]]],
    default: Mapping[str, Any] | None = None,
) -> Iterator[Case]:
    """Graphs of one direction: steps, inputs and units that divide no blocking."""
    shapes = {"plain": (5, 3, 4), "reverse": (6, 5, 7), "last": (9, 6, 8), "wide": (3, 17, 9), "unit": (4, 1, 1)}
    chosen: list[tuple[str, Mapping[str, Any]]] = [
        ("plain", {}),
        ("reverse", {"reverse": True}),
        ("last", {"sequence": False}),
        ("wide", {"clip": 1.5}),
        ("unit", {"sequence": False, "reverse": True}),
        *variants,
    ]
    for name, attrs in chosen:
        steps, depth, hidden = shapes.get(name, (7, 5, 6))
        rng = np.random.default_rng([steps, depth, hidden])
        builder = GraphBuilder(f"{op.name}_{name}")
        rows = op.gates * hidden
        operands = [builder.input("x", (1, steps, depth))]
        for fan_in, scale in ((depth, 1.5), (hidden, 0.7)):
            operands.append(builder.constant(rng.normal(size=(rows, fan_in)) * scale / np.sqrt(fan_in)))
            operands.append(builder.constant(rng.normal(size=rows) * 0.4))
        for _ in range(states):
            start = rng.uniform(-0.9, 0.9, hidden) if name in ("plain", "last") else np.zeros(hidden)
            operands.append(builder.constant(start))
        full = {"reverse": False, "sequence": True} | dict(default or {}) | dict(attrs)
        yield Case(name, builder.output(builder.emit(op.name, operands, **full)), -2.0, 2.0)

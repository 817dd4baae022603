"""What LSTM, GRU and RNN share: the sums of the gates in integers, and the curves of the gates.

Integers, one step of one direction, for a batch of one:

- input int8 by its own parameters, calibrated, or found at run time (dynamic_gates.py);
- state h int8 at scale 1/128 (`STATE`), |h| <= 1;
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
from mcugen.graph import DynamicQuantParams, Graph, Node, QuantParams, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import dynamic_input
from mcugen.ops.dynamic_gates import DynamicInput, input_parameters
from mcugen.ops.operator import Case, Cost, Importer, Operator, QuantContext, Spec
from mcugen.ops.recurrent_import import import_recurrent
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

PARTS = ("weights", "bias", "multiplier", "shift")
CONSTANTS = (*(f"in_{part}" for part in PARTS), *(f"state_{part}" for part in PARTS), "tanh", "initial_state")
"""The first constants of an integer node, in this order; where the input is dynamic `in_row_sums` comes next."""


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
        steps = step_count(node, graph)
        macs = sum(graph.tensors[name].size for name in weight_names(node, graph))
        return Cost(steps * macs, graph.tensors[node.outputs[0]].size)

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return None


def step_count(node: Node, graph: Graph) -> int:
    """T, also of an integer node whose input is dynamic, and so has no axes."""
    return int(node.attrs["steps"] if "steps" in node.attrs else graph.tensors[node.inputs[0]].shape[1])


def constant_names(node: Node) -> tuple[str, ...]:
    """The names of an integer node's first constants."""
    return (*CONSTANTS, "in_row_sums") if "in_exponent" in node.attrs else CONSTANTS


def weight_names(node: Node, graph: Graph) -> tuple[str, str]:
    """The matrices of the input and of the state, in the float or the integer node."""
    return node.inputs[1], node.inputs[3 if graph.tensors[node.inputs[1]].dtype == "float32" else 1 + len(PARTS)]


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
    quant = context.activations[x]
    ranges: dict[str, int] = {}
    of_input, of_state = _chosen_weights(context.weights.get(node.name), graph.tensors[w].shape[1])
    if isinstance(quant, DynamicQuantParams):
        constants, ranges = input_parameters(node, graph, SUM_BITS)
    else:
        constants = _product_parameters("in", replace(node, inputs=(x, w, b)), graph, quant, of_input)
    row_sums = {name: constants.pop(name) for name in ("in_row_sums",) if name in constants}
    constants |= _product_parameters("state", replace(node, inputs=(x, r, rb)), graph, STATE, of_state)
    constants["tanh"] = tanh_table()
    start = graph.tensors[node.inputs[5]].data
    constants["initial_state"] = STATE.quantize(np.zeros(graph.tensors[r].shape[1]) if start is None else start)
    limit = float(node.attrs.get("clip", CURVE_REACH))
    if limit <= 0:
        raise refusal(node, graph, f"clip {limit:g}", hint="a positive threshold, or none")
    attrs = {k: v for k, v in node.attrs.items() if k != "clip"} | ranges
    clip = min(SUM.high, int(np.rint(min(limit, CURVE_REACH) * 2**SUM_BITS)))
    given = tuple(name for name in node.inputs[5:] if not graph.is_constant(name))
    return replace(node, inputs=(x, *given), attrs=attrs | {"clip": clip}), constants | row_sums


Rounded = tuple[Array, Array]
"""Integers, and scales by row."""


def _chosen_weights(chosen: Rounded | None, depth: int) -> tuple[Rounded | None, Rounded | None]:
    """Of input and state, from those of both side by side."""
    if chosen is None:
        return None, None
    integers, scales = chosen
    return (integers[:, :depth], scales[:, 0]), (integers[:, depth:], scales[:, 1])


def _product_parameters(
    part: str, layer: Node, graph: Graph, quant: QuantParams, chosen: Rounded | None
) -> dict[str, Array]:
    """The constants of a product with an input of calibrated or fixed parameters."""
    weights, bias = graph.constant(layer.inputs[1]), graph.constant(layer.inputs[2]).astype(np.float64)
    integers, scale = round_weights(weights, quant, SUM, bias) if chosen is None else chosen
    found = integer_parameters(layer, graph, integers, scale, quant, SUM)
    return {f"{part}_{name}": found[name] for name in PARTS}


@dataclass(frozen=True)
class IntegerStep:
    """The integer node's arrays, and the sums of its gates."""

    x: Array
    parts: Mapping[str, Array]
    rest: tuple[Array, ...]
    times: list[int]
    clip: int
    dynamic: DynamicInput | None = None

    @staticmethod
    def of(node: Node, inputs: Sequence[Array]) -> IntegerStep:
        names = constant_names(node)
        parts, rest = dict(zip(names, inputs[1:], strict=False)), tuple(inputs[1 + len(names) :])
        dynamic = DynamicInput.of(node, inputs[0], parts["in_row_sums"]) if "in_row_sums" in parts else None
        x = inputs[0] if dynamic is None else dynamic.x
        times = step_order(x.shape[1], bool(node.attrs["reverse"]))
        return IntegerStep(x, parts, rest, times, int(node.attrs["clip"]), dynamic)

    @property
    def hidden(self) -> int:
        return int(self.parts["state_weights"].shape[1])

    def initial(self) -> Array:
        return np.broadcast_to(self.parts["initial_state"], (len(self.x), self.hidden))

    def product(self, which: str, q: Array, rows: slice) -> Array:
        """The requantized product of `which`, "in" or "state", for some rows, at scale 2^-12; int64."""
        weights, bias, multiplier, shift = (self.parts[f"{which}_{part}"][rows] for part in PARTS)
        if self.dynamic is not None and which == "in":
            return self.dynamic.product(q, weights, bias, multiplier, shift, rows)
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
    names = constant_names(node)
    constants = {name: graph.constant(tensor) for name, tensor in zip(names, node.inputs[1:], strict=False)}
    steps, depth = step_count(node, graph), constants["in_weights"].shape[1]
    hidden = constants["state_weights"].shape[1]
    optional = ("in_shift", "state_shift", "state_bias", "initial_state")
    constants = {name: data for name, data in constants.items() if name not in optional or np.any(data)}
    fields = ("reverse", "sequence", "clip", "in_exponent")
    flags = {name: int(node.attrs[name]) for name in fields if name in node.attrs}
    if "in_row_sums" in constants:
        flags["in_common_shift"] = int(constants.pop("in_shift")[0])
    rows = op.gates * hidden
    shifting = 20.0 if "in_row_sums" in constants else 0.0
    return KernelCall(
        f"mcugen_{op.name}_s8",
        (f"{op.name}_s8.h",),
        {"steps": steps, "in_c": depth, "hidden": hidden} | flags,
        constants,
        cycles=steps * (rows * (depth + hidden) * 8.2 + rows * (30.0 + shifting) + hidden * 160.0),
    )


def recurrent_cases(
    op: RecurrentOperator,
    states: int,
    variants: Sequence[tuple[str, Mapping[str, Any]]],
    default: Mapping[str, Any] | None = None,
) -> Iterator[Case]:
    """Graphs of one direction: steps, inputs and units that divide no blocking."""
    shapes = {"plain": (5, 3, 4), "reverse": (6, 5, 7), "last": (9, 6, 8), "wide": (3, 17, 9), "unit": (4, 1, 1)}
    shapes["dynamic_small"] = shapes["wide"]
    chosen: list[tuple[str, Mapping[str, Any]]] = [
        ("plain", {}),
        ("reverse", {"reverse": True}),
        ("last", {"sequence": False}),
        ("wide", {"clip": 1.5}),
        ("unit", {"sequence": False, "reverse": True}),
        ("dynamic", {}),
        ("dynamic_small", {"sequence": False, "reverse": True, "clip": 1.5}),
        *variants,
    ]
    for name, attrs in chosen:
        steps, depth, hidden = shapes.get(name, (7, 5, 6))
        rng = np.random.default_rng([steps, depth, hidden])
        builder = GraphBuilder(f"{op.name}_{name}")
        rows = op.gates * hidden
        shape = (1, steps, depth)
        operands = [dynamic_input(builder, shape) if name.startswith("dynamic") else builder.input("x", shape)]
        for fan_in, scale in ((depth, 1.5), (hidden, 0.7)):
            operands.append(builder.constant(rng.normal(size=(rows, fan_in)) * scale / np.sqrt(fan_in)))
            operands.append(builder.constant(rng.normal(size=rows) * 0.4))
        for _ in range(states):
            start = rng.uniform(-0.9, 0.9, hidden) if name in ("plain", "last") else np.zeros(hidden)
            operands.append(builder.constant(start))
        full = {"reverse": False, "sequence": True} | dict(default or {}) | dict(attrs)
        reach = 0.01 if name == "dynamic_small" else 2.0
        yield Case(name, builder.output(builder.emit(op.name, operands, **full)), -reach, reach)

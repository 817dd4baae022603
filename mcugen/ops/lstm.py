"""Long short-term memory (S. Hochreiter and J. Schmidhuber, Neural Computation 9, 1997; with a forget gate)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import saturate
from mcugen.graph import Graph, Node
from mcugen.kernels import variants
from mcugen.ops.operator import Case, Lowering, QuantContext
from mcugen.ops.recurrent import (
    SUM_BITS,
    FloatStep,
    IntegerStep,
    RecurrentOperator,
    clipped,
    collect,
    portable_call,
    quantize_recurrent,
    recurrent_cases,
    saturate16,
    sigmoid,
)

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

CELL_HEADROOM = 2.0
"""The range of the cells, in what the calibration data reached: one more bit costs less than a cell that saturates."""
FEWEST_CELL_BITS = 4
CELL_REACH = 16.0
"""What cells are taken to reach where no data say it: from 8 on their tanh is 1."""


class Lstm(RecurrentOperator):
    """Gates i, o, f, c.  `c' = f * c + i * g`, `h' = o * tanh(c')`, with g the tanh of the last gate's sum.

    Integers (recurrent.py has the sums and curves): the cell c is int16 at scale 2^-k, k from 4 to 12 such that twice the
    calibration data's largest cell fits.  `c' = sat16((f * c + ((i * g) >> (15 - k)) + 2^14) >> 15)`;
    `h' = sat8((o * tanh(sat16(c' * 2^(12 - k)))  + 2^22) >> 23)`; both sums stay below 2^31, since every factor is at
    most 2^15.  A step adds at most a half of 2^-k, and 2^-(15 + k), to the error of c beyond what gates and cell bring.
    """

    name: ClassVar[str] = "lstm"
    onnx: ClassVar[tuple[str, ...]] = ("LSTM",)
    gates: ClassVar[int] = 4
    activations: ClassVar[tuple[str, ...]] = ("Sigmoid", "Tanh", "Tanh")
    states: ClassVar[tuple[str, ...]] = ("initial_h", "initial_c")

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [collect(node, [h for h, _ in float_steps(node, inputs)], FloatStep.of(node, inputs).times())]

    def state_reach(self, node: Node, inputs: Sequence[Array]) -> float:
        return max(float(np.abs(c).max()) for _, c in float_steps(node, inputs))

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        integer, constants = quantize_recurrent(self, node, graph, context)
        start = graph.constant(node.inputs[6]).astype(np.float64)
        reach = max(float(node.attrs.get("state_reach", 1.0)), float(np.abs(start).max()))
        bits = cell_bits(reach)
        cell = saturate(np.rint(start * 2.0**bits), -32768, 32767, "int16")
        attrs = {k: v for k, v in integer.attrs.items() if k != "state_reach"}
        return replace(integer, attrs=attrs | {"cell_bits": bits}), constants | {"initial_cell": cell}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        step = IntegerStep.of(node, inputs)
        h = step.initial()
        cell = np.broadcast_to(step.rest[0].astype(np.int64), h.shape)
        states, _ = integer_steps(node, step, h, cell)
        return [collect(node, states, step.times)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        plain = portable_call(self, node, graph)
        hidden = plain.params["hidden"]
        initial = graph.constant(node.inputs[-1])
        call = replace(
            plain,
            params={**plain.params, "cell_bits": int(node.attrs["cell_bits"])},
            constants={**plain.constants} | ({"initial_cell": initial} if np.any(initial) else {}),
            scratch=11 * hidden,
            code_bytes=900,
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def cases(self) -> Iterator[Case]:
        yield from recurrent_cases(self, 2, [("large_cell", {"state_reach": 30.0})])


def cell_bits(reach: float) -> int:
    """k of the cell's scale 2^-k where the largest cell is `reach`."""
    return int(np.clip(15 - np.ceil(np.log2(reach * CELL_HEADROOM)), FEWEST_CELL_BITS, SUM_BITS))


def reach_without_data(node: Node, graph: Graph) -> float:
    """The largest cell of a float node by what is known of it: a step adds at most 1."""
    start = graph.tensors[node.inputs[6]].data
    first = 1.0 if start is None else float(np.abs(start).max(initial=0.0))
    return max(first, min(first + graph.tensors[node.inputs[0]].shape[1], CELL_REACH))


def integer_steps(node: Node, step: IntegerStep, h: Array, cell: Array) -> tuple[list[Array], Array]:
    """h after every step, in the order of the steps, and the last cell."""
    bits = int(node.attrs["cell_bits"])
    states = []
    for t in step.times:
        i, o, f, g = np.split(step.sums(t, h), 4, axis=-1)
        written = (step.sigmoid(i) * step.tanh(g)) >> (15 - bits)
        cell = saturate16((step.sigmoid(f) * cell + written + (1 << 14)) >> 15)
        curve = step.tanh(saturate16(cell << (SUM_BITS - bits)))
        h = saturate((step.sigmoid(o) * curve + (1 << 22)) >> 23)
        states.append(h)
    return states, cell


def float_steps(node: Node, inputs: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
    """h and c after every step, in the order of the steps."""
    step = FloatStep.of(node, inputs)
    h, c = step.initial
    for t in step.times():
        i, o, f, g = np.split(clipped(node, np.add(*step.split(t, h))), 4, axis=-1)
        c = (sigmoid(f) * c + sigmoid(i) * np.tanh(g)).astype(step.x.dtype)
        h = (sigmoid(o) * np.tanh(c)).astype(step.x.dtype)
        yield h, c

"""LSTM that gives its last cell, and may take its first state and cell from outside: what runs a sequence in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import quantize_multiplier, requantize, saturate
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.kernels import variants
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import dynamic_input
from mcugen.ops.lstm import Lstm, cell_bits, float_steps, integer_steps
from mcugen.ops.operator import Case, Cost, Lowering, QuantContext, Spec
from mcugen.ops.recurrent import STATE, FloatStep, IntegerStep, collect, portable_call, quantize_recurrent, saturate16
from mcugen.ops.refusal import refusal

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

GIVEN = slice(1, 3)
"""The operands of the integer node that are a given state and cell."""
LARGEST_RATIO = 2.0**14
"""Of a given cell's scale to the layer's, so that its requantization stays in int32."""


class LstmStates(Lstm):
    """As `lstm`, with the last cell [1, H] as second output; first state and cell are constants [H] or tensors [1, H].

    Integers: the cell is int16 at its scale 2^-k, as output and, where the model's input, as input, which then is taken as it
    is; a given state is `sat8(requantize(q - z, M))` at scale 1/128, a given cell `sat16(requantize(q, M))`.
    """

    name: ClassVar[str] = "lstm_states"
    onnx: ClassVar[tuple[str, ...]] = ()

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [*super().infer(node, inputs), Spec((1, inputs[3].shape[1]))]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        steps = list(float_steps(node, inputs))
        return [collect(node, [h for h, _ in steps], FloatStep.of(node, inputs).times()), steps[-1][1]]

    def output_quants(self, node: Node, graph: Graph) -> list[QuantParams | str]:
        return [STATE, _cell_quant(node, graph)]

    def input_quant(self, node: Node, graph: Graph, name: str) -> QuantParams | None:
        return {node.inputs[5]: STATE, node.inputs[6]: _cell_quant(node, graph)}.get(name)

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        integer, constants = quantize_recurrent(self, node, graph, context)
        cell = _cell_quant(node, graph)
        start = graph.tensors[node.inputs[6]].data
        constants["initial_cell"] = cell.quantize(
            np.zeros(graph.tensors[node.inputs[6]].shape[-1:]) if start is None else start
        )
        attrs = {k: v for k, v in integer.attrs.items() if k != "state_reach"}
        attrs |= {"cell_bits": -round(np.log2(float(cell.scale))), "given": len(integer.inputs) > 1}
        if attrs["given"]:
            attrs |= _rescaling(node, graph, context, cell)
        return replace(integer, attrs=attrs), constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        step = IntegerStep.of(node, _without_given(node, inputs))
        h, cell = step.initial(), np.broadcast_to(step.rest[0].astype(np.int64), (len(inputs[0]), step.hidden))
        if a["given"]:
            first, first_cell = inputs[GIVEN]
            scaled = requantize(
                first.astype(np.int64) - a["given_zero_point"],
                np.array(a["given_multiplier"]),
                np.array(a["given_shift"]),
                0,
            )
            h = saturate(scaled)
            factor, shift = np.array(a["given_cell_multiplier"]), np.array(a["given_cell_shift"])
            cell = saturate16(requantize(first_cell, factor, shift, 0))
        states, cell = integer_steps(node, step, h, cell)
        return [collect(node, states, step.times), cell.astype(np.int16)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        a = node.attrs
        plain = portable_call(self, replace(node, inputs=tuple(_without_given(node, node.inputs))), graph)
        hidden, initial = plain.params["hidden"], graph.constant(node.inputs[-1])
        fields = [name for name in a if name.startswith("given")]
        call = replace(
            plain,
            params={**plain.params, "cell_bits": int(a["cell_bits"])} | {name: int(a[name]) for name in fields},
            constants={**plain.constants} | ({"initial_cell": initial} if np.any(initial) else {}),
            scratch=11 * hidden,
            code_bytes=1000,
            # without a given state its place is taken by the input, which is not read there
            reads=None if a["given"] else (0, 0, 0),
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def cost(self, node: Node, graph: Graph) -> Cost:
        return super().cost(replace(node, inputs=tuple(_without_given(node, node.inputs))), graph)

    def cases(self) -> Iterator[Case]:
        for name, attrs in (
            ("given", {}),
            ("constant", {}),
            ("piece", {"sequence": False}),
            ("reverse", {"reverse": True}),
            ("dynamic", {}),
        ):
            steps, depth, hidden = (1, 4, 6) if name == "piece" else (5, 3, 9)
            rng = np.random.default_rng([steps, depth, hidden])
            builder = GraphBuilder(f"lstm_states_{name}")
            shape = (1, steps, depth)
            operands = [dynamic_input(builder, shape) if name == "dynamic" else builder.input("x", shape)]
            for fan_in, scale in ((depth, 1.5), (hidden, 0.7)):
                operands.append(builder.constant(rng.normal(size=(4 * hidden, fan_in)) * scale / np.sqrt(fan_in)))
                operands.append(builder.constant(rng.normal(size=4 * hidden) * 0.4))
            if name == "constant":
                operands += [builder.constant(rng.uniform(-0.9, 0.9, hidden)) for _ in range(2)]
            else:
                operands += [builder.input(state, (1, hidden)) for state in ("h", "c")]
            full: dict[str, Any] = {"reverse": False, "sequence": True} | attrs
            yield Case(name, builder.output(*builder.emit_many(self.name, operands, 2, **full)), -0.95, 0.95)


def _cell_quant(node: Node, graph: Graph) -> QuantParams:
    start = graph.tensors[node.inputs[6]].data
    reach = max(float(node.attrs.get("state_reach", 1.0)), 0.0 if start is None else float(np.abs(start).max()))
    return QuantParams.per_tensor(2.0 ** -cell_bits(reach), 0, "int16")


def _without_given(node: Node, inputs: Sequence[Any]) -> list[Any]:
    """The operands of an `lstm` node."""
    return [inputs[0], *inputs[GIVEN.stop :]] if node.attrs.get("given") else list(inputs)


def _rescaling(node: Node, graph: Graph, context: QuantContext, cell: QuantParams) -> dict[str, int]:
    state, first_cell = (context.activations[name] for name in node.inputs[5:7])
    ratio = float(first_cell.scale / cell.scale)
    if first_cell.dtype != "int16" or state.dtype != "int8" or ratio >= LARGEST_RATIO:
        raise refusal(
            node,
            graph,
            "its initial_c is no 16-bit cell" if state.dtype == "int8" else "its initial_h is held in int16",
            hint="take both from the model's inputs, or from Y_h and Y_c of another LSTM",
        )
    multiplier, shift = quantize_multiplier(float(state.scale / STATE.scale))
    cell_multiplier, cell_shift = quantize_multiplier(ratio)
    return {
        "given_zero_point": int(state.zero_point),
        "given_multiplier": int(multiplier[0]),
        "given_shift": int(shift[0]),
        "given_cell_multiplier": int(cell_multiplier[0]),
        "given_cell_shift": int(cell_shift[0]),
    }

"""Gated recurrent unit (K. Cho et al., EMNLP 2014), with the reset gate before or behind the state's product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import saturate
from mcugen.graph import Graph, Node
from mcugen.kernels import variants
from mcugen.ops.operator import Case, Importer, Lowering, QuantContext
from mcugen.ops.recurrent import (
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


class Gru(RecurrentOperator):
    """Gates z, r, h.  `h' = (1 - z) * n + z * h`; n is the tanh of `W x + R (r * h)`, or with attribute
    `linear_before_reset` of `W x + r * (R h)`.

    Integers (recurrent.py has the sums and curves): the state H is int16 at scale 2^-15, since a z near 1 lets it creep by
    less than an int8 step; products and the output read `h = sat8((H + 128) >> 8)`.
    `H' = sat16(((2^15 - z) * n + z * H + 2^14) >> 15)`, a mean of two values, so the sum stays below 2^31.
    Before the product the reset gives `sat8((r * h + 2^14) >> 15)`; behind it the sum is
    `sat16(sat16(a_x) + ((r * sat16(a_h) + 2^14) >> 15))` of the requantized products a_x and a_h.
    A step adds at most a half of 2^-15 to the error of H beyond what gates and n bring, the output a half of 1/128.
    """

    name: ClassVar[str] = "gru"
    onnx: ClassVar[tuple[str, ...]] = ("GRU",)
    gates: ClassVar[int] = 3
    activations: ClassVar[tuple[str, ...]] = ("Sigmoid", "Tanh")

    def extra_attrs(self, importer: Importer) -> dict[str, Any]:
        return {"linear_before_reset": bool(importer.attr("linear_before_reset", 0))}

    def biases(self, importer: Importer, bias: Array, attrs: Mapping[str, Any]) -> tuple[Array, Array]:
        apart = np.zeros_like(bias[1])
        if attrs["linear_before_reset"]:
            apart[-len(apart) // 3 :] = bias[1][-len(apart) // 3 :]
        return bias[0] + bias[1] - apart, apart

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        step = FloatStep.of(node, inputs)
        (h,) = step.initial
        size = h.shape[-1]
        states = []
        for t in step.times():
            from_x, from_h = step.split(t, h)
            z, r = np.split(sigmoid(clipped(node, (from_x + from_h)[:, : 2 * size])), 2, axis=-1)
            if node.attrs["linear_before_reset"]:
                total = from_x[:, 2 * size :] + r * from_h[:, 2 * size :]
            else:
                total = from_x[:, 2 * size :] + (r * h) @ step.state_weights[2 * size :].T + step.state_bias[2 * size :]
            h = ((1 - z) * np.tanh(clipped(node, total)) + z * h).astype(step.x.dtype)
            states.append(h)
        return [collect(node, states, step.times())]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        integer, constants = quantize_recurrent(self, node, graph, context)
        start = np.rint(graph.constant(node.inputs[5]).astype(np.float64) * 32768)
        return integer, constants | {"initial_state": saturate(start, -32768, 32767, "int16")}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        step = IntegerStep.of(node, inputs)
        size = step.hidden
        last = slice(2 * size, 3 * size)
        wide = step.initial().astype(np.int64)
        states = []
        for t in step.times:
            h = _narrow(wide)
            z, r = (step.sigmoid(part) for part in np.split(step.sums(t, h, slice(0, 2 * size)), 2, axis=-1))
            if node.attrs["linear_before_reset"]:
                from_h = saturate16(step.product("state", h, last))
                total = saturate16(step.product("in", step.x[:, t], last)) + ((r * from_h + (1 << 14)) >> 15)
                sums = step.clipped(total)
            else:
                sums = step.sums(t, saturate((r * h + (1 << 14)) >> 15), last)
            wide = saturate16(((32768 - z) * step.tanh(sums) + z * wide + (1 << 14)) >> 15)
            states.append(_narrow(wide))
        return [collect(node, states, step.times)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        plain = portable_call(self, node, graph)
        behind = bool(node.attrs["linear_before_reset"])
        hidden = plain.params["hidden"]
        call = replace(
            plain,
            params={**plain.params, "linear_before_reset": int(behind)},
            scratch=(10 if behind else 8) * hidden + (1 if behind else 2) * hidden,
            code_bytes=1200,
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def cases(self) -> Iterator[Case]:
        default = {"linear_before_reset": False}
        behind = {"linear_before_reset": True, "clip": 2.0}
        yield from recurrent_cases(self, 1, [("reset_behind", behind), ("dynamic_behind", behind)], default)


def _narrow(wide: Array) -> Array:
    """The int8 state of the int16 one."""
    return saturate((wide + 128) >> 8)

"""Elman's recurrent layer (J. L. Elman, Cognitive Science 14, 1990)."""

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
    FloatStep,
    IntegerStep,
    RecurrentOperator,
    clipped,
    collect,
    portable_call,
    quantize_recurrent,
    recurrent_cases,
)

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Rnn(RecurrentOperator):
    """`h' = tanh(W x + R h + b)`.

    Integers (recurrent.py has the sums and the curve): `h' = sat8((tanh(sum) + 128) >> 8)`.
    """

    name: ClassVar[str] = "rnn"
    onnx: ClassVar[tuple[str, ...]] = ("RNN",)

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        step = FloatStep.of(node, inputs)
        (h,) = step.initial
        states = []
        for t in step.times():
            h = np.tanh(clipped(node, np.add(*step.split(t, h)))).astype(step.x.dtype)
            states.append(h)
        return [collect(node, states, step.times())]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return quantize_recurrent(self, node, graph, context)

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        step = IntegerStep.of(node, inputs)
        h = step.initial()
        states = []
        for t in step.times:
            h = saturate((step.tanh(step.sums(t, h)) + 128) >> 8)
            states.append(h)
        return [collect(node, states, step.times)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        plain = portable_call(self, node, graph)
        call = replace(plain, scratch=3 * plain.params["hidden"], code_bytes=600)
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def cases(self) -> Iterator[Case]:
        yield from recurrent_cases(self, 1, [])

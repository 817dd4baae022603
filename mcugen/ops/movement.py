"""What operators that only move bytes share: the output keeps the input's parameters, float and integer meaning are one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops.operator import Operator, QuantContext

Array = npt.NDArray[Any]


class MovementOperator(Operator):
    """Inputs (x) in float and in integers."""

    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return "same"

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return node, {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return self.evaluate(node, inputs)

"""From calibrated parameters to those of a dynamic tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import DYNAMIC, Graph, Node, QuantParams, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import binary_scale, settle
from mcugen.ops.operator import Case, Lowering, Operator, QuantContext, Spec
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class ToDynamic(Operator):
    """The same values.  Integers: `(q - z) * mantissa` in units of 2^exponent, with `mantissa * 2^exponent` the input's scale
    to 2^-15 of it, then `settle` (dynamic.py)."""

    name: ClassVar[str] = "to_dynamic"

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [inputs[0]]

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return DYNAMIC

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        quant = context.activations[node.inputs[0]]
        mantissa, exponent = binary_scale(float(quant.scale))
        attrs = {"zero_point": int(quant.zero_point), "mantissa": mantissa, "exponent": exponent}
        return replace(node, attrs=attrs), {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        values = (inputs[0].reshape(len(inputs[0]), -1).astype(np.int64) - a["zero_point"]) * a["mantissa"]
        return [settle(values, np.full((len(values), 1), a["exponent"]))]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        size = graph.tensors[node.inputs[0]].size
        params = {"size": size} | {name: int(node.attrs[name]) for name in ("zero_point", "mantissa", "exponent")}
        call = KernelCall(
            "mcugen_to_dynamic_s8", ("to_dynamic_s8.h",), params, scratch=4 * size, cycles=size * 25.0, code_bytes=200
        )
        return [Lowering((call,))]

    def cases(self) -> Iterator[Case]:
        for name, low, high in (("both_signs", -3.0, 2.0), ("positive", 0.0, 0.001), ("negative", -900.0, -30.0)):
            builder = GraphBuilder(f"to_dynamic_{name}")
            x = builder.input("x", (1, 5, 7))
            yield Case(name, builder.output(builder.emit(self.name, [x])), low, high)

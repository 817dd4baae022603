"""From the parameters of a dynamic tensor to calibrated ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import saturate
from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import binary_scale, dynamic_input, rounding_shift, split
from mcugen.ops.operator import Case, Lowering, Operator, QuantContext, Spec
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

LARGEST_LEFT_SHIFT = 7
"""From here on whatever is not zero saturates: mantissas have 15 bits."""


class FromDynamic(Operator):
    """The same values.  Integers: `v = (q - z) * mantissa`, with `mantissa * 2^exponent` one over the output's scale to 2^-15 of
    it, and `n = -(e + exponent)`; `y = sat8(z_y + r(v, n))`, with `v * 2^min(-n, 7)` for r where n < 0 (dynamic.py has r)."""

    name: ClassVar[str] = "from_dynamic"

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [inputs[0]]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        quant = context.activations[node.outputs[0]]
        mantissa, exponent = binary_scale(1 / float(quant.scale))
        shape = graph.tensors[node.outputs[0]].shape
        attrs = {"zero_point": int(quant.zero_point), "mantissa": mantissa, "exponent": exponent, "shape": shape}
        return replace(node, attrs=attrs), {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        q, exponent, zero_point = split(inputs[0])
        values, shift = (q - zero_point) * a["mantissa"], -(exponent + a["exponent"])
        left = values << np.clip(-shift, 0, LARGEST_LEFT_SHIFT)
        result = np.where(shift >= 0, rounding_shift(values, np.maximum(shift, 0)), left)
        return [saturate(result + a["zero_point"]).reshape(-1, *a["shape"][1:])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        size = graph.tensors[node.outputs[0]].size
        params = {"size": size} | {name: int(node.attrs[name]) for name in ("zero_point", "mantissa", "exponent")}
        call = KernelCall(
            "mcugen_from_dynamic_s8",
            ("from_dynamic_s8.h",),
            params,
            overlap={0: 0},
            cycles=size * 12.0 + 40.0,
            code_bytes=120,
        )
        return [Lowering((call,))]

    def cases(self) -> Iterator[Case]:
        for name, shape, reach in (("plain", (1, 9), 1.0), ("small", (1, 3, 5), 1e-3), ("large", (1, 300), 5e4)):
            builder = GraphBuilder(f"from_dynamic_{name}")
            x = dynamic_input(builder, shape)
            yield Case(name, builder.output(builder.emit(self.name, [x])), -reach, reach)

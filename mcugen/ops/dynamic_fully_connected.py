"""Fully connected layer whose input and output find their parameters at run time: no calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import DYNAMIC, Graph, Node, QuantParams, Tensor
from mcugen.kernels import variants
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.dynamic import (
    SMALLEST,
    VALUE_LIMIT,
    dynamic_input,
    product,
    product_parameters,
    rounding_shift,
    settle,
    split,
)
from mcugen.ops.operator import Case, Cost, Lowering, Operator, QuantContext, Spec, apply_clip, clip_bounds
from mcugen.ops.weighted import float_bias
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

CONSTANTS = ("weights", "row_sums", "bias", "multiplier", "shift")


class DynamicFullyConnected(Operator):
    """`x` [..., K] of one row * `weights` [O, K] + `bias` [O], then a Relu where `clip_min` is 0.

    Integers (dynamic.py has tensors, r and `settle`): `a = sum(w * q) - z * sum(w)` is exact; `p = requantize(a)` brings every
    output channel to the unit 2^(e + s), with s the smallest for which |p| < 2^29 whatever the input.  The bias b is int32,
    |b| <= 2^29, in units of 2^t.  With `d = e + s - t`, the values are `p + r(b, d)` in units of 2^(e + s) where d >= 0, else
    `r(p, -d) + b` in units of 2^t; then max(0, .) for a Relu, then `settle`.
    Error beyond that of `settle`: 2^-24 of p from the multiplier, and 1.5 units, each below 2^-21 of the largest possible value.
    """

    name: ClassVar[str] = "dynamic_fully_connected"

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec((*inputs[0].shape[:-1], inputs[1].shape[0]))]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        y = inputs[0] @ inputs[1].T
        return [apply_clip(node, y + inputs[2] if len(inputs) > 2 else y)]

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return DYNAMIC

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        found, exponent = product_parameters(node, graph)
        bias = float_bias(node, graph)
        bias_exponent = int(np.ceil(np.log2(max(float(np.abs(bias).max()), SMALLEST) / VALUE_LIMIT)))
        attrs = {"exponent": exponent, "bias_exponent": bias_exponent, "relu": clip_bounds(node)[0] == 0}
        found["bias"] = np.rint(bias / 2.0**bias_exponent).astype(np.int32)
        constants = {name: found[name] for name in CONSTANTS}
        return replace(node, inputs=node.inputs[:1], attrs=attrs), constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, weights, row_sums, bias, multiplier, shift = inputs
        q, exponent, zero_point = split(x)
        products = product(q, zero_point, (weights, row_sums, multiplier, shift))
        unit = exponent + node.attrs["exponent"]
        values = products
        if bias.any():
            distance = unit - node.attrs["bias_exponent"]
            on_product = products + rounding_shift(bias.astype(np.int64), np.maximum(distance, 0))
            on_bias = rounding_shift(products, np.maximum(-distance, 0)) + bias
            values = np.where(distance >= 0, on_product, on_bias)
            unit = np.maximum(unit, node.attrs["bias_exponent"])
        return [settle(np.maximum(values, 0) if node.attrs["relu"] else values, unit)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        constants = {name: graph.constant(tensor) for name, tensor in zip(CONSTANTS, node.inputs[1:], strict=True)}
        out_c, in_c = constants["weights"].shape
        fields = ("exponent", "bias_exponent", "relu")
        call = KernelCall(
            "mcugen_dynamic_fully_connected_s8",
            ("dynamic_fully_connected_s8.h",),
            {"in_c": in_c, "out_c": out_c} | {field: int(node.attrs[field]) for field in fields},
            {n: data for n, data in constants.items() if n not in ("bias", "shift") or data.any()},
            scratch=4 * out_c,
            cycles=out_c * (in_c * 8.2 + 70.0) + 100.0,
            code_bytes=500,
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def cost(self, node: Node, graph: Graph) -> Cost:
        out_c, in_c = graph.tensors[node.inputs[1]].shape
        return Cost(out_c * in_c, out_c)

    def cases(self) -> Iterator[Case]:
        for depth, out, reach in ((7, 5, 1.0), (64, 10, 1e-4), (33, 8, 3000.0), (1, 1, 1.0), (130, 3, 1.0)):
            rng = np.random.default_rng([depth, out])
            builder = GraphBuilder(f"dynamic_fully_connected_{depth}_{out}")
            x = dynamic_input(builder, (1, depth))
            operands = [x, builder.constant(rng.normal(size=(out, depth)) * rng.uniform(0.05, 1, (out, 1)), "w")]
            operands += [] if out == 8 else [builder.constant(rng.normal(size=out) * reach, "b")]
            attrs = {"clip_min": 0.0} if out == 10 else {}
            y = builder.emit(self.name, operands, **attrs)
            if out == 10:
                last = builder.constant(rng.normal(size=(6, out)), "w2")
                y = builder.emit(self.name, [builder.emit("reshape", [y], shape=(1, 1, out)), last])
            yield Case(f"{depth}x{out}", builder.output(y), -reach, reach)
        builder = GraphBuilder("dynamic_fully_connected_zero")
        zeros = builder.emit(self.name, [dynamic_input(builder, (1, 7)), builder.constant(np.zeros((5, 7)), "w")])
        operands = [zeros, builder.constant(np.zeros((4, 5)), "w2"), builder.constant(np.arange(4.0) - 1, "b")]
        yield Case("zero", builder.output(zeros, builder.emit(self.name, operands)))

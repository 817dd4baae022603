"""PRelu: a slope of its own per channel for what is negative (He et al., Delving Deep into Rectifiers, 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT, quantize_multiplier, requantize_output
from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.affine import affine_operand, along
from mcugen.ops.binary import import_operands
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.int16 import any_wide, element_bytes, place_distance
from mcugen.ops.operator import (
    Case,
    Importer,
    Lowering,
    Operator,
    QuantContext,
    RowWindow,
    Spec,
    apply_clip,
    image_rows,
    output_attrs,
)
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class PRelu(Operator):
    """`x` where x >= 0, else `slope * x`; `slope` is a constant [C] along attribute `axis`.

    Integer meaning: `d = q - z_x`; `requantize(d)` with the attribute `multiplier` where d >= 0, with the constant `slope` [C],
    multipliers of either sign, where d < 0, and with one shift for all.  One slope for all channels is the table of LeakyRelu, and
    a slope that varies along several axes or is computed is `max(x, 0) + slope * min(x, 0)`.
    """

    name: ClassVar[str] = "prelu"
    onnx: ClassVar[tuple[str, ...]] = ("PRelu",)
    fuses_clip: ClassVar[bool] = True
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        x, slope = importer.inputs()
        shape, slope_shape, values = importer.shape(x), importer.shape(slope), importer.constant(slope)
        if np.broadcast_shapes(shape, slope_shape) != shape:
            raise importer.unsupported(f"its slope {list(slope_shape)} does not broadcast to its input {list(shape)}")
        if values is not None and np.all(values == values.flat[0]):
            return [importer.emit("table", [x], function="LeakyRelu", alpha=float(values.flat[0]))]
        simple = affine_operand(importer)
        if simple is None or simple[3]:
            return [_as_products(importer)]
        x, axis, values, _ = simple
        return [importer.emit("prelu", [x, importer.add_constant(values, "slope")], axis=axis)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, slope = inputs
        negative = x * along(slope, node.attrs["axis"], x.ndim)
        return [apply_clip(node, np.where(x >= 0, x, negative).astype(x.dtype))]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        ratio = float(in_quant.scale / out_quant.scale)
        scales = ratio * np.array([1.0, *graph.constant(node.inputs[1])], np.float64)
        largest = min(float(np.abs(scales).max()), 2.0**29)
        shift = int(quantize_multiplier(largest, coarse=False)[1][0])
        reach = 255 if in_quant.dtype == "int8" else in_quant.reach
        if reach * 2.0**shift >= INT32_LIMIT:
            raise refusal(
                node,
                graph,
                f"a step of its input is up to {largest:.4g} of its output's, which does not fit 32 bits",
                hint="check the calibration data: the output's range is far too small for the input's",
            )
        multipliers = np.rint(scales * 2.0 ** (32 - shift)).astype(np.int32)
        attrs: dict[str, Any] = {
            "axis": node.attrs["axis"],
            "in_zero_point": int(in_quant.zero_point),
            "multiplier": int(multipliers[0]),
            "shift": shift,
        }
        return replace(node, inputs=node.inputs[:1], attrs=attrs | output_attrs(node, out_quant)), {
            "slope": multipliers[1:]
        }

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        distance = inputs[0].astype(np.int64) - a["in_zero_point"]
        slope = along(inputs[1], a["axis"], distance.ndim)
        multiplier = np.where(distance >= 0, a["multiplier"], slope)
        return [requantize_output(distance, multiplier, np.asarray(a["shift"]), a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        channels, inner = x.shape[node.attrs["axis"]], int(np.prod(x.shape[node.attrs["axis"] + 1 :]))
        fields = ("in_zero_point", "multiplier", "shift", "out_zero_point", "act_min", "act_max")
        params = {"outer": x.size // (channels * inner), "channels": channels, "inner": inner}
        suffix, overlap = "s8", 0
        if any_wide(node, graph):
            sizes = element_bytes(x), element_bytes(y)
            suffix, overlap = "s16", place_distance(x.size, *sizes)
            params |= {"in_bytes": sizes[0], "out_bytes": sizes[1]}
        call = KernelCall(
            f"mcugen_prelu_{suffix}",
            (f"prelu_{suffix}.h",),
            params | {field: int(node.attrs[field]) for field in fields},
            {"slope": graph.constant(node.inputs[1])},
            overlap={0: overlap},
            cycles=x.size * 14.0,
            code_bytes=70,
        )
        return [Lowering((call,))]

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        return RowWindow() if node.attrs["axis"] != 1 and image_rows(node, graph) is not None else None

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        return bool(axis != node.attrs["axis"])

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node.with_attrs(axis=perm.index(node.attrs["axis"]))

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], int, float, dict[str, Any]]] = [
            ("last", (1, 3, 4, 9), 3, 1.0, {}),
            ("channels_first", (1, 5, 7), 1, 1.0, {"clip_max": 0.5}),
            ("steep", (1, 4, 3), 2, 300.0, {}),
            ("vector", (1, 17), 1, 0.01, {}),
        ]
        for name, shape, axis, size, attrs in shapes:
            builder = GraphBuilder(f"prelu_{name}")
            x = builder.input("x", shape)
            slope = np.random.default_rng([*shape, axis]).normal(scale=size, size=shape[axis])
            slope[0] = 0.0
            operands = [x, builder.constant(slope, "slope")]
            yield Case(name, builder.output(builder.emit(self.name, operands, axis=axis, **attrs)))


def _as_products(importer: Importer) -> str:
    """`max(x, 0) + slope * min(x, 0)`."""
    x, slope = import_operands(importer)
    positive = importer.emit("clip", [x], clip_min=0.0, clip_max=float("inf"))
    negative = importer.emit("clip", [x], clip_min=float("-inf"), clip_max=0.0)
    return importer.emit("add", [positive, importer.emit("mul", [negative, slope])], subtract=False)

"""Average (or sum) over windows of channels-last images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT, quantize_multiplier, requantize_output
from mcugen.graph import Graph, Node
from mcugen.kernels import variants
from mcugen.kernels.pool_dsp import pool_overlap
from mcugen.ops.importing import onnx_type
from mcugen.ops.int16 import any_wide, element_bytes
from mcugen.ops.operator import Case, Importer, Lowering, QuantContext, RowWindow, apply_clip, output_attrs
from mcugen.ops.pool import PoolOperator, pool_case, pool_geometry, pool_rows, tap_counts, taps
from mcugen.ops.reduce import import_reduction
from mcugen.ops.refusal import refusal
from mcugen.ops.window import pad_image, windows
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class AveragePool2d(PoolOperator):
    """`x` [1, H, W, C]; attributes of PoolOperator, `count_pads` (top, left, bottom, right) and `divide`.

    The divisor of an output is the number of its taps on the image or at most `count_pads` beside it; without `divide`
    it is 1.  Integer meaning: `acc = sum(x - z_x)` over the taps on the image, requantized by `s_x / (s_y * divisor)`;
    one multiplier and shift for each distinct divisor, and `divisor_class` [out_h, out_w] where there is more than one.
    """

    name: ClassVar[str] = "average_pool2d"
    onnx: ClassVar[tuple[str, ...]] = ("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum")
    fuses_clip: ClassVar[bool] = True
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        kind = onnx_type(importer)
        if kind.startswith("Reduce"):
            return import_reduction(importer, "average_pool2d", count_pads=(0, 0, 0, 0), divide=kind == "ReduceMean")
        return super().from_onnx(importer)

    def onnx_attrs(self, importer: Importer, rank: int) -> dict[str, Any]:
        """ONNX counts the padding that the node names, not what ceil_mode adds behind it."""
        counted = (0, 0, 0, 0)
        if importer.attr("count_include_pad", 0) and importer.attr("auto_pad", "NOTSET") != "VALID":
            given = [int(p) for p in importer.attr("pads") or ()]
            if given:
                counted = (0, given[0], 0, given[1]) if rank == 3 else (given[0], given[1], given[2], given[3])
            elif importer.attr("auto_pad", "NOTSET") != "NOTSET":
                raise importer.unsupported("auto_pad together with count_include_pad", "write the pads explicitly")
        return {"count_pads": counted, "divide": True}

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x = inputs[0]
        return [apply_clip(node, (_sums(node, x) / divisors(node, x.shape)[:, :, None]).astype(x.dtype))]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        distinct, index = np.unique(divisors(node, graph.tensors[node.inputs[0]].shape), return_inverse=True)
        narrow = in_quant.dtype == "int8"
        ratio = float(in_quant.scale) / (float(out_quant.scale) * distinct)
        multiplier, shift = quantize_multiplier(ratio, coarse=narrow)
        window = int(np.prod(node.attrs["kernel"]))
        if window * (255 if narrow else in_quant.reach) * 2.0 ** int(shift.max()) >= INT32_LIMIT or distinct.size > 256:
            raise refusal(
                node,
                graph,
                f"a window of {window} taps is too large for a 32-bit sum scaled by 2^{int(shift.max())}",
                hint="check the calibration data: its output range is far smaller than its input's",
            )
        constants = {"multiplier": multiplier, "shift": shift}
        if distinct.size > 1:
            shape = graph.tensors[node.outputs[0]].shape
            constants["divisor_class"] = np.ascontiguousarray(index.reshape(shape[1:3])).astype(np.uint8)
        attrs = {k: v for k, v in node.attrs.items() if k not in ("clip_min", "clip_max")}
        attrs |= {"in_zero_point": int(in_quant.zero_point), **output_attrs(node, out_quant)}
        return replace(node, attrs=attrs), constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, multiplier, shift = inputs[:3]
        a = node.attrs
        acc = _sums(node, x.astype(np.int64) - a["in_zero_point"])
        index = inputs[3].astype(np.int64)[:, :, None] if len(inputs) > 3 else np.zeros((1, 1, 1), np.int64)
        return [requantize_output(acc, multiplier[index], shift[index], a)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        constants = {"multiplier": graph.constant(node.inputs[1])}
        if np.any(graph.constant(node.inputs[2])):
            constants["shift"] = graph.constant(node.inputs[2])
        if len(node.inputs) > 3:
            constants["divisor_class"] = graph.constant(node.inputs[3])
        fields = ("in_zero_point", "out_zero_point", "act_min", "act_max")
        geometry = pool_geometry(node, graph)
        params = geometry | {field: int(node.attrs[field]) for field in fields}
        suffix, in_bytes, out_bytes = "s8", 1, 1
        if any_wide(node, graph):
            suffix = "s16"
            in_bytes, out_bytes = (element_bytes(graph.tensors[n]) for n in (node.inputs[0], node.outputs[0]))
            params |= {"in_bytes": in_bytes, "out_bytes": out_bytes}
        call = KernelCall(
            f"mcugen_average_pool2d_{suffix}",
            (f"average_pool2d_{suffix}.h",),
            params,
            constants,
            overlap={0: pool_overlap(geometry, in_bytes, out_bytes)},
            cycles=taps(node, graph) * (6.0 if suffix == "s8" else 8.5) + graph.tensors[node.outputs[0]].size * 20.0,
            code_bytes=260,
        )
        return [
            Lowering((call,)),
            *(Lowering((c,)) for c in variants(self.name if suffix == "s8" else "average_pool2d_s16", call, target)),
        ]

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """None where rows have divisors of their own."""
        return None if len(node.inputs) > 3 else pool_rows(node, node.attrs["in_zero_point"])

    def cases(self) -> Iterator[Case]:
        padded = {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}
        shapes: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
            ("whole", (1, 7, 5, 6), {"kernel": (7, 5)}),
            ("halve", (1, 6, 8, 5), {"kernel": (2, 2), "strides": (2, 2), "clip_min": 0.0}),
            ("valid_only", (1, 7, 6, 4), padded),
            ("include_pad", (1, 7, 6, 4), padded | {"count_pads": (1, 1, 1, 1)}),
            ("ceil", (1, 6, 7, 3), padded | {"pads": (1, 1, 2, 1), "count_pads": (1, 1, 1, 1)}),
            ("dilated", (1, 9, 9, 2), {"kernel": (2, 3), "dilations": (3, 2), "pads": (1, 2, 1, 2)}),
            ("temporal", (1, 1, 20, 7), {"kernel": (1, 5), "strides": (1, 5)}),
            ("sum", (1, 4, 4, 9), {"kernel": (4, 4), "divide": False}),
            ("rows", (1, 6, 10, 1), {"kernel": (1, 10)}),
            ("one", (1, 1, 1, 3), {"kernel": (1, 1)}),
        ]
        for name, shape, attrs in shapes:
            yield Case(
                name, pool_case(self.name, name, shape, {"count_pads": (0, 0, 0, 0), "divide": True} | attrs), -0.7, 1.0
            )


def _sums(node: Node, x: Array) -> Array:
    a = node.attrs
    return np.asarray(windows(pad_image(x, a["pads"], 0), a["kernel"], a["strides"], a["dilations"]).sum(axis=(3, 4)))


def divisors(node: Node, shape: Sequence[int]) -> Array:
    """What each output [out_h, out_w] divides its sum by."""
    rows, columns = tap_counts(shape[1:3], dict(node.attrs), node.attrs["count_pads"])
    counts = rows[:, None] * columns
    return np.asarray(counts if node.attrs["divide"] else np.ones_like(counts))

"""Maximum (or minimum) over windows of channels-last images; exact on integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams
from mcugen.kernels import variants
from mcugen.kernels.pool_dsp import pool_overlap
from mcugen.ops.importing import onnx_type
from mcugen.ops.int16 import element_bytes
from mcugen.ops.operator import Case, Importer, Lowering, QuantContext, RowWindow
from mcugen.ops.pool import PoolOperator, pool_case, pool_geometry, pool_rows, taps
from mcugen.ops.reduce import import_reduction
from mcugen.ops.window import pad_image, windows
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class MaxPool2d(PoolOperator):
    """`x` [1, H, W, C]; attributes of PoolOperator, and `minimum`."""

    name: ClassVar[str] = "max_pool2d"
    onnx: ClassVar[tuple[str, ...]] = ("MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin")
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        kind = onnx_type(importer)
        if kind.startswith("Reduce"):
            return import_reduction(importer, "max_pool2d", minimum=kind == "ReduceMin")
        return super().from_onnx(importer)

    def onnx_attrs(self, importer: Importer, rank: int) -> dict[str, Any]:
        if importer.output_count() > 1:
            raise importer.unsupported(
                "its output of indices is not supported", "export the model without return_indices"
            )
        return {"minimum": False}

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return "same"

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, a = inputs[0], node.attrs
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        highest = np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max
        padded = pad_image(x, a["pads"], highest if a["minimum"] else lowest)
        view = windows(padded, a["kernel"], a["strides"], a["dilations"])
        return [view.min(axis=(3, 4)) if a["minimum"] else view.max(axis=(3, 4))]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return node, {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return self.evaluate(node, inputs)

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        geometry = pool_geometry(node, graph)
        size = element_bytes(graph.tensors[node.inputs[0]])
        suffix = "s16" if size == 2 else "s8"
        call = KernelCall(
            f"mcugen_max_pool2d_{suffix}",
            (f"max_pool2d_{suffix}.h",),
            geometry | {"flip": -1 if node.attrs["minimum"] else 0},
            overlap={0: pool_overlap(geometry, size, size)},
            cycles=taps(node, graph) * 7.0 + graph.tensors[node.outputs[0]].size * 12.0,
            code_bytes=200,
        )
        op = self.name if size == 1 else "max_pool2d_s16"
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(op, call, target))]

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        return pool_rows(node, 127 if node.attrs["minimum"] else -128)

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
            ("halve", (1, 6, 8, 5), {"kernel": (2, 2), "strides": (2, 2)}),
            ("same", (1, 5, 7, 4), {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}),
            ("ceil", (1, 6, 7, 3), {"kernel": (3, 2), "strides": (2, 2), "pads": (0, 0, 1, 1)}),
            ("dilated", (1, 9, 8, 2), {"kernel": (3, 2), "dilations": (2, 3), "pads": (1, 2, 1, 0)}),
            ("temporal", (1, 1, 17, 6), {"kernel": (1, 4), "strides": (1, 3)}),
            ("whole", (1, 4, 5, 9), {"kernel": (4, 5)}),
            ("minimum", (1, 5, 5, 3), {"kernel": (3, 3), "pads": (1, 1, 1, 1), "minimum": True}),
            ("one_channel", (1, 8, 6, 1), {"kernel": (2, 3), "strides": (2, 3)}),
        ]
        for name, shape, attrs in shapes:
            yield Case(name, pool_case(self.name, name, shape, {"minimum": False} | attrs))

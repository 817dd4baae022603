"""Gather: chosen elements along one axis, by a constant list of indices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import emit_gather, normal_axis, onnx_type, reshaped
from mcugen.ops.int16 import element_bytes
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import Case, Importer, Lowering, Spec
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

LONGEST_AXIS = 65536
"""Indices are 16 bits wide."""


class Gather(MovementOperator):
    """Attributes `axis` and `indices`: output i along `axis` is input `indices[i]`."""

    name: ClassVar[str] = "gather"
    onnx: ClassVar[tuple[str, ...]] = ("Gather", "ai.onnx.ml::ArrayFeatureExtractor")

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        x, name = importer.inputs()
        indices = importer.constant(name)
        if indices is None:
            raise importer.unsupported(
                "its indices are computed by the model",
                "an embedding: look its vectors up in the application and export the model without it",
            )
        shape = importer.shape(x)
        last = onnx_type(importer) == "ArrayFeatureExtractor"
        axis = normal_axis(importer, -1 if last else int(importer.attr("axis", 0)), len(shape))
        flat = [int(index) for index in indices.reshape(-1)]
        if not flat or any(not -shape[axis] <= index < shape[axis] for index in flat):
            raise importer.unsupported(f"indices {flat} do not fit axis {axis} of shape {list(shape)}")
        y = emit_gather(importer, x, axis, [index % shape[axis] for index in flat])
        taken = (len(flat),) if last else indices.shape
        return [reshaped(importer, y, (*shape[:axis], *taken, *shape[axis + 1 :]))]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        shape = list(inputs[0].shape)
        shape[node.attrs["axis"]] = len(node.attrs["indices"])
        return [Spec(tuple(shape), inputs[0].dtype)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [np.ascontiguousarray(np.take(inputs[0], node.attrs["indices"], axis=node.attrs["axis"]))]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x, axis = graph.tensors[node.inputs[0]], node.attrs["axis"]
        indices = node.attrs["indices"]
        if x.shape[axis] > LONGEST_AXIS:
            raise refusal(
                node,
                graph,
                f"an axis of {x.shape[axis]} elements, at most {LONGEST_AXIS} have 16-bit indices",
                hint="slice the tensor before it",
            )
        inner = int(np.prod(x.shape[axis + 1 :])) * element_bytes(x)  # the kernel moves bytes
        size = graph.tensors[node.outputs[0]].nbytes
        call = KernelCall(
            "mcugen_gather_s8",
            ("gather_s8.h",),
            {"outer": int(np.prod(x.shape[:axis])), "in_size": x.shape[axis], "out_size": len(indices), "inner": inner},
            {"indices": np.array(indices, np.uint16)},
            cycles=size * 4.0 + size / inner * 15.0,
            code_bytes=70,
        )
        return [Lowering((call,))]

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        return bool(axis != node.attrs["axis"])

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node.with_attrs(axis=perm.index(node.attrs["axis"]))

    def batchable(self, node: Node, graph: Graph) -> bool:
        return node.attrs["axis"] != 0 and super().batchable(node, graph)

    def cases(self) -> Iterator[Case]:
        for name, shape, axis, indices in (
            ("rows", (1, 7, 5), 1, (0, 3, 3, 6, 1)),
            ("last", (1, 4, 9), 2, (8, 0, 0, 4)),
            ("more", (1, 3, 4, 2), 2, (1, 1, 0, 2, 3, 3)),
        ):
            builder = GraphBuilder(f"gather_{name}")
            x = builder.input("x", shape)
            yield Case(name, builder.output(builder.emit("gather", [x], axis=axis, indices=indices)))

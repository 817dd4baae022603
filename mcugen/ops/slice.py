"""Slice: every step-th element along each axis; step 0 repeats one, so broadcasts and tilings come here too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import WHOLE_AXIS, emit_slice, integers, normal_axis, onnx_type
from mcugen.ops.int16 import element_bytes
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import Case, Importer, Lowering, Spec
from mcugen.ops.repetition import (
    import_depth_to_space,
    import_expand,
    import_resize,
    import_space_to_depth,
    import_tile,
)
from mcugen.ops.strided import contiguous_steps, strided_call

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Slice(MovementOperator):
    """Attributes `starts`, `steps`, `sizes`, one for each axis: output i along an axis is input `start + i * step`.

    Size -1 stands for the whole axis, with start 0 and step 1; other sizes are the output's.
    """

    name: ClassVar[str] = "slice"
    onnx: ClassVar[tuple[str, ...]] = (
        *("Slice", "Split", "Expand", "Tile", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth"),
    )

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        forms: dict[str, Callable[[Importer], Sequence[str]]] = {
            "Slice": _import_slice,
            "Split": _import_split,
            "Expand": import_expand,
            "Tile": import_tile,
            "Resize": import_resize,
            "Upsample": import_resize,
            "DepthToSpace": import_depth_to_space,
            "SpaceToDepth": import_space_to_depth,
        }
        return forms[onnx_type(importer)](importer)

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        sizes = zip(inputs[0].shape, node.attrs["sizes"], strict=True)
        return [Spec(tuple(have if size == WHOLE_AXIS else size for have, size in sizes), inputs[0].dtype)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, a = inputs[0], node.attrs
        for axis, (start, step, size) in enumerate(zip(a["starts"], a["steps"], a["sizes"], strict=True)):
            if size != WHOLE_AXIS:
                x = np.take(x, start + step * np.arange(size), axis=axis)
        return [np.ascontiguousarray(x)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x = graph.tensors[node.inputs[0]]
        a, strides = node.attrs, contiguous_steps(x.shape)
        offset = sum(start * stride for start, stride in zip(a["starts"], strides, strict=True))
        steps = [step * stride for step, stride in zip(a["steps"], strides, strict=True)]
        sizes = graph.tensors[node.outputs[0]].shape
        return [Lowering((strided_call(node, sizes, steps, offset, bytes_each=element_bytes(x)),))]

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        return bool(node.attrs["sizes"][axis] == WHOLE_AXIS)

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node.with_attrs(**{key: tuple(node.attrs[key][i] for i in perm) for key in ("starts", "steps", "sizes")})

    def batchable(self, node: Node, graph: Graph) -> bool:
        return node.attrs["sizes"][0] == WHOLE_AXIS and super().batchable(node, graph)

    def cases(self) -> Iterator[Case]:
        for name, shape, starts, steps, sizes in (
            ("rows", (1, 7, 5), (0, 2, 0), (1, 1, 1), (-1, 4, -1)),
            ("columns", (1, 4, 9), (0, 0, 3), (1, 1, 1), (-1, -1, 5)),
            ("steps", (1, 9, 8, 3), (0, 1, 0, 0), (1, 3, 2, 1), (-1, 3, 4, -1)),
            ("backwards", (1, 6, 5), (0, 5, 4), (1, -1, -2), (-1, 6, 3)),
            ("repeat", (1, 1, 5, 1), (0, 0, 0, 0), (1, 0, 1, 0), (-1, 3, -1, 4)),
            ("first_of_three", (3, 2, 4), (0, 0, 0), (1, 1, 1), (1, -1, -1)),
            ("upsample", (1, 3, 1, 4, 1, 5), (0, 0, 0, 0, 0, 0), (1, 1, 0, 1, 0, 1), (-1, -1, 2, -1, 2, -1)),
        ):
            builder = GraphBuilder(f"slice_{name}")
            x = builder.input("x", shape)
            yield Case(name, builder.output(builder.emit("slice", [x], starts=starts, steps=steps, sizes=sizes)))


def _import_slice(importer: Importer) -> Sequence[str]:
    source = importer.inputs()[0]
    shape = importer.shape(source)
    starts, ends = integers(importer, "starts", 1), integers(importer, "ends", 2)
    if starts is None or ends is None:
        raise importer.unsupported("it has no starts or no ends")
    given = integers(importer, "axes", 3)
    axes = [normal_axis(importer, axis, len(shape)) for axis in (range(len(starts)) if given is None else given)]
    steps = integers(importer, "steps", 4) or [1] * len(starts)
    ranges = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        ranges[axis] = range(*slice(start, end, step).indices(shape[axis]))
    return [emit_slice(importer, source, ranges)]


def _import_split(importer: Importer) -> Sequence[str]:
    source, count = importer.inputs()[0], importer.output_count()
    shape = importer.shape(source)
    axis = normal_axis(importer, int(importer.attr("axis", 0)), len(shape))
    sizes = integers(importer, "split", 1)
    if sizes is None:
        count = int(importer.attr("num_outputs", count))
        chunk = -(-shape[axis] // count)
        sizes = [min(chunk, shape[axis] - i * chunk) for i in range(count)]
    if sum(sizes) != shape[axis] or min(sizes) < 1:
        raise importer.unsupported(f"axis {axis} of shape {list(shape)} cannot be split into {sizes}")
    ends = np.cumsum(sizes).tolist()
    return [emit_slice(importer, source, {axis: range(end - size, end)}) for end, size in zip(ends, sizes, strict=True)]

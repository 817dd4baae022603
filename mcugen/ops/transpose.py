"""Transpose: axes in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import Case, Importer, Lowering, Spec
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

KERNEL_AXES = 6


class Transpose(MovementOperator):
    """Attribute `perm`: output axis i is input axis perm[i]."""

    name: ClassVar[str] = "transpose"
    onnx: ClassVar[tuple[str, ...]] = ("Transpose",)

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        source = importer.inputs()[0]
        rank = len(importer.shape(source))
        perm = tuple(int(a) for a in importer.attr("perm") or reversed(range(rank)))
        if sorted(perm) != list(range(rank)):
            raise importer.unsupported(f"perm {list(perm)} does not fit {rank} axes")
        return [importer.emit("transpose", [source], perm=perm)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(tuple(inputs[0].shape[axis] for axis in node.attrs["perm"]), inputs[0].dtype)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [np.ascontiguousarray(inputs[0].transpose(node.attrs["perm"]))]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x = graph.tensors[node.inputs[0]]
        shape, perm = merged_axes(x.shape, node.attrs["perm"])
        if perm == tuple(range(len(perm))):
            return [Lowering(view=True)]
        steps = np.cumprod([1, *shape[:0:-1]])[::-1]
        lead = KERNEL_AXES - len(shape)
        params = {f"size_{i}": 1 for i in range(KERNEL_AXES)} | {f"step_{i}": 0 for i in range(KERNEL_AXES)}
        for i, axis in enumerate(perm):
            params[f"size_{lead + i}"], params[f"step_{lead + i}"] = shape[axis], int(steps[axis])
        suffix = "s16" if x.dtype == "int16" else "s8"
        header = f"transpose_{suffix}.h"
        call = KernelCall(f"mcugen_transpose_{suffix}", (header,), params, cycles=x.size * 7.0, code_bytes=150)
        return [Lowering((call,))]

    def batchable(self, node: Node, graph: Graph) -> bool:
        return node.attrs["perm"][0] == 0 and super().batchable(node, graph)

    def cases(self) -> Iterator[Case]:
        for name, shape, perm in (
            ("last_two", (1, 5, 7), (0, 2, 1)),
            ("nchw", (1, 3, 4, 5), (0, 2, 3, 1)),
            ("reverse", (1, 2, 3, 4, 5), (0, 4, 3, 2, 1)),
        ):
            builder = GraphBuilder(f"transpose_{name}")
            yield Case(name, builder.output(builder.emit("transpose", [builder.input("x", shape)], perm=perm)))


def merged_axes(shape: Sequence[int], perm: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The same movement with axes of size 1 dropped and neighbours that stay neighbours merged: (shape, perm)."""
    order = [axis for axis in perm if shape[axis] != 1]
    groups: list[list[int]] = []
    live = [axis for axis in range(len(shape)) if shape[axis] != 1]
    following = dict(itertools.pairwise(live))
    for axis in order:
        if groups and following.get(groups[-1][-1]) == axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ranked = sorted(groups)
    sizes = tuple(int(np.prod([shape[axis] for axis in group])) for group in ranked)
    return sizes, tuple(ranked.index(group) for group in groups)

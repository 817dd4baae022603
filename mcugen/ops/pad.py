"""Padding with a constant; other modes come as gathers, negative pads as slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import argument, emit_gather, emit_slice, integers, normal_axis
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import Case, Importer, Lowering, QuantContext, Spec
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

KERNEL_AXES = 4


class Pad(MovementOperator):
    """Attributes `pads` ((before, after) for each axis, none negative) and `value`.

    In integers `value` is quantized with the input's parameters; one outside of their range saturates.
    """

    name: ClassVar[str] = "pad"
    onnx: ClassVar[tuple[str, ...]] = ("Pad",)

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        x, mode = importer.inputs()[0], importer.attr("mode", "constant")
        rank = len(importer.shape(x))
        given, chosen = integers(importer, "pads", 1) or [], integers(importer, "axes", 3)
        axes = [normal_axis(importer, axis, rank) for axis in (range(rank) if chosen is None else chosen)]
        if len(given) != 2 * len(axes):
            raise importer.unsupported(f"{len(given)} pads for {len(axes)} axes")
        pads = [(0, 0)] * rank
        for i, axis in enumerate(axes):
            pads[axis] = (given[i], given[i + len(axes)])
        x = _cropped(importer, x, pads)
        grown = tuple((max(before, 0), max(after, 0)) for before, after in pads)
        if not any(before or after for before, after in grown):
            return [x]
        if mode == "constant":
            value = argument(importer, "value", 2)
            number = 0.0 if value is None or value.size == 0 else float(value.reshape(-1)[0])
            return [importer.emit("pad", [x], pads=grown, value=number)]
        for axis, (before, after) in enumerate(grown):
            if before or after:
                x = emit_gather(importer, x, axis, _outside(importer, mode, importer.shape(x)[axis], before, after))
        return [x]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        pads = node.attrs["pads"]
        shape = (size + sum(pair) for size, pair in zip(inputs[0].shape, pads, strict=True))
        return [Spec(tuple(shape), inputs[0].dtype)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [np.pad(inputs[0], node.attrs["pads"], constant_values=node.attrs["value"])]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        quant = context.activations[node.inputs[0]]
        return node.with_attrs(value=int(quant.quantize(np.array(node.attrs["value"])))), {}

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        axes = merged_pads(graph.tensors[node.inputs[0]].shape, node.attrs["pads"])
        if len(axes) > KERNEL_AXES:
            raise refusal(
                node,
                graph,
                f"pads along {len(axes)} separate axes, at most {KERNEL_AXES}",
                hint="split it into two nodes",
            )
        axes = [(1, 0, 0)] * (KERNEL_AXES - len(axes)) + axes
        params = {f"in_{i}": size for i, (size, _, _) in enumerate(axes)}
        params |= {f"before_{i}": before for i, (_, before, _) in enumerate(axes)}
        params |= {f"out_{i}": size + before + after for i, (size, before, after) in enumerate(axes)}
        size = graph.tensors[node.outputs[0]].size
        suffix = "s16" if graph.tensors[node.outputs[0]].dtype == "int16" else "s8"
        call = KernelCall(
            f"mcugen_pad_{suffix}",
            (f"pad_{suffix}.h",),
            params | {"value": int(node.attrs["value"])},
            cycles=size * 6.0,
            code_bytes=120,
        )
        return [Lowering((call,))]

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node.with_attrs(pads=tuple(node.attrs["pads"][i] for i in perm))

    def batchable(self, node: Node, graph: Graph) -> bool:
        return tuple(node.attrs["pads"][0]) == (0, 0) and super().batchable(node, graph)

    def cases(self) -> Iterator[Case]:
        for name, shape, pads, value in (
            ("image", (1, 4, 5, 3), ((0, 0), (1, 2), (2, 1), (0, 0)), 0.0),
            ("channels", (1, 3, 4, 5), ((0, 0), (0, 0), (0, 0), (1, 3)), 0.4),
            ("all", (1, 2, 3, 4), ((1, 0), (2, 1), (0, 2), (1, 1)), -0.6),
            ("end", (1, 9), ((0, 0), (0, 4)), -0.9),
        ):
            builder = GraphBuilder(f"pad_{name}")
            x = builder.input("x", shape)
            yield Case(name, builder.output(builder.emit("pad", [x], pads=pads, value=value)))


def merged_pads(shape: Sequence[int], pads: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(size, before, after) of each axis; an axis without pads is joined to the axis before it."""
    merged: list[tuple[int, int, int]] = []
    for size, (before, after) in zip(shape, pads, strict=True):
        if merged and not before and not after:
            merged[-1] = (merged[-1][0] * size, merged[-1][1] * size, merged[-1][2] * size)
        elif (size, before, after) != (1, 0, 0):
            merged.append((size, before, after))
    return merged


def _cropped(importer: Importer, x: str, pads: Sequence[tuple[int, int]]) -> str:
    ranges = {}
    for axis, (before, after) in enumerate(pads):
        size = importer.shape(x)[axis]
        ranges[axis] = range(max(-before, 0), size - max(-after, 0))
    return emit_slice(importer, x, ranges)


def _outside(importer: Importer, mode: str, size: int, before: int, after: int) -> list[int]:
    """The input element that each output element along a padded axis repeats."""
    index = np.arange(-before, size + after)
    if mode == "edge":
        index = np.clip(index, 0, size - 1)
    elif mode == "wrap":
        index = index % size
    elif mode == "reflect":
        period = max(2 * (size - 1), 1)
        index = index % period
        index = np.where(index >= size, period - index, index)
    else:
        raise importer.unsupported(f"padding mode '{mode}'", "use constant, edge, reflect or wrap")
    return [int(i) for i in index]

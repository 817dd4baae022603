"""Reshape: the same bytes under another shape; every ONNX operator that only renames axes ends here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import FLOATS
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import Case, Cost, Importer, Lowering, QuantContext, Spec

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Reshape(MovementOperator):
    """Attribute `shape`: the output's whole static shape."""

    name: ClassVar[str] = "reshape"
    onnx: ClassVar[tuple[str, ...]] = (
        *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast"),
        "ai.onnx.ml::ZipMap",
    )

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        source = importer.inputs()[0]
        shape = importer.shape(source)
        kind = importer.label.rsplit("(", 1)[-1].rstrip(")")
        if kind == "Cast" and importer.attr("to") not in FLOATS:
            raise importer.unsupported(
                "a cast to integers or truth values", "cut the graph before it with `--outputs`: classes are found in C"
            )
        if kind in ("Identity", "Dropout", "Cast", "ZipMap"):
            return [source]
        target = {"Reshape": _reshaped, "Flatten": _flattened, "Squeeze": _squeezed, "Unsqueeze": _unsqueezed}[kind]
        return [importer.emit("reshape", [source], shape=target(importer, shape))]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(tuple(node.attrs["shape"]), inputs[0].dtype)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        shape = tuple(node.attrs["shape"])
        if inputs[0].size != int(np.prod(shape)):
            shape = (-1, *shape[1:])
        return [inputs[0].reshape(shape)]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        shape = context.activations[node.inputs[0]].held_shape(tuple(node.attrs["shape"]))
        return node.with_attrs(shape=shape), {}

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        return [Lowering(view=True)]

    def cost(self, node: Node, graph: Graph) -> Cost:
        return Cost()

    def cases(self) -> Iterator[Case]:
        builder = GraphBuilder("reshape")
        x = builder.input("x", (1, 2, 3, 4))
        y = builder.emit("clip", [builder.emit("reshape", [x], shape=(1, 6, 4))], clip_min=-0.5, clip_max=0.5)
        yield Case("between", builder.output(builder.emit("reshape", [y], shape=(1, 24))))


def _axes(importer: Importer) -> list[int] | None:
    inputs = importer.inputs()
    if len(inputs) > 1 and inputs[1]:
        axes = importer.constant(inputs[1])
        if axes is None:
            raise importer.unsupported("its axes are computed from the data")
        return [int(a) for a in axes.reshape(-1)]
    given = importer.attr("axes")
    return None if given is None else [int(a) for a in given]


def _reshaped(importer: Importer, shape: tuple[int, ...]) -> tuple[int, ...]:
    target = importer.constant(importer.inputs()[1])
    if target is None:
        raise importer.unsupported("its target shape is computed from the data")
    keep_zero = bool(importer.attr("allowzero", 0))
    dims = [shape[i] if int(d) == 0 and not keep_zero else int(d) for i, d in enumerate(target.reshape(-1))]
    known = int(np.prod([d for d in dims if d != -1], dtype=np.int64))
    total = int(np.prod(shape, dtype=np.int64))
    if dims.count(-1) > 1 or (known == 0 or total % known if -1 in dims else known != total):
        raise importer.unsupported(f"shape {list(shape)} cannot become {dims}", "give the batch size with --shape")
    return tuple(total // known if d == -1 else d for d in dims)


def _flattened(importer: Importer, shape: tuple[int, ...]) -> tuple[int, ...]:
    axis = int(importer.attr("axis", 1))
    axis += len(shape) if axis < 0 else 0
    return (int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis:], dtype=np.int64)))


def _squeezed(importer: Importer, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = _axes(importer)
    drop = [i for i, d in enumerate(shape) if d == 1] if axes is None else [a % len(shape) for a in axes]
    if any(shape[a] != 1 for a in drop):
        raise importer.unsupported(f"axes {drop} of shape {list(shape)} are not all 1")
    return tuple(d for i, d in enumerate(shape) if i not in drop)


def _unsqueezed(importer: Importer, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = _axes(importer) or []
    rank = len(shape) + len(axes)
    new = {a % rank for a in axes}
    rest = iter(shape)
    return tuple(1 if i in new else next(rest) for i in range(rank))

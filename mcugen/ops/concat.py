"""Concatenation along one axis; inputs whose parameters differ from the output's pass through a table on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import normal_axis
from mcugen.ops.operator import Case, Importer, Lowering, Operator, QuantContext, Spec
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Concat(Operator):
    """Attribute `axis`; any number of inputs, some may be constants.

    In integers attribute `parts` says for each part in turn what it is: "copy" (the next activation as it is), "table"
    (the next activation through the next constant, a table of 256 results), or "constant" (the next constant).
    """

    name: ClassVar[str] = "concat"
    onnx: ClassVar[tuple[str, ...]] = ("Concat",)

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        inputs = importer.inputs()
        axis = normal_axis(importer, int(importer.attr("axis", 1)), len(importer.shape(inputs[0])))
        return [inputs[0] if len(inputs) == 1 else importer.emit("concat", inputs, axis=axis)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        axis, shape = node.attrs["axis"], list(inputs[0].shape)
        shape[axis] = sum(x.shape[axis] for x in inputs)
        return [Spec(tuple(shape), inputs[0].dtype)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [_concatenated(inputs, node.attrs["axis"])]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        out_quant = context.activations[node.outputs[0]]
        parts: list[str] = []
        constants: dict[str, Array] = {}
        for i, name in enumerate(node.inputs):
            if graph.is_constant(name):
                parts.append("constant")
                constants[f"constant_{i}"] = out_quant.quantize(graph.constant(name))
                continue
            table = out_quant.quantize(context.activations[name].dequantize(np.arange(-128, 128)))
            if np.array_equal(table, np.arange(-128, 128)):
                parts.append("copy")
            else:
                parts.append("table")
                constants[f"table_{i}"] = table
        activations = tuple(name for name in node.inputs if not graph.is_constant(name))
        return replace(node, inputs=activations, attrs={"axis": node.attrs["axis"], "parts": tuple(parts)}), constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        parts = []
        for kind, activation, constant in _operands(node):
            if kind == "constant":
                parts.append(inputs[constant])
            elif kind == "copy":
                parts.append(inputs[activation])
            else:
                parts.append(inputs[constant][inputs[activation].astype(np.int32) + 128])
        return [_concatenated(parts, node.attrs["axis"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        shape, axis = graph.tensors[node.outputs[0]].shape, node.attrs["axis"]
        rows = int(np.prod(shape[:axis]))
        stride = int(np.prod(shape[axis:]))
        calls, offset = [], 0
        for kind, activation, constant in _operands(node):
            tensor = graph.tensors[node.inputs[constant if kind == "constant" else activation]]
            width = tensor.size // rows
            data = {} if kind == "copy" else {kind: graph.constant(node.inputs[constant])}
            call = KernelCall(
                f"mcugen_concat_{kind}_s8",
                ("concat_s8.h",),
                {"rows": rows, "width": width, "out_stride": stride},
                data,
                reads=() if kind == "constant" else (activation,),
                output_offsets=(offset,),
                cycles=tensor.size * (7.0 if kind == "table" else 4.0),
                code_bytes=50,
            )
            calls.append(call)
            offset += width
        return [Lowering(tuple(calls))]

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        if any(graph.is_constant(name) for name in node.inputs):
            return None
        return node.with_attrs(axis=perm.index(node.attrs["axis"]))

    def batchable(self, node: Node, graph: Graph) -> bool:
        return node.attrs["axis"] != 0 and super().batchable(node, graph)

    def cases(self) -> Iterator[Case]:
        for name, shapes, axis in (
            ("channels", [(1, 3, 4, 5), (1, 3, 4, 2), (1, 3, 4, 1)], 3),
            ("rows", [(1, 3, 4), (1, 1, 4)], 1),
            ("batch", [(1, 5), (1, 5)], 0),
        ):
            builder = GraphBuilder(f"concat_{name}")
            inputs = [builder.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
            yield Case(name, builder.output(builder.emit("concat", inputs, axis=axis)))
        builder = GraphBuilder("concat_rescaled")
        x = builder.input("x", (1, 6, 3))
        small = builder.emit("clip", [x], clip_min=0.0, clip_max=0.3)
        token = builder.constant(np.linspace(-0.5, 0.5, 3).reshape(1, 1, 3), "token")
        yield Case("rescaled", builder.output(builder.emit("concat", [token, small, x], axis=1)))


def _operands(node: Node) -> Iterator[tuple[str, int, int]]:
    """For each part what it is, and where its activation and its constant stand in the integer node's inputs."""
    parts = node.attrs["parts"]
    activation, constant = 0, sum(kind != "constant" for kind in parts)
    for kind in parts:
        yield kind, activation, constant
        activation += kind != "constant"
        constant += kind != "copy"


def _concatenated(parts: Sequence[Array], axis: int) -> Array:
    """Constants are repeated for every sample of a batch."""
    batch = max(part.shape[0] for part in parts)
    if axis > 0:
        parts = [np.broadcast_to(part, (batch, *part.shape[1:])) for part in parts]
    return np.concatenate(parts, axis=axis)

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
from mcugen.ops.int16 import element_bytes, rescale_attrs, rescale_call, rescaled
from mcugen.ops.operator import Case, Importer, Lowering, Operator, QuantContext, Spec
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


class Concat(Operator):
    """Attribute `axis`; any number of inputs, some may be constants.

    In integers attribute `parts` says for each part in turn what it is: "copy" (the next activation as it is), "table"
    (the next activation through the next constant, a table of 256 results), "constant" (the next constant), or "rescale"
    (the next activation, int16 on either side, rescaled with the next of the attribute `rescales`).
    """

    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

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
        rescales: list[tuple[int, int, int]] = []
        constants: dict[str, Array] = {}
        for i, name in enumerate(node.inputs):
            if graph.is_constant(name):
                parts.append("constant")
                constants[f"constant_{i}"] = out_quant.quantize(graph.constant(name))
                continue
            quant = context.activations[name]
            if "int16" in (quant.dtype, out_quant.dtype):
                attrs = rescale_attrs(quant, out_quant)
                same = quant.dtype == out_quant.dtype and quant.scale == out_quant.scale
                parts.append("copy" if same else "rescale")
                rescales += [] if same else [(attrs["multiplier"], attrs["constant"], attrs["shift"])]
                continue
            table = out_quant.quantize(quant.dequantize(np.arange(-128, 128)))
            if np.array_equal(table, np.arange(-128, 128)):
                parts.append("copy")
            else:
                parts.append("table")
                constants[f"table_{i}"] = table
        activations = tuple(name for name in node.inputs if not graph.is_constant(name))
        integer: dict[str, Any] = {"axis": node.attrs["axis"], "parts": tuple(parts)}
        if out_quant.dtype != "int8" or rescales:
            integer |= {"rescales": tuple(rescales), "out_dtype": out_quant.dtype}
        return replace(node, inputs=activations, attrs=integer), constants

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        parts, rescales = [], _rescales(node)
        for kind, activation, constant in _operands(node):
            if kind == "constant":
                parts.append(inputs[constant])
            elif kind == "copy":
                parts.append(inputs[activation])
            elif kind == "rescale":
                dtype = np.iinfo(node.attrs["out_dtype"])
                parts.append(
                    rescaled(inputs[activation], next(rescales), dtype.min, dtype.max, node.attrs["out_dtype"])
                )
            else:
                parts.append(inputs[constant][inputs[activation].astype(np.int32) + 128])
        return [_concatenated(parts, node.attrs["axis"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        shape, axis = graph.tensors[node.outputs[0]].shape, node.attrs["axis"]
        rows = int(np.prod(shape[:axis]))
        stride = int(np.prod(shape[axis:]))
        if "out_dtype" in node.attrs:
            return [_lower_wide(node, graph, rows, stride)]
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
                copies=kind == "copy" and rows == 1,
                cycles=tensor.size * (7.0 if kind == "table" else 4.0),
                code_bytes=50,
            )
            calls.append(call)
            offset += width
        return [Lowering(tuple(calls))]

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        return bool(axis != node.attrs["axis"]) and "constant" not in node.attrs.get("parts", ())

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


def _lower_wide(node: Node, graph: Graph, rows: int, stride: int) -> Lowering:
    """A call a part, of elements of the output's size."""
    out = graph.tensors[node.outputs[0]]
    size, info = element_bytes(out), np.iinfo(out.dtype)
    calls, offset, rescales = [], 0, _rescales(node)
    for kind, activation, constant in _operands(node):
        tensor = graph.tensors[node.inputs[constant if kind == "constant" else activation]]
        width = tensor.size // rows
        if kind == "rescale":
            attrs = {**next(rescales), "act_min": int(info.min), "act_max": int(info.max)}
            call = rescale_call(tensor, out, attrs, rows=rows, out_stride=stride)
            call = replace(call, overlap={})
        elif kind == "constant" and size == 2:
            params = {"rows": rows, "width": width, "out_stride": stride}
            data = {"constant": graph.constant(node.inputs[constant])}
            call = KernelCall("mcugen_constant_s16", ("constant_s16.h",), params, data)
        else:
            data = {} if kind == "copy" else {kind: graph.constant(node.inputs[constant])}
            params = {"rows": rows, "width": width * size, "out_stride": stride * size}
            call = KernelCall(f"mcugen_concat_{kind}_s8", ("concat_s8.h",), params, data)
        reads = () if kind == "constant" else (activation,)
        cycles = call.cycles or tensor.nbytes * 4.0
        calls.append(replace(call, reads=reads, output_offsets=(offset * size,), cycles=cycles, code_bytes=60))
        offset += width
    return Lowering(tuple(calls))


def _rescales(node: Node) -> Iterator[dict[str, int]]:
    """What `rescaled` needs, for each part of that kind in turn."""
    for multiplier, constant, shift in node.attrs.get("rescales", ()):
        yield {"multiplier": multiplier, "constant": constant, "shift": shift}


def _operands(node: Node) -> Iterator[tuple[str, int, int]]:
    """For each part what it is, and where its activation and its constant stand in the integer node's inputs."""
    parts = node.attrs["parts"]
    activation, constant = 0, sum(kind != "constant" for kind in parts)
    for kind in parts:
        yield kind, activation, constant
        activation += kind != "constant"
        constant += kind in ("table", "constant")


def _concatenated(parts: Sequence[Array], axis: int) -> Array:
    """Constants are repeated for every sample of a batch."""
    batch = max(part.shape[0] for part in parts)
    if axis > 0:
        parts = [np.broadcast_to(part, (batch, *part.shape[1:])) for part in parts]
    return np.concatenate(parts, axis=axis)

"""ONNX -> Graph: static shapes, constants folded, canonical channels-last operators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from mcugen.errors import McugenError, UnsupportedModel, first_line
from mcugen.graph import Graph, Node, QuantParams
from mcugen.onnx_file import load_model
from mcugen.onnx_folding import evaluate_node
from mcugen.onnx_labels import ML, drop_labels
from mcugen.onnx_quantized import INTEGER_INPUTS, IntegerTensors, constant_quant, expand_quantized, quantized_constant
from mcugen.ops import onnx_operators
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import FLOATS

Array = npt.NDArray[Any]

OLDEST_OPSET = 7
LARGEST_TENSOR = 1 << 26
"""Elements: an activation larger than this is in no microcontroller's memory."""


def read_onnx(
    path: str | Path, *, shapes: Mapping[str, Sequence[int]] | None = None, outputs: Sequence[str] = ()
) -> Graph:
    """The canonical float graph of an ONNX file.

    `shapes` gives static shapes to inputs, by name; a dynamic first axis is the batch and becomes 1 by itself.  `outputs`
    cuts the graph at these tensors; without, labels of classes are left out, as the graph's notes tell.  Raises
    UnsupportedModel naming the file, the nodes (all of them) and the remedy.
    """
    path = Path(path)
    model, notes = drop_labels(expand_quantized(load_model(path), path.name), outputs)
    graph = _Reader(model, path, dict(shapes or {})).read(list(outputs))
    graph.notes = notes
    return graph.pruned().check()


class _Reader:
    def __init__(self, model: onnx.ModelProto, path: Path, shapes: dict[str, Sequence[int]]) -> None:
        self.model, self.file, self.shapes = model, path.name, shapes
        self.builder = GraphBuilder(path.stem)
        self.names: dict[str, str] = {"": ""}
        self.problems: list[str] = []
        self.hints: list[str] = []
        self.opsets = {o.domain or "ai.onnx": o.version for o in model.opset_import}
        self.read_names = {name for node in model.graph.node for name in node.input if name}
        self.integers = IntegerTensors(path.name)

    @property
    def graph(self) -> Graph:
        return self.builder.graph

    def read(self, outputs: list[str]) -> Graph:
        self.read_names.update(outputs or (value.name for value in self.model.graph.output))
        self._check_opset()
        self._read_initializers()
        self._read_inputs()
        for index, node in enumerate(self.model.graph.node):
            self._read_node(node, index)
        self._read_outputs(outputs)
        if not outputs:
            self.integers.check_inputs(self.graph)
        return self.graph

    def _check_opset(self) -> None:
        opset = self.opsets.get("ai.onnx", OLDEST_OPSET)
        if opset < OLDEST_OPSET:
            raise UnsupportedModel(
                f"{self.file}: opset {opset} is older than {OLDEST_OPSET}",
                hint="upgrade it with onnx.version_converter.convert_version(model, 17)",
            )

    def _read_initializers(self) -> None:
        for tensor in self.model.graph.initializer:
            try:
                data = numpy_helper.to_array(tensor)
            except (ValueError, TypeError, KeyError, RuntimeError, onnx.checker.ValidationError) as error:
                reason = first_line(error)
                raise UnsupportedModel(
                    f"{self.file}: weights '{tensor.name}' are not readable ({reason})",
                    hint="is the file whole? export it again",
                ) from None
            self.define_constant(tensor.name, data)

    def define_constant(self, name: str, data: Array, quant: QuantParams | None = None) -> None:
        if data.dtype.kind == "f" or str(data.dtype) == "bfloat16":
            data = data.astype(np.float32)
            bad = int(np.size(data) - np.count_nonzero(np.isfinite(data)))
            if bad:
                raise UnsupportedModel(
                    f"{self.file}: weights '{name}' hold {bad} of {data.size} values that are NaN or infinite",
                    hint="the training diverged, or the export is damaged: look at this tensor before quantizing",
                )
        self.names[name] = self.graph.add_constant(name or "const", data, quant)

    def _read_inputs(self) -> None:
        declared = [value for value in self.model.graph.input if value.name not in self.names]
        unknown = set(self.shapes) - {value.name for value in declared}
        if unknown:
            names = ", ".join(value.name for value in declared)
            raise UnsupportedModel(
                f"{self.file}: no input named {', '.join(sorted(unknown))}", hint=f"its inputs: {names}"
            )
        if not declared:
            raise UnsupportedModel(f"{self.file}: the model has no input", hint="a constant needs no compiler")
        for value in declared:
            if value.type.tensor_type.elem_type not in FLOATS | INTEGER_INPUTS:
                number = value.type.tensor_type.elem_type
                kinds = onnx.TensorProto.DataType
                kind = kinds.Name(number) if number in kinds.values() else f"of the unknown type {number}"
                raise UnsupportedModel(
                    f"{self.file}: input '{value.name}' is {kind}; mcugen compiles models with float inputs",
                    hint="cut the graph behind its preprocessing, so that it begins with a float tensor",
                )
            self.names[value.name] = self.builder.input(value.name, self._input_shape(value))
            if value.type.tensor_type.elem_type in INTEGER_INPUTS:
                self.integers.add_input(value.name, self.names[value.name])

    def _input_shape(self, value: onnx.ValueInfoProto) -> tuple[int, ...]:
        dims = value.type.tensor_type.shape.dim
        given = self.shapes.get(value.name)
        if given is not None:
            fits = len(given) == len(dims) and all(
                d.dim_value <= 0 or d.dim_value == g for d, g in zip(dims, given, strict=True)
            )
            if any(g < 1 for g in given) or not fits:
                asked = [d.dim_value or d.dim_param or "?" for d in dims]
                raise UnsupportedModel(
                    f"{self.file}: shape {list(given)} does not fit input '{value.name}' {asked}",
                    hint="give as many sizes as the input has axes, and only those free that it leaves free",
                )
            return self._sized(value, tuple(int(g) for g in given))
        shape = [d.dim_value if d.dim_value > 0 else int(i == 0) for i, d in enumerate(dims)]
        if not value.type.tensor_type.HasField("shape") or 0 in shape:
            asked = [d.dim_value or d.dim_param or "?" for d in dims]
            example = ",".join(str(s or "?") for s in shape) or "1,..."
            raise UnsupportedModel(
                f"{self.file}: input '{value.name}' has the dynamic shape {asked}; C needs every size at compile time",
                hint=f"give it: `--shape {value.name}={example}` with numbers for '?'",
            )
        return self._sized(value, tuple(shape))

    def _sized(self, value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> tuple[int, ...]:
        if math.prod(shape) > LARGEST_TENSOR:
            raise UnsupportedModel(
                f"{self.file}: input '{value.name}' has {math.prod(shape)} values {list(shape)}, more than {LARGEST_TENSOR}",
                hint="export the model for a smaller input",
            )
        return shape

    def _read_node(self, node: onnx.NodeProto, index: int) -> None:
        importer = _NodeImporter(self, node, index)
        if any(name not in self.names for name in node.input):
            return  # behind a node that is already reported
        try:
            results = self._fold(node, importer) or self._import(node, importer)
            self.integers.follow(node, self.graph, self.names, importer.unsupported)
        except UnsupportedModel as error:
            self.problems.append(error.message.removeprefix(f"{self.file}: "))
            self.hints.extend([error.hint] if error.hint else [])
            return
        for name, result in zip(node.output, results, strict=False):
            if name:
                self.names[name] = result

    def _fold(self, node: onnx.NodeProto, importer: _NodeImporter) -> list[str] | None:
        """Compute a node whose inputs are constants, or that asks only for a shape."""
        if node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx"):
            shape = np.array(importer.shape(importer.inputs()[0]), np.int64)
            if node.op_type == "Size":
                return [importer.add_constant(np.array(shape.prod(), np.int64))]
            return [importer.add_constant(shape[importer.attr("start", 0) : importer.attr("end", None)])]
        inputs = [importer.constant(self.names[name]) for name in node.input]
        if any(name and data is None for name, data in zip(node.input, inputs, strict=True)):
            return None
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            return None
        known = {name: constant for name in node.input if name and (constant := self.graph.tensors[self.names[name]])}
        folded = quantized_constant(node, known)
        if folded is not None:
            self.define_constant(node.output[0], *folded)
            return [self.names[node.output[0]]]
        results = evaluate_node(node, [i for i in inputs if i is not None], self.model.opset_import, importer)
        for name, result in zip(node.output, results, strict=False):
            if name:
                self.define_constant(name, result)
        return [self.names[name] for name in node.output]

    def _import(self, node: onnx.NodeProto, importer: _NodeImporter) -> Sequence[str]:
        key = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
        operator = onnx_operators().get(key)
        if operator is None:
            raise importer.unsupported("operator not supported", _other_operators(node.domain))
        try:
            return operator.from_onnx(importer)
        except McugenError:
            raise
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise importer.unsupported(f"its inputs or attributes are malformed ({error})") from None

    def _read_outputs(self, cut: list[str]) -> None:
        if self.problems and not cut:
            self._raise_problems()
        wanted = cut or [value.name for value in self.model.graph.output]
        if not wanted:
            raise UnsupportedModel(
                f"{self.file}: the model has no output", hint="name the tensors that you want with `--outputs`"
            )
        missing = [name for name in wanted if name not in self.names]
        if missing and self.problems:
            self._raise_problems()
        if missing:
            raise UnsupportedModel(
                f"{self.file}: no tensor named {', '.join(missing)}", hint="`mcugen inspect` lists them"
            )
        for name in wanted:
            tensor = self.names[name]
            if self.graph.is_constant(tensor):
                raise UnsupportedModel(
                    f"{self.file}: output '{name}' is a constant: it does not depend on any input",
                    hint="leave it out with `--outputs`",
                )
            named = self._named_output(tensor, name)  # may replace the list of outputs
            self.graph.outputs.append(named)

    def _named_output(self, tensor: str, name: str) -> str:
        """Give an output the model's name for it, through a view where the tensor already has a name of its own."""
        if tensor == name and tensor not in self.graph.outputs:
            return tensor
        if tensor in self.graph.inputs or tensor in self.graph.outputs or name in self.graph.tensors:
            return self.builder.emit("reshape", [tensor], shape=self.graph.tensors[tensor].shape, stem=name)
        return self._rename(tensor, name)

    def _rename(self, old: str, new: str) -> str:
        from dataclasses import replace

        graph = self.graph
        graph.rename_reads(old, new)
        graph.nodes = [replace(n, outputs=tuple(new if o == old else o for o in n.outputs)) for n in graph.nodes]
        graph.tensors[new] = replace(graph.tensors.pop(old), name=new)
        self.names = {k: new if v == old else v for k, v in self.names.items()}
        return new

    def _raise_problems(self) -> None:
        lines = "\n  ".join(dict.fromkeys(self.problems))
        hints = "; ".join(dict.fromkeys(self.hints))
        head = (
            f"{self.file}: "
            if len(self.problems) == 1
            else f"{self.file}: {len(self.problems)} nodes cannot be compiled:\n  "
        )
        raise UnsupportedModel(head + lines, hint=hints or None)


def _other_operators(domain: str) -> str:
    if domain != ML:
        return "`mcugen ops` lists what is; `--outputs` cuts the graph before it"
    known = sorted(name.removeprefix(f"{ML}::") for name in onnx_operators() if name.startswith(f"{ML}::"))
    return (
        f"of {ML}, {', '.join(known)} are: fit a network (MLPClassifier, MLPRegressor) or a linear model in its place; "
        "`--outputs` cuts the graph before it"
    )


class _NodeImporter:
    """The Importer of one ONNX node (ops/operator.py says what each method gives)."""

    def __init__(self, reader: _Reader, node: onnx.NodeProto, index: int) -> None:
        self.reader, self.node = reader, node
        self.origin = node.name or f"{node.op_type}_{index}"
        self.label = f"node '{self.origin}' ({node.op_type})"
        self.opset = reader.opsets.get(node.domain or "ai.onnx", reader.opsets.get("ai.onnx", OLDEST_OPSET))

    def inputs(self) -> list[str]:
        return [self.reader.names[name] for name in self.node.input]

    def output_count(self) -> int:
        return max((i + 1 for i, name in enumerate(self.node.output) if name), default=0)

    def output_used(self, index: int) -> bool:
        return index < len(self.node.output) and self.node.output[index] in self.reader.read_names

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attrs().get(name, default)

    def attrs(self) -> dict[str, Any]:
        values = {a.name: onnx.helper.get_attribute_value(a) for a in self.node.attribute}
        return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}

    def shape(self, name: str) -> tuple[int, ...]:
        return self.reader.graph.tensors[name].shape

    def constant(self, name: str) -> Array | None:
        return self.reader.graph.tensors[name].data if name else None

    def producer(self, name: str) -> Node | None:
        return self.reader.graph.producer(name)

    def quant(self, name: str, axis: int) -> QuantParams | None:
        return constant_quant(self.reader.graph.tensors[name], axis)

    def add_constant(self, data: Array, stem: str = "const", quant: QuantParams | None = None) -> str:
        array = np.asarray(data)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        return self.reader.graph.add_constant(f"{self.origin}_{stem}", array, quant)

    def emit(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        return self.emit_many(op, inputs, 1, **attrs)[0]

    def emit_many(self, op: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        names = self.reader.builder.emit_many(op, inputs, count, stem=self.origin, origin=(self.origin,), **attrs)
        for shape in map(self.shape, names):
            if math.prod(shape) > LARGEST_TENSOR:
                raise self.unsupported(f"it makes a tensor of {math.prod(shape)} values, more than {LARGEST_TENSOR}")
        return names

    def unsupported(self, reason: str, hint: str | None = None) -> UnsupportedModel:
        return UnsupportedModel(f"{self.reader.file}: {self.label}: {reason}", hint=hint)

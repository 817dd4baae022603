"""ONNX -> Graph: static shapes, constants folded, canonical channels-last operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import inliner, numpy_helper

from mcugen.errors import McugenError, UnsupportedModel
from mcugen.graph import Graph, QuantParams
from mcugen.onnx_quantized import INTEGER_INPUTS, IntegerTensors, constant_quant, expand_quantized, quantized_constant
from mcugen.ops import onnx_operators
from mcugen.ops.builder import GraphBuilder

Array = npt.NDArray[Any]

OLDEST_OPSET = 7
FOLD_LIMIT = 1 << 28
"""Elements: a constant larger than this is not computed (a hostile shape could ask for any size)."""
FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}


def read_onnx(
    path: str | Path, *, shapes: Mapping[str, Sequence[int]] | None = None, outputs: Sequence[str] = ()
) -> Graph:
    """The canonical float graph of an ONNX file.

    `shapes` gives static shapes to inputs, by name; a dynamic first axis is the batch and becomes 1 by itself.  `outputs`
    cuts the graph at these tensors.  Raises UnsupportedModel naming the file, the nodes (all of them) and the remedy.
    """
    path = Path(path)
    model = expand_quantized(_load(path), path.name)
    graph = _Reader(model, path, dict(shapes or {})).read(list(outputs))
    return graph.pruned().check()


def _load(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise UnsupportedModel(f"{path}: no such file", hint="give the path of an .onnx file")
    try:
        model = onnx.load(path)
    except (DecodeError, ValueError, EOFError, OSError, RuntimeError, onnx.checker.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedModel(
            f"{path.name}: not a readable ONNX model ({reason})",
            hint="export it again; a model with external data needs its data file beside it",
        ) from None
    if not model.graph.node and not model.graph.output:
        raise UnsupportedModel(f"{path.name}: the file holds no graph", hint="is it an ONNX file, and whole?")
    if any(isinstance(name, bytes) for name in _names(model.graph)):
        raise UnsupportedModel(
            f"{path.name}: some names are no UTF-8 text", hint="the file is damaged: export it again"
        )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise UnsupportedModel(
            f"{path.name}: not a valid ONNX model: {str(error).strip().splitlines()[0]}",
            hint="export it again with a current exporter; `python -c 'import onnx; onnx.checker.check_model(...)'` says more",
        ) from None
    if model.functions:
        model = inliner.inline_local_functions(model)
    return model


def _names(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    """Every name in the graph; protobuf gives those that are no valid text as bytes."""
    yield graph.name
    for values in (graph.input, graph.output, graph.initializer, graph.value_info):
        yield from (value.name for value in values)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


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
            except (ValueError, TypeError, RuntimeError, onnx.checker.ValidationError) as error:
                reason = str(error).splitlines()[0]
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
                not d.dim_value or d.dim_value == g for d, g in zip(dims, given, strict=True)
            )
            if any(g < 1 for g in given) or not fits:
                asked = [d.dim_value or d.dim_param or "?" for d in dims]
                raise UnsupportedModel(
                    f"{self.file}: shape {list(given)} does not fit input '{value.name}' {asked}",
                    hint="give as many sizes as the input has axes, and only those free that it leaves free",
                )
            return tuple(int(g) for g in given)
        shape = [d.dim_value or (1 if i == 0 else 0) for i, d in enumerate(dims)]
        if not value.type.tensor_type.HasField("shape") or 0 in shape:
            asked = [d.dim_value or d.dim_param or "?" for d in dims]
            example = ",".join(str(s or "?") for s in shape) or "1,..."
            raise UnsupportedModel(
                f"{self.file}: input '{value.name}' has the dynamic shape {asked}; C needs every size at compile time",
                hint=f"give it: `--shape {value.name}={example}` with numbers for '?'",
            )
        return tuple(shape)

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
        for result in (results := self._evaluate(node, importer, [i for i in inputs if i is not None])):
            if result.size > FOLD_LIMIT:
                raise importer.unsupported(f"it makes a constant of {result.size} elements")
        for name, result in zip(node.output, results, strict=False):
            if name:
                self.define_constant(name, np.asarray(result))
        return [self.names[name] for name in node.output]

    def _evaluate(self, node: onnx.NodeProto, importer: _NodeImporter, inputs: list[Array]) -> list[Array]:
        from onnx.reference import ReferenceEvaluator

        if node.op_type == "Constant" and (value := importer.attr("value")) is not None:
            return [numpy_helper.to_array(value)]
        if node.op_type in ("ConstantOfShape", "Expand", "Tile", "Range") and inputs:
            wanted = (
                np.prod(np.abs(inputs[-1].astype(np.float64)))
                if node.op_type != "Range"
                else np.abs(inputs[1] - inputs[0])
            )
            if float(np.max(wanted)) > FOLD_LIMIT:
                raise importer.unsupported("it makes a constant of unreasonable size")
        names = [name for name in node.input if name]
        try:
            proto = onnx.helper.make_graph(
                [node],
                "fold",
                [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in dict.fromkeys(names)],
                [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in node.output if n],
            )
            run = ReferenceEvaluator(onnx.helper.make_model(proto, opset_imports=self._evaluator_opsets(node)))
            return [np.asarray(value) for value in run.run(None, dict(zip(names, inputs, strict=True)))]
        except Exception as error:  # the evaluator raises whatever its operator's NumPy code raises
            raise importer.unsupported(
                f"its constant value cannot be computed ({str(error).splitlines()[0]})"
            ) from None

    def _evaluator_opsets(self, node: onnx.NodeProto) -> Sequence[onnx.OperatorSetIdProto]:
        """The model's opsets; the evaluator knows (de)quantization only from opset 19 on, which takes the older forms."""
        if node.op_type not in ("DequantizeLinear", "QuantizeLinear"):
            return list(self.model.opset_import)
        return [onnx.helper.make_opsetid("", max(self.opsets.get("ai.onnx", OLDEST_OPSET), 19))]

    def _import(self, node: onnx.NodeProto, importer: _NodeImporter) -> Sequence[str]:
        key = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
        operator = onnx_operators().get(key)
        if operator is None:
            raise importer.unsupported(
                "operator not supported", "`mcugen ops` lists what is; `--outputs` cuts the graph before it"
            )
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

    def quant(self, name: str, axis: int) -> QuantParams | None:
        return constant_quant(self.reader.graph.tensors[name], axis)

    def add_constant(self, data: Array, stem: str = "const", quant: QuantParams | None = None) -> str:
        array = np.asarray(data)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        return self.reader.graph.add_constant(f"{self.origin}_{stem}", array, quant)

    def emit(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        return self.emit_many(op, inputs, 1, **attrs)[0]

    def emit_many(self, op: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        return self.reader.builder.emit_many(op, inputs, count, stem=self.origin, origin=(self.origin,), **attrs)

    def unsupported(self, reason: str, hint: str | None = None) -> UnsupportedModel:
        return UnsupportedModel(f"{self.reader.file}: {self.label}: {reason}", hint=hint)

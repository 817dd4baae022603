"""An ONNX file as a model that the onnx library finds valid, without functions of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import inliner

from mcugen.errors import UnsupportedModel, first_line


def load_model(path: Path) -> onnx.ModelProto:
    """Raises UnsupportedModel where there is no such file, or it is no valid model."""
    if not path.is_file():
        raise UnsupportedModel(f"{path}: no such file", hint="give the path of an .onnx file")
    try:
        model = onnx.load(path)
    except (DecodeError, ValueError, EOFError, OSError, RuntimeError, onnx.checker.ValidationError) as error:
        raise UnsupportedModel(
            f"{path.name}: not a readable ONNX model ({first_line(error)})",
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
            f"{path.name}: not a valid ONNX model: {first_line(error)}",
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

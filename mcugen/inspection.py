"""What a model holds and what of it cannot be compiled; what targets there are and what is installed for them."""

from __future__ import annotations

import importlib.util
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from mcugen.errors import ToolchainError, UnsupportedModel
from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.pipeline import load
from mcugen.run.toolchain import find_cross_compiler
from mcugen.targets import Target, list_targets


def inspect_model(
    path: Path, *, shapes: Mapping[str, Sequence[int]] | None = None, outputs: Sequence[str] = ()
) -> dict[str, Any]:
    """Facts of an ONNX file as plain data: ports, operators and, where it can be compiled, layers, MACs, parameters.

    `unsupported` holds the reasons why it cannot be compiled.  Raises UnsupportedModel for a file that is no model.
    """
    problems: list[str] = []
    graph: Graph | None = None
    try:
        graph = load(path, shapes=shapes, outputs=outputs)
    except UnsupportedModel as error:
        proto = _proto(path)
        if proto is None:
            raise
        problems = _problems(error)
    else:
        proto = _proto(path)
    assert proto is not None
    record: dict[str, Any] = {
        "name": path.name,
        "opset": max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=0),
        "onnx_ops": dict(sorted(Counter(node.op_type for node in proto.graph.node).items())),
        "inputs": _ports(proto, proto.graph.input),
        "outputs": _ports(proto, proto.graph.output),
        "supported": graph is not None,
        "unsupported": problems,
    }
    return record if graph is None else record | _layers(graph)


def _problems(error: UnsupportedModel) -> list[str]:
    lines = error.message.split("\n  ")
    return lines[1:] or lines


def _proto(path: Path) -> onnx.ModelProto | None:
    """The file's content without its external data; None where it is no model."""
    try:
        proto = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf and onnx raise errors of their own on damaged files
        return None
    texts = all(isinstance(name, str) for node in proto.graph.node for name in (node.name, node.op_type))
    return proto if (proto.graph.node or proto.graph.output) and texts else None


def _ports(proto: onnx.ModelProto, values: Sequence[onnx.ValueInfoProto]) -> list[dict[str, Any]]:
    constants = {tensor.name for tensor in proto.graph.initializer}
    return [{"name": v.name, "shape": _dims(v)} for v in values if v.name not in constants]


def _dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_value or d.dim_param or "?" for d in value.type.tensor_type.shape.dim]


def _layers(graph: Graph) -> dict[str, Any]:
    nodes = [_node(graph, node) for node in graph.nodes]
    return {
        "nodes": nodes,
        "macs": sum(node["macs"] for node in nodes),
        "parameters": sum(t.size for t in graph.tensors.values() if t.data is not None),
        "largest_activation": max(graph.tensors[name].size for name in graph.activations()),
    }


def _node(graph: Graph, node: Node) -> dict[str, Any]:
    return {
        "name": "+".join(dict.fromkeys(node.origin)) or node.name,
        "op": node.op,
        "in_shape": list(graph.tensors[node.inputs[0]].shape) if node.inputs else [],
        "out_shape": list(graph.tensors[node.outputs[0]].shape),
        "macs": operator(node.op).cost(node, graph).macs,
        "parameters": sum(graph.tensors[name].size for name in node.inputs if graph.is_constant(name)),
    }


def target_records() -> list[dict[str, Any]]:
    """Every built-in target as plain data, with what is installed for it on this computer."""
    return [_target_record(target) for target in list_targets()]


def _target_record(target: Target) -> dict[str, Any]:
    try:
        compiler: str | None = find_cross_compiler(target).version
    except ToolchainError:
        compiler = None
    return {
        "name": target.name,
        "description": target.description,
        "aliases": list(target.aliases),
        "family": target.family,
        "variants": list(target.variants),
        "compiler": compiler,
        "emulator": target.emulator,
        "emulator_installed": _emulator_installed(target),
        "cycles_modelled": target.cycles is not None,
    }


def _emulator_installed(target: Target) -> bool:
    if target.emulator == "unicorn":
        return importlib.util.find_spec("unicorn") is not None
    if target.emulator == "qemu":
        return target.qemu is not None and shutil.which(target.qemu.program) is not None
    return True

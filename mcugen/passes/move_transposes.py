"""Move transposes towards the outputs, where they meet their inverses and vanish."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor, splice
from mcugen.ops import operator
from mcugen.ops.transpose import merged_axes

Array = npt.NDArray[Any]
Perm = tuple[int, ...]


def move_transposes(graph: Graph) -> Graph:
    """`op(transpose(x))` -> `transpose(op'(x))`; two transposes -> one or none; one that moves no data -> a reshape."""
    graph = graph.copy()
    while any(_step(graph, node) for node in list(graph.nodes)):
        graph = graph.pruned()
    return graph.pruned()


def inverse(perm: Perm) -> Perm:
    return tuple(int(i) for i in np.argsort(perm))


def _step(graph: Graph, node: Node) -> bool:
    """Rewrite `node` if it can be; whether anything changed."""
    producers = graph.producers()
    if node.op == "transpose":
        return _simplify(graph, node, producers.get(node.inputs[0]))
    perm = next((p.attrs["perm"] for i in node.inputs if (p := producers.get(i)) and p.op == "transpose"), None)
    if perm is None or node.op == "reshape":
        return False
    moved = operator(node.op).permute(node, graph, inverse(perm))
    if moved is None or any(len(graph.tensors[o].shape) != len(perm) for o in node.outputs):
        return False
    inputs = [_without(graph, producers, name, perm, node) for name in node.inputs]
    if any(name is None for name in inputs):
        return False
    _move(graph, node, replace(moved, inputs=tuple(str(i) for i in inputs)), perm)
    return True


def _simplify(graph: Graph, node: Node, source: Node | None) -> bool:
    perm, shape = node.attrs["perm"], graph.tensors[node.inputs[0]].shape
    if source is not None and source.op == "transpose":
        combined = tuple(source.attrs["perm"][axis] for axis in perm)
        _replace(graph, node, replace(node, inputs=source.inputs, attrs={"perm": combined}))
        return True
    if perm == tuple(range(len(perm))) and node.outputs[0] not in graph.outputs:
        graph.nodes.remove(node)
        graph.rename_reads(node.outputs[0], node.inputs[0])
        return True
    _, merged = merged_axes(shape, perm)
    if merged == tuple(range(len(merged))):
        _replace(graph, node, replace(node, op="reshape", attrs={"shape": graph.tensors[node.outputs[0]].shape}))
        return True
    return False


def _replace(graph: Graph, old: Node, new: Node) -> None:
    graph.nodes[graph.nodes.index(old)] = new


def _without(graph: Graph, producers: dict[str, Node], name: str, perm: Perm, node: Node) -> str | None:
    """The tensor that `name` is the transpose (by `perm`) of: its source, a permuted constant, or one that exists already."""
    source = producers.get(name)
    if source is not None and source.op == "transpose" and source.attrs["perm"] == perm:
        return source.inputs[0]
    tensor = graph.tensors[name]
    if tensor.data is not None:
        return _permuted_constant(graph, tensor, perm) if operator(node.op).elementwise else name
    twins = [n for n in graph.readers(name) if n.op == "transpose" and n.attrs["perm"] == inverse(perm)]
    before = graph.nodes.index(node)
    return next((t.outputs[0] for t in twins if graph.nodes.index(t) < before), None)


def _permuted_constant(graph: Graph, tensor: Tensor, perm: Perm) -> str | None:
    assert tensor.data is not None
    if tensor.size == 1:
        return tensor.name
    if tensor.data.ndim > len(perm):
        return None
    full = tensor.data.reshape((1,) * (len(perm) - tensor.data.ndim) + tensor.data.shape)
    return graph.add_constant(tensor.name, np.ascontiguousarray(full.transpose(inverse(perm))), tensor.quant)


def _move(graph: Graph, old: Node, moved: Node, perm: Perm) -> None:
    """Put `moved` in the place of `old`, and a transpose behind each of its outputs under the old names."""
    renamed, transposes = [], []
    for output in old.outputs:
        tensor = graph.tensors[output]
        inner = graph.fresh(f"{output}_moved")
        graph.tensors[inner] = replace(tensor, name=inner, shape=tuple(tensor.shape[a] for a in inverse(perm)))
        renamed.append(inner)
        transposes.append(Node("transpose", output, (inner,), (output,), {"perm": perm}, old.origin))
    splice(graph, old, [replace(moved, outputs=tuple(renamed)), *transposes])

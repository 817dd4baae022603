"""Merge reshapes, move them behind elementwise operators, and drop those that change nothing."""

from __future__ import annotations

from dataclasses import replace

from mcugen.graph import Graph, Node, splice
from mcugen.ops import operator


def merge_reshapes(graph: Graph) -> Graph:
    """`reshape(reshape(x))` -> `reshape(x)`; unary `f(reshape(x))` -> `reshape(f(x))`; to its own shape -> nothing."""
    graph = graph.copy()
    while any(_step(graph, node) for node in list(graph.nodes)):
        graph = graph.pruned()
    return graph.pruned()


def _step(graph: Graph, node: Node) -> bool:
    source = graph.producer(node.inputs[0]) if node.inputs else None
    if node.op == "reshape":
        if source is not None and source.op == "reshape":
            graph.nodes[graph.nodes.index(node)] = replace(node, inputs=source.inputs)
            return True
        unchanged = graph.tensors[node.inputs[0]].shape == tuple(node.attrs["shape"])
        if unchanged and node.outputs[0] not in graph.outputs:
            graph.nodes.remove(node)
            graph.rename_reads(node.outputs[0], node.inputs[0])
            return True
        return False
    unary = operator(node.op).elementwise and len(node.inputs) == 1 and len(node.outputs) == 1
    if not unary or source is None or source.op != "reshape":
        return False
    inner = graph.fresh(f"{node.outputs[0]}_flat")
    before = graph.tensors[source.inputs[0]]
    graph.tensors[inner] = replace(graph.tensors[node.outputs[0]], name=inner, shape=before.shape)
    shape = graph.tensors[node.outputs[0]].shape
    reshape = Node("reshape", node.outputs[0], (inner,), node.outputs, {"shape": shape}, source.origin)
    splice(graph, node, [replace(node, inputs=source.inputs, outputs=(inner,)), reshape])
    return True

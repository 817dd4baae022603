"""Fold a transpose before a flattened fully connected layer into the order of its weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcugen.graph import Graph, Node, splice
from mcugen.passes.move_transposes import inverse


def fold_transpose_into_weights(graph: Graph) -> Graph:
    """`fully_connected(flatten(transpose(x)), w)` -> `fully_connected(flatten(x), w')` with the columns of w permuted."""
    graph = graph.copy()
    for node in list(graph.nodes):
        if node.op != "fully_connected":
            continue
        flatten = graph.producer(node.inputs[0])
        transpose = graph.producer(flatten.inputs[0]) if flatten is not None and flatten.op == "reshape" else None
        if flatten is not None and transpose is not None and transpose.op == "transpose":
            _fold(graph, node, flatten, transpose)
    return graph.pruned()


def _fold(graph: Graph, node: Node, flatten: Node, transpose: Node) -> None:
    perm = transpose.attrs["perm"]
    shape = graph.tensors[transpose.outputs[0]].shape
    weights = graph.constant(node.inputs[1])
    if perm[0] != 0 or shape[0] != 1 or weights.shape[1] != int(np.prod(shape)):
        return
    columns = weights.reshape(weights.shape[0], *shape[1:]).transpose(inverse(perm))
    quant = graph.tensors[node.inputs[1]].quant
    permuted = graph.add_constant(node.inputs[1], np.ascontiguousarray(columns).reshape(weights.shape), quant)
    flat = graph.fresh(f"{flatten.outputs[0]}_plain")
    graph.tensors[flat] = replace(graph.tensors[flatten.outputs[0]], name=flat)
    reshape = replace(flatten, name=flat, inputs=transpose.inputs, outputs=(flat,))
    splice(graph, node, [reshape, replace(node, inputs=(flat, permuted, *node.inputs[2:]))])

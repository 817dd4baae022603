"""Turn the quantization that a model names into parameters of its tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops import operator
from mcugen.ops.fake_quantize import node_params
from mcugen.ops.operator import clip_bounds

FIXED = ("softmax",)
"""Operators whose output parameters are part of their integer meaning."""


def apply_quantization(graph: Graph) -> Graph:
    """`fake_quantize(op(x))` -> `op(x)` whose output has these parameters; nodes that change parameters stay."""
    graph = graph.copy()
    for output in [n.outputs[0] for n in graph.nodes if n.op == "fake_quantize"]:
        node = graph.producer(output)
        if node is not None:
            _apply(graph, node)
    return graph.pruned()


def known_quant(graph: Graph, name: str) -> QuantParams | None:
    """The parameters that a tensor of a float graph must have: given, its operator's, or those of what it only moves."""
    tensor, node = graph.tensors[name], graph.producer(name)
    if tensor.quant is not None or node is None:
        return tensor.quant
    demand = operator(node.op).output_quant(node, graph)
    if isinstance(demand, QuantParams):
        return demand
    return known_quant(graph, node.inputs[0]) if demand == "same" else None


def same_params(first: QuantParams | None, second: QuantParams) -> bool:
    return first is not None and first.scale == second.scale and first.zero_point == second.zero_point


def _apply(graph: Graph, node: Node) -> None:
    source, params = node.inputs[0], node_params(node)
    root = _root(graph, source)
    producer = graph.producer(root)
    if graph.tensors[root].quant is None and (producer is None or producer.op not in (*FIXED, "fake_quantize")):
        graph.tensors[root] = replace(graph.tensors[root], quant=params)
        if producer is not None and operator(producer.op).fuses_clip:
            graph.nodes[graph.nodes.index(producer)] = _saturated(producer, params)
    if same_params(known_quant(graph, source), params):
        _remove(graph, node)
    else:
        graph.tensors[node.outputs[0]] = replace(graph.tensors[node.outputs[0]], quant=params)


def _saturated(node: Node, params: QuantParams) -> Node:
    """The node with the Relu or Relu6 that quantizers leave out, because integers of a range that begins at zero do it.

    A layer with an activation of its own has lost none: what lies beyond its range is noise.
    """
    if clip_bounds(node) != (-np.inf, np.inf) or params.zero_point != params.low:
        return node
    return node.with_attrs(clip_min=0.0, clip_max=float(params.dequantize(np.asarray(params.high))))


def _root(graph: Graph, name: str) -> str:
    """Where the parameters of a tensor are chosen."""
    node = graph.producer(name)
    if node is None or operator(node.op).output_quant(node, graph) != "same":
        return name
    return _root(graph, node.inputs[0])


def _remove(graph: Graph, node: Node) -> None:
    """Let readers read what the node reads; a graph output keeps its name."""
    old, new = node.inputs[0], node.outputs[0]
    if new not in graph.outputs:
        graph.nodes.remove(node)
        graph.rename_reads(new, old)
    elif old in graph.inputs or old in graph.outputs:
        shape = graph.tensors[new].shape
        graph.nodes[graph.nodes.index(node)] = replace(node, op="reshape", attrs={"shape": shape})
    else:
        graph.nodes.remove(node)
        graph.rename_reads(old, new)
        graph.nodes = [replace(n, outputs=tuple(new if o == old else o for o in n.outputs)) for n in graph.nodes]
        graph.tensors[new] = replace(graph.tensors.pop(old), name=new)

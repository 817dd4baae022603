"""Fuse Relu, Relu6 and other clips into the operator before them, where saturation does them for nothing."""

from __future__ import annotations

from dataclasses import replace

from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.ops.operator import clip_bounds


def fuse_clip(graph: Graph) -> Graph:
    """`clip(op(x))` -> `op(x)` with attributes clip_min, clip_max; `clip(max_pool(x))` -> `max_pool(clip(x))` first."""
    graph = graph.copy()
    while any(_step(graph, node) for node in list(graph.nodes)):
        graph = graph.pruned()
    return graph.pruned()


def _step(graph: Graph, node: Node) -> bool:
    if node.op != "clip":
        return False
    source = graph.producer(node.inputs[0])
    if source is None or graph.read_counts()[node.inputs[0]] != 1:
        return False
    if source.op == "max_pool2d":
        _swap(graph, source, node)
        return True
    if not (operator(source.op).fuses_clip or source.op == "clip"):
        return False
    low, high = clip_bounds(source)
    lower, upper = clip_bounds(node)
    # clip(clip(x, a, b), c, d) = clip(x, clip(a), clip(b)): the outer bounds win where they do not meet
    bounds = {"clip_min": min(max(low, lower), upper), "clip_max": max(min(high, upper), lower)}
    fused = replace(source.with_attrs(**bounds), outputs=node.outputs, origin=(*source.origin, *node.origin))
    graph.nodes[graph.nodes.index(source)] = fused
    graph.nodes.remove(node)
    return True


def _swap(graph: Graph, pool: Node, clip: Node) -> None:
    inner = graph.fresh(f"{pool.inputs[0]}_clipped")
    graph.tensors[inner] = replace(graph.tensors[pool.inputs[0]], name=inner)
    index = graph.nodes.index(pool)
    graph.nodes.remove(clip)
    graph.nodes[index : index + 1] = [
        replace(clip, inputs=pool.inputs[:1], outputs=(inner,)),
        replace(pool, inputs=(inner, *pool.inputs[1:]), outputs=clip.outputs),
    ]

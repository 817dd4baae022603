"""By which tensors an error is judged: the outputs, and of a softmax its logits."""

from __future__ import annotations

from mcugen.graph import Graph


def goal_tensors(graph: Graph) -> list[str]:
    """The outputs; for a softmax its logits, which feel errors also where a probability is near one."""
    return list(dict.fromkeys(logits_of(graph, output) or output for output in graph.outputs))


def logits_of(graph: Graph, name: str) -> str | None:
    """What the softmax reads that makes the tensor `name`; None where none does."""
    while (node := graph.producer(name)) is not None and node.op == "reshape":
        name = node.inputs[0]
    return node.inputs[0] if node is not None and node.op == "softmax" else None

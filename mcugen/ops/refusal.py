"""Errors that name the node they are about."""

from __future__ import annotations

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, Node


def refusal(node: Node, graph: Graph | None, reason: str, *, hint: str) -> UnsupportedModel:
    """An error `GRAPH: node 'ORIGIN' (OP): REASON` with the remedy `hint`; the caller raises it."""
    where = "" if graph is None else f"{graph.name}: "
    return UnsupportedModel(f"{where}node '{', '.join(node.origin) or node.name}' ({node.op}): {reason}", hint=hint)

"""Choose the operators whose integers are TensorFlow Lite's."""

from __future__ import annotations

from dataclasses import replace

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, Node
from mcugen.ops import operator, operators
from mcugen.ops.movement import MovementOperator

PREFIX = "tflite_"
SAME = ("max_pool2d",)
"""Operators that mean the same integers in both, beside those that only move data."""


def use_tflite_arithmetic(graph: Graph) -> Graph:
    """`conv2d(x)` -> `tflite_conv2d(x)` and likewise for every operator; raises where TensorFlow Lite's integers are not known."""
    graph = graph.copy()
    missing = [node for node in graph.nodes if PREFIX + node.op not in operators() and not _same(node)]
    if missing:
        names = ", ".join(f"'{', '.join(node.origin) or node.name}' ({node.op})" for node in missing)
        raise UnsupportedModel(
            f"{graph.name}: no TensorFlow Lite arithmetic for {names}", hint="build it with `--arithmetic default`"
        )
    graph.nodes = [node if _same(node) else replace(node, op=PREFIX + node.op) for node in graph.nodes]
    return graph


def _same(node: Node) -> bool:
    return node.op in SAME or isinstance(operator(node.op), MovementOperator)

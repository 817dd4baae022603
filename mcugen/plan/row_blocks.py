"""A node on a few rows of its image: the small integer node whose kernels are called again and again."""

from __future__ import annotations

from dataclasses import replace

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops import operator
from mcugen.ops.operator import RowWindow


def row_window(node: Node, graph: Graph) -> RowWindow | None:
    """How a node works its way down the rows of images; None where it cannot, or its output has one row only."""
    activations = [name for name in node.inputs if not graph.is_constant(name)]
    shapes = [graph.tensors[name].shape for name in (*activations, *node.outputs)]
    images = all(len(shape) == 4 and shape[0] == 1 for shape in shapes)
    if not images or len(node.outputs) != 1 or len(set(activations)) != len(activations) or len(activations) > 2:
        return None
    return operator(node.op).row_window(node, graph)


def row_block(node: Node, graph: Graph, window: RowWindow, rows: int) -> tuple[Node, Graph]:
    """The node that makes `rows` output rows of the input rows they need, and a graph that has its tensors.

    The rows that padding stood for are part of the input.
    """
    block = replace(graph, tensors=dict(graph.tensors))
    for name in node.inputs:
        if not graph.is_constant(name):
            block.tensors[name] = with_rows(graph.tensors[name], (rows - 1) * window.stride + window.kernel)
    for name in node.outputs:
        block.tensors[name] = with_rows(graph.tensors[name], rows)
    pads = node.attrs.get("pads")
    return node if pads is None else node.with_attrs(pads=(0, pads[1], 0, pads[3])), block


def with_rows(tensor: Tensor, rows: int) -> Tensor:
    """The image `tensor` with another height."""
    return replace(tensor, shape=(tensor.shape[0], rows, *tensor.shape[2:]))


def row_bytes(tensor: Tensor) -> int:
    """Bytes of one row of an image."""
    return tensor.nbytes // tensor.shape[1]

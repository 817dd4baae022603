"""From a float graph and chosen parameters to the integer graph: the program's exact meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.ops import operator
from mcugen.ops.operator import Array, QuantContext


def integer_graph(
    graph: Graph, activations: Mapping[str, QuantParams], weights: Mapping[str, tuple[Array, Array]] | None = None
) -> Graph:
    """Every node in its operator's integer form; activations are int8 with parameters, constants are integers.

    `weights` gives rounded weights by node name (integers, scales per output channel) where a method has chosen them.
    """
    context = QuantContext(activations, weights or {})
    result = Graph(graph.name, [], {}, list(graph.inputs), list(graph.outputs))
    for name in graph.activations():
        quant = activations[name]
        result.tensors[name] = Tensor(name, quant.held_shape(graph.tensors[name].shape), quant.dtype, None, quant)
    for node in graph.nodes:
        integer, constants = integer_node(node, graph, context)
        names = []
        for name in integer.inputs:
            tensor = graph.tensors[name]
            if tensor.data is not None and name not in result.tensors:
                quant = activations[name]
                data = quant.quantize(tensor.data)
                result.tensors[name] = Tensor(name, tensor.shape, quant.dtype, data, quant)
        for field, data in constants.items():
            names.append(result.add_constant(f"{node.name}.{field}", data))
        result.nodes.append(replace(integer, inputs=(*integer.inputs, *names)))
    return result.pruned().check()


def integer_node(node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
    """A node in its operator's integer form, and its constants; raises UnsupportedModel where no integers can do it."""
    try:
        return operator(node.op).quantize(node, graph, context)
    except (ValueError, OverflowError, FloatingPointError) as error:
        name = ", ".join(node.origin) or node.name
        raise UnsupportedModel(
            f"{graph.name}: node '{name}' ({node.op}): no integers stand for its values ({error})",
            hint="its weights, or its values on the calibration data, are of extreme size: look at them in float first",
        ) from None


def name_formats(graph: Graph, formats: Mapping[str, str]) -> Graph:
    """The integer graph with the attribute `weight_format` at the nodes named, whose integers keep to these formats."""
    result = graph.copy()
    result.nodes = [n.with_attrs(weight_format=formats[n.name]) if n.name in formats else n for n in graph.nodes]
    return result

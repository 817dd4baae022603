"""From a float graph and chosen parameters to the integer graph: the program's exact meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, QuantParams, Tensor
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
        result.tensors[name] = Tensor(name, graph.tensors[name].shape, quant.dtype, None, quant)
    for node in graph.nodes:
        try:
            integer, constants = operator(node.op).quantize(node, graph, context)
        except (ValueError, OverflowError, FloatingPointError) as error:
            raise UnsupportedModel(
                f"{graph.name}: node '{', '.join(node.origin) or node.name}' ({node.op}): no integers stand for its values ({error})",
                hint="its weights or its values on the calibration data are of extreme size: look at them in float first",
            ) from None
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

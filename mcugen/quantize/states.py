"""Ranges of values that live inside an operator, as the cells of an LSTM, over the calibration data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.execute import Rows, evaluate_batches, operand
from mcugen.graph import Graph
from mcugen.ops import operator
from mcugen.ops.operator import Operator

Array = npt.NDArray[Any]


def observe_states(graph: Graph, samples: Mapping[str, Rows]) -> Graph:
    """The graph with `state_reach` in the attributes of every node that has such values and does not say; the same where none is."""
    nodes = [
        node
        for node in graph.nodes
        if type(operator(node.op)).state_reach is not Operator.state_reach and "state_reach" not in node.attrs
    ]
    if not nodes:
        return graph
    reach: dict[str, float] = {}
    inputs = sorted({name for node in nodes for name in node.inputs if not graph.is_constant(name)})
    for batch in evaluate_batches(graph, samples, keep=inputs):
        for node in nodes:
            arrays = [
                operand(graph.tensors[name], batch[name]) if name in batch else graph.constant(name)
                for name in node.inputs
            ]
            found = operator(node.op).state_reach(node, arrays)
            if found is not None and np.isfinite(found):
                reach[node.name] = max(found, reach.get(node.name, 0.0))
    result = graph.copy()
    result.nodes = [n.with_attrs(state_reach=reach[n.name]) if n.name in reach else n for n in graph.nodes]
    return result

"""Let layers find the ranges of what they read and write at run time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mcugen.errors import UnsupportedModel
from mcugen.graph import DYNAMIC, Graph, Node, QuantParams, Tensor
from mcugen.ops import operator
from mcugen.ops.lstm import Lstm, reach_without_data
from mcugen.ops.operator import clip_bounds
from mcugen.ops.recurrent import RecurrentOperator

WITHIN = ("average_pool2d", "concat")
"""Operators whose values stay in the range of what they read."""


@dataclass(frozen=True)
class DynamicRanges:
    """The graph, and by name the layers with weights whose ranges are found at run time and those that keep calibrated ones.

    Recurrent layers that read other ones' states are neither: their ranges are known.
    """

    graph: Graph
    dynamic: tuple[str, ...]
    static: tuple[str, ...]

    def notes(self) -> tuple[str, ...]:
        """What a build says of it."""
        if not self.static:
            return ()
        return (f"layers that keep calibrated ranges: {', '.join(self.static)}",)


@dataclass
class _Rewriting:
    graph: Graph
    known: dict[str, QuantParams]
    nodes: list[Node] = field(default_factory=list)
    dynamic: set[str] = field(default_factory=set)
    twins: dict[str, str] = field(default_factory=dict)
    """Tensors in the other form."""

    def convert(self, name: str, op: str) -> str:
        if name not in self.twins:
            other = self.graph.fresh(f"{name}_{op.split('_', maxsplit=1)[0]}")
            self.graph.tensors[other] = Tensor(other, self.graph.tensors[name].shape)
            self.nodes.append(Node(op, other, (name,), (other,)))
            self.twins[name] = other
        return self.twins[name]


def use_dynamic_ranges(graph: Graph) -> DynamicRanges:
    """`fully_connected(x)` -> `dynamic_fully_connected(x)` with conversions where other operators read or write.

    For layers of one row with no activation or a Relu, whose activations the model gives no parameters of its own; recurrent layers
    read dynamic inputs as they are.  What lies within the known range of a recurrent layer's states is given that range.  Raises
    UnsupportedModel where no layer can find its ranges.
    """
    state = _Rewriting(graph.copy(), _known_ranges(graph))
    dynamic, static = [], []
    for name in graph.inputs:
        if graph.tensors[name].quant is None and graph.readers(name) and _only_dynamic(graph, name):
            state.dynamic.add(name)
            state.graph.tensors[name] = replace(graph.tensors[name], quant=DYNAMIC)
    for node in graph.nodes:
        label = "+".join(dict.fromkeys(node.origin)) or node.name
        if _eligible(node, graph) or (_recurrent(node) and node.inputs[0] in state.dynamic):
            dynamic.append(label)
        elif operator(node.op).cost(node, graph).macs and not (_recurrent(node) and node.inputs[0] in state.known):
            static.append(label)
        state.nodes.append(_rewritten(node, graph, state))
    if not dynamic:
        raise UnsupportedModel(
            f"{graph.name}: no layer can find its ranges at run time",
            hint="fully connected layers of one row, without activation or with a Relu, and recurrent layers can; "
            "leave `--activations` out",
        )
    state.graph.nodes = state.nodes
    return DynamicRanges(state.graph.check(), tuple(dynamic), tuple(static))


def _rewritten(node: Node, graph: Graph, state: _Rewriting) -> Node:
    x = node.inputs[0]
    if _eligible(node, graph):
        read = x if x in state.dynamic else state.convert(x, "to_dynamic")
        state.dynamic.update(node.outputs)
        return replace(node, op="dynamic_fully_connected", inputs=(read, *node.inputs[1:]))
    if _recurrent(node) and (x in state.dynamic or x in state.known):
        reach = isinstance(operator(node.op), Lstm)
        return node.with_attrs(state_reach=reach_without_data(node, graph)) if reach else node
    if node.op in WITHIN and node.outputs[0] in state.known:
        name = node.outputs[0]
        state.graph.tensors[name] = replace(graph.tensors[name], quant=state.known[name])
    if node.op == "reshape" and x in state.dynamic:
        state.dynamic.update(node.outputs)
        return node
    reads = tuple(state.convert(name, "from_dynamic") if name in state.dynamic else name for name in node.inputs)
    return replace(node, inputs=reads)


def _only_dynamic(graph: Graph, name: str) -> bool:
    """Whether all that reads the tensor takes it in dynamic form."""
    return name not in graph.outputs and all(
        ((_eligible(node, graph) or _recurrent(node)) and name not in node.inputs[1:])
        or (node.op == "reshape" and _only_dynamic(graph, node.outputs[0]))
        for node in graph.readers(name)
    )


def _known_ranges(graph: Graph) -> dict[str, QuantParams]:
    """Parameters by tensor that serve whatever the data: what operators fix, and what lies within such a range."""
    known: dict[str, QuantParams] = {}
    for node in graph.nodes:
        read = {known.get(name) for name in node.inputs}
        within = node.op in WITHIN and len(read) == 1 and node.attrs.get("divide", True)
        for name, demand in zip(node.outputs, operator(node.op).output_quants(node, graph), strict=True):
            found = demand if isinstance(demand, QuantParams) else None
            if demand == "same" or within:
                found = known.get(node.inputs[0])
            if found is not None:
                known[name] = found
    return known


def _recurrent(node: Node) -> bool:
    return isinstance(operator(node.op), RecurrentOperator)


def _eligible(node: Node, graph: Graph) -> bool:
    if node.op != "fully_connected" or not graph.is_constant(node.inputs[1]):
        return False
    x, weights = (graph.tensors[name] for name in node.inputs[:2])
    if x.size != weights.shape[1] or clip_bounds(node) not in ((0.0, np.inf), (-np.inf, np.inf)):
        return False
    if any(graph.tensors[name].quant is not None for name in (node.inputs[0], *node.outputs)):
        return False
    if weights.quant is None:
        return True
    scale = np.broadcast_to(weights.quant.scale, weights.shape[:1]).reshape(-1, 1)
    integers = np.rint(graph.constant(node.inputs[1]) / scale)
    return bool(integers.min(initial=0) >= -128 and integers.max(initial=0) <= 127)

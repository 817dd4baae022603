"""Building float graphs by hand: what the reader and the operators' test cases are written with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor


class GraphBuilder:
    """Appends nodes to a graph and infers the shape of what they write."""

    def __init__(self, name: str) -> None:
        self.graph = Graph(name)

    def input(self, name: str, shape: Sequence[int]) -> str:
        self.graph.tensors[name] = Tensor(name, tuple(int(d) for d in shape))
        self.graph.inputs.append(name)
        return name

    def constant(self, data: npt.ArrayLike, stem: str = "const") -> str:
        array = np.asarray(data)
        return self.graph.add_constant(stem, array.astype(np.float32) if array.dtype.kind == "f" else array)

    def emit_many(
        self, op: str, inputs: Sequence[str], count: int, *, stem: str = "", origin: Sequence[str] = (), **attrs: Any
    ) -> list[str]:
        from mcugen.ops import operator

        outputs = []
        for _ in range(count):
            name = self.graph.fresh(stem or op)
            self.graph.tensors[name] = Tensor(name, ())
            outputs.append(name)
        node = Node(op, outputs[0], tuple(inputs), tuple(outputs), attrs, tuple(origin))
        specs = operator(op).infer(node, [self.graph.tensors[i] for i in inputs])
        for name, spec in zip(outputs, specs, strict=True):
            self.graph.tensors[name] = Tensor(name, spec.shape, spec.dtype)
        self.graph.nodes.append(node)
        return outputs

    def emit(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        return self.emit_many(op, inputs, 1, **attrs)[0]

    def output(self, *names: str) -> Graph:
        self.graph.outputs.extend(names)
        return self.graph.check()

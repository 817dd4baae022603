"""The graph: ordered nodes over named tensors; the one data structure that every pass reads and rewrites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import UnsupportedModel

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class QuantParams:
    """How integers mean real numbers: `real = scale * (integer - zero_point)`.

    `scale` is float64 and `zero_point` int64, each of shape () for one tensor-wide value or (channels,) along `axis`.
    """

    scale: Array
    zero_point: Array
    axis: int | None = None
    dtype: str = "int8"

    @staticmethod
    def per_tensor(scale: float, zero_point: int, dtype: str = "int8") -> QuantParams:
        return QuantParams(np.float64(scale), np.int64(zero_point), None, dtype)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """The largest magnitude of an integer."""
        return -self.low

    @property
    def low(self) -> int:
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        return int(np.iinfo(self.dtype).max)

    def quantize(self, real: Array) -> Array:
        """The nearest integers (ties to even), saturated to the dtype."""
        scale, zero_point = self._broadcast(real.ndim)
        q = np.rint(np.asarray(real, np.float64) / scale) + zero_point
        return np.asarray(np.clip(q, self.low, self.high).astype(self.dtype))

    def dequantize(self, integers: Array) -> Array:
        """Real values, float64."""
        scale, zero_point = self._broadcast(integers.ndim)
        return (integers.astype(np.float64) - zero_point) * scale

    def held_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the array of integers that holds a tensor of that shape."""
        return shape

    def saturated(self, real: Array) -> int:
        """How many of the values lie outside the range, by more than rounding."""
        exact = np.asarray(real, np.float64) / self.scale + self.zero_point
        return int(np.count_nonzero(np.abs(exact - self.quantize(real).astype(np.float64)) > 0.5 + 1e-6))

    def _broadcast(self, ndim: int) -> tuple[Array, Array]:
        if self.axis is None or np.ndim(self.scale) == 0:
            return self.scale, self.zero_point
        shape = [1] * ndim
        shape[self.axis] = -1
        return np.reshape(self.scale, shape), np.reshape(self.zero_point, shape)


DYNAMIC_BYTES = 2
"""Behind the integers of a tensor with dynamic parameters: the exponent and the zero point."""
LARGEST_EXPONENT = 100


@dataclass(frozen=True)
class DynamicQuantParams(QuantParams):
    """Parameters found at run time: `real = 2^exponent * (integer - zero_point)`, one exponent and zero point a sample.

    An array of n values is held as `[N, n + 2]` int8: the integers, the exponent, the zero point.  The fields of this record mean
    nothing.
    """

    def quantize(self, real: Array) -> Array:
        """Samples `[N, ...]` as integers with the smallest exponent in [-100, 100] at which their range fits 255 steps."""
        flat = np.asarray(real, np.float64).reshape(len(real), -1)
        low, high = np.minimum(flat.min(axis=1), 0), np.maximum(flat.max(axis=1), 0)
        floor = 255 * 2.0**-LARGEST_EXPONENT
        exponent = np.ceil(np.log2(np.maximum(high - low, floor) / 255)) - 1
        while np.any(wide := np.rint(high / 2.0**exponent) - np.rint(low / 2.0**exponent) > 255):
            exponent = exponent + wide
        exponent = np.clip(exponent, -LARGEST_EXPONENT, LARGEST_EXPONENT)
        zero_point = np.clip(-128 - np.rint(low / 2.0**exponent), -128, 127)
        steps = np.rint(flat / 2.0 ** exponent[:, None]) + zero_point[:, None]
        parts = [np.clip(steps, -128, 127), exponent[:, None], zero_point[:, None]]
        return np.concatenate(parts, axis=1).astype(np.int8)

    def dequantize(self, integers: Array) -> Array:
        values = integers.astype(np.float64)
        return np.asarray((values[..., :-DYNAMIC_BYTES] - values[..., -1:]) * 2.0 ** values[..., -2:-1])

    def held_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1, int(np.prod(shape, dtype=np.int64)) + DYNAMIC_BYTES)

    def saturated(self, real: Array) -> int:
        return 0


DYNAMIC = DynamicQuantParams(np.float64(0), np.int64(0))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tensor:
    """A value of the graph: a static shape, and data if it is a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    data: Array | None = None
    quant: QuantParams | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Node:
    """One operation; `origin` names the ONNX nodes that it came from, for messages and reports."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    origin: tuple[str, ...] = ()

    def with_attrs(self, **attrs: Any) -> Node:
        return replace(self, attrs={**self.attrs, **attrs})


@dataclass
class Graph:
    """Nodes in execution order; a pass works on a `copy()` and returns it."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    """What reading the model left out or took otherwise, for its user."""

    def copy(self) -> Graph:
        return Graph(self.name, list(self.nodes), dict(self.tensors), list(self.inputs), list(self.outputs), self.notes)

    def is_constant(self, name: str) -> bool:
        return self.tensors[name].data is not None

    def constant(self, name: str) -> Array:
        data = self.tensors[name].data
        if data is None:
            raise KeyError(f"tensor '{name}' is not a constant")
        return data

    def producer(self, name: str) -> Node | None:
        return next((node for node in self.nodes if name in node.outputs), None)

    def readers(self, name: str) -> list[Node]:
        return [node for node in self.nodes if name in node.inputs]

    def producers(self) -> dict[str, Node]:
        return {output: node for node in self.nodes for output in node.outputs}

    def read_counts(self) -> Counter[str]:
        """How often each tensor is read, counting graph outputs as a read."""
        counts = Counter(name for node in self.nodes for name in node.inputs)
        counts.update(self.outputs)
        return counts

    def fresh(self, stem: str) -> str:
        """A tensor name that is not yet taken."""
        name, number = stem, 0
        while name in self.tensors:
            number += 1
            name = f"{stem}_{number}"
        return name

    def add_constant(self, stem: str, data: Array, quant: QuantParams | None = None) -> str:
        name = self.fresh(stem)
        self.tensors[name] = Tensor(name, tuple(data.shape), str(data.dtype), data, quant)
        return name

    def rename_reads(self, old: str, new: str) -> None:
        """Let every reader of `old`, graph outputs included, read `new`."""
        self.nodes = [
            replace(n, inputs=tuple(new if i == old else i for i in n.inputs)) if old in n.inputs else n
            for n in self.nodes
        ]
        self.outputs = [new if o == old else o for o in self.outputs]

    def activations(self) -> list[str]:
        """Names of all tensors that are not constants, inputs first, in the order they come to be."""
        return [*self.inputs, *(o for node in self.nodes for o in node.outputs)]

    def pruned(self) -> Graph:
        """Without nodes that no output needs, and without tensors that no node names."""
        needed = set(self.outputs)
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        graph = self.copy()
        graph.nodes = kept[::-1]
        named = needed | set(graph.inputs) | {o for node in kept for o in node.outputs}
        graph.tensors = {name: tensor for name, tensor in graph.tensors.items() if name in named}
        return graph

    def check(self) -> Graph:
        """Raise unless every read is defined before, every tensor is known, and outputs exist; returns the graph."""
        known = set(self.inputs) | {name for name, t in self.tensors.items() if t.data is not None}
        for node in self.nodes:
            for name in node.inputs:
                if name not in known:
                    raise UnsupportedModel(
                        f"{self.name}: node '{node.name}' ({node.op}) reads '{name}' before it exists"
                    )
            for name in node.outputs:
                if name not in self.tensors or name in known:
                    raise UnsupportedModel(
                        f"{self.name}: node '{node.name}' ({node.op}) writes '{name}' twice or untyped"
                    )
                known.add(name)
        for name in self.outputs:
            if name not in known:
                raise UnsupportedModel(f"{self.name}: output '{name}' is never written")
        return self

    def to_text(self) -> str:
        """One line a node, for people and for `--dump`."""
        lines = [f"graph {self.name}"]
        lines += [f"  input  {self._typed(name)}" for name in self.inputs]
        for node in self.nodes:
            attrs = " ".join(f"{k}={_short(v)}" for k, v in sorted(node.attrs.items()))
            outs = ", ".join(self._typed(o) for o in node.outputs)
            lines.append(f"  {outs} = {node.op}({', '.join(node.inputs)}) {attrs}".rstrip())
        lines += [f"  output {self._typed(name)}" for name in self.outputs]
        return "\n".join(lines) + "\n"

    def _typed(self, name: str) -> str:
        tensor = self.tensors[name]
        text = f"{name}:{tensor.dtype}{list(tensor.shape)}"
        if isinstance(tensor.quant, DynamicQuantParams):
            text += "@dynamic"
        elif tensor.quant is not None and np.ndim(tensor.quant.scale) == 0:
            text += f"@{float(tensor.quant.scale):.6g}{int(tensor.quant.zero_point):+d}"
        return text


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype}{list(value.shape)}>"
    return str(value).replace(" ", "")


def splice(graph: Graph, node: Node, replacement: Iterable[Node]) -> None:
    """Put `replacement` in the place of `node`."""
    index = graph.nodes.index(node)
    graph.nodes[index : index + 1] = list(replacement)

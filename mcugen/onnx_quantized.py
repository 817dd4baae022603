"""What the reader needs to know of integers in ONNX models: operators on integers, integer inputs, quantized constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, QuantParams, Tensor
from mcugen.onnx_qoperators import expand_quantized
from mcugen.ops.fake_quantize import activation_params, node_params

Array = npt.NDArray[Any]

INTEGER_INPUTS = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
MOVES = frozenset(
    (
        "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Transpose", "MaxPool", "Slice", "Split",
        "Gather", "Concat", "DepthToSpace", "SpaceToDepth", "Tile", "Expand",
    )
)  # fmt: skip
"""Operators that do the same to integers as to the real numbers they stand for."""


def quantized_constant(node: onnx.NodeProto, known: Mapping[str, Tensor]) -> tuple[Array, QuantParams] | None:
    """Data and parameters of a constant behind DequantizeLinear, or of one that only turns such a constant; None for others."""
    if node.domain not in ("", "ai.onnx") or not node.input or node.input[0] not in known:
        return None
    source = known[node.input[0]]
    attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "DequantizeLinear":
        return _dequantized(source, [known.get(name) for name in node.input[1:]], attrs)
    quant, data = source.quant, source.data
    if quant is None or data is None:
        return None
    if node.op_type == "Transpose":
        perm = tuple(attrs.get("perm") or range(data.ndim)[::-1])
        axis = None if quant.axis is None else perm.index(quant.axis % data.ndim)
        return np.ascontiguousarray(data.transpose(perm)), replace(quant, axis=axis)
    return (data, quant) if node.op_type == "Identity" else None


def _dequantized(
    source: Tensor, parameters: list[Tensor | None], attrs: Mapping[str, Any]
) -> tuple[Array, QuantParams] | None:
    scale = parameters[0].data if parameters and parameters[0] is not None else None
    point = parameters[1].data if len(parameters) > 1 and parameters[1] is not None else None
    if source.data is None or scale is None or attrs.get("block_size"):
        return None
    if source.data.dtype.kind not in "iu" or source.data.dtype.itemsize > 4 or not np.all(scale > 0):
        return None
    per_channel = scale.size > 1
    axis = int(attrs.get("axis", 1)) % max(1, source.data.ndim) if per_channel else None
    if per_channel and (scale.ndim != 1 or source.data.ndim == 0 or source.data.shape[axis or 0] != scale.size):
        return None
    scales = scale.astype(np.float64).reshape(-1 if per_channel else ())
    points = np.zeros_like(scales, np.int64) if point is None else point.astype(np.int64).reshape(scales.shape)
    quant = QuantParams(scales, points, axis, str(source.data.dtype))
    return quant.dequantize(source.data), quant


def constant_quant(tensor: Tensor, axis: int) -> QuantParams | None:
    """The parameters of a constant of 8 bits, per tensor or along `axis`, which becomes axis 0."""
    quant = tensor.quant
    if (
        quant is None
        or quant.dtype not in ("int8", "uint8")
        or tensor.data is None
        or (quant.axis is not None and quant.axis != axis)
    ):
        return None
    return replace(quant, axis=None if quant.axis is None else 0)


@dataclass
class IntegerTensors:
    """The ONNX tensors that hold integers; what reads them must take them for what they mean."""

    file: str
    names: set[str] = field(default_factory=set)
    inputs: dict[str, QuantParams | None] = field(default_factory=dict)

    def add_input(self, name: str, tensor: str) -> None:
        """An input of the model whose type is int8 or uint8."""
        self.names.add(name)
        self.inputs[tensor] = None

    def follow(
        self,
        node: onnx.NodeProto,
        graph: Graph,
        tensors: Mapping[str, str],
        unsupported: Callable[[str, str | None], UnsupportedModel],
    ) -> None:
        """Check a node that was read, and remember which of its outputs are integers."""
        reads = [name for name in node.input if name in self.names]
        if node.op_type == "QuantizeLinear" and not graph.is_constant(tensors[node.input[0]]):
            self.names.update(node.output)
        elif node.op_type == "DequantizeLinear" and reads:
            self._check(node, graph, tensors, unsupported)
        elif reads and node.op_type in MOVES:
            self.names.update(node.output)
        elif reads and node.op_type not in ("Shape", "Size"):
            raise unsupported("it computes with the integers of a quantized tensor", "put DequantizeLinear before it")

    def _check(
        self,
        node: onnx.NodeProto,
        graph: Graph,
        tensors: Mapping[str, str],
        unsupported: Callable[[str, str | None], UnsupportedModel],
    ) -> None:
        """That the integers are dequantized with the parameters that they were quantized with."""
        scale, point = (graph.tensors[tensors[name]].data if name else None for name in (*node.input[1:3], "")[:2])
        wanted = None if scale is None else activation_params(float(scale.reshape(())), point)
        for origin in _origins(graph, tensors[node.input[0]]):
            producer = graph.producer(origin)
            given = node_params(producer) if producer is not None else self.inputs.get(origin)
            if given is None and origin in self.inputs:
                self.inputs[origin] = wanted
                graph.tensors[origin] = replace(graph.tensors[origin], quant=wanted)
            elif given is not None and given != wanted:
                raise unsupported(
                    "its integers were quantized with another scale or zero point",
                    "both must be the same: integers keep their meaning",
                )

    def check_inputs(self, graph: Graph) -> None:
        """Raise where an integer input's scale is not known."""
        for name, quant in self.inputs.items():
            if quant is None and name in graph.inputs:
                raise UnsupportedModel(
                    f"{self.file}: input '{name}' holds integers that are never dequantized",
                    hint="a DequantizeLinear says what they mean; or cut the graph so that it begins with a float tensor",
                )


def _origins(graph: Graph, name: str) -> list[str]:
    """The inputs and the outputs of fake_quantize nodes that the tensor's values are taken from."""
    node = graph.producer(name)
    if node is None or node.op == "fake_quantize":
        return [name]
    reads = [read for read in node.inputs if not graph.is_constant(read)]
    return [origin for read in reads for origin in _origins(graph, read)]


__all__ = ["INTEGER_INPUTS", "IntegerTensors", "constant_quant", "expand_quantized", "quantized_constant"]

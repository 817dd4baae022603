"""ONNX operators on integers, written as the float operator between DequantizeLinear and QuantizeLinear.

Operators of the default domain are those of the ONNX specification; those of `com.microsoft` are onnxruntime's contrib operators.
A dynamically quantized tensor becomes the real tensor: its range is found by calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mcugen.errors import UnsupportedModel

Expand = Callable[["_Expansion", onnx.NodeProto], object]


def expand_quantized(model: onnx.ModelProto, file: str) -> onnx.ModelProto:
    """`QLinearConv(x, ...)` -> `QuantizeLinear(Conv(DequantizeLinear(x), ...))`, and likewise for every operator on integers.

    Raises UnsupportedModel for a form that has no float twin.  A model without such operators is returned as it is.
    """
    table = _table()
    if not any(_key(node) in table for node in model.graph.node):
        return model
    producers = {output: node for node in model.graph.node for output in node.output}
    state = _Expansion(file, producers, _constant_types(model))
    for node in model.graph.node:
        expand = table.get(_key(node))
        if expand is None:
            state.nodes.append(node)
            continue
        try:
            expand(state, node)
        except (TypeError, ValueError, IndexError):
            raise state.unsupported(node, "its inputs are malformed", "export the model again") from None
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(state.nodes)
    result.graph.initializer.extend(state.constants)
    return result


def _key(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def _table() -> dict[str, Expand]:
    microsoft: dict[str, Expand] = {
        "QLinearAdd": lambda s, n: _two_operands(s, n, "Add"),
        "QLinearMul": lambda s, n: _two_operands(s, n, "Mul"),
        "QLinearAveragePool": lambda s, n: _one_operand(s, n, "AveragePool"),
        "QLinearGlobalAveragePool": lambda s, n: _one_operand(s, n, "GlobalAveragePool"),
        "QLinearSigmoid": lambda s, n: _one_operand(s, n, "Sigmoid"),
        "QLinearLeakyRelu": lambda s, n: _one_operand(s, n, "LeakyRelu"),
        "QLinearSoftmax": lambda s, n: _one_operand(s, n, "Softmax"),
        "QLinearConcat": _concat,
        "QGemm": _gemm,
        "MatMulIntegerToFloat": _matmul_to_float,
        "DynamicQuantizeMatMul": _dynamic_matmul,
        "QuantizeLinear": lambda s, n: s.add(n.op_type, n.input, n.output[0], n),
        "DequantizeLinear": lambda s, n: s.add(n.op_type, n.input, n.output[0], n),
    }
    return {
        "QLinearConv": _conv,
        "QLinearMatMul": _matmul,
        "ConvInteger": lambda s, n: _integer_sum(s, n, "Conv", 0),
        "MatMulInteger": lambda s, n: _integer_sum(s, n, "MatMul", -1),
        "DynamicQuantizeLinear": _dynamic,
        "Cast": _cast,
        **{f"com.microsoft::{name}": expand for name, expand in microsoft.items()},
    }


@dataclass
class _Expansion:
    """The nodes and constants written so far."""

    file: str
    producers: dict[str, onnx.NodeProto]
    types: dict[str, int]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def unsupported(self, node: onnx.NodeProto, reason: str, hint: str) -> UnsupportedModel:
        name = node.name or node.output[0]
        return UnsupportedModel(f"{self.file}: node '{name}' ({node.op_type}): {reason}", hint=hint)

    def producer(self, name: str) -> str:
        return self.producers[name].op_type if name in self.producers else ""

    def constant(self, value: float, dtype: str, stem: str) -> str:
        name = f"{stem}.constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        output: str,
        like: onnx.NodeProto,
        *,
        drop: Sequence[str] = (),
        **attrs: int,
    ) -> str:
        """A node with the attributes of `like` (where it is the operator itself), less `drop`, and `attrs`."""
        label = like.name or like.output[0]
        name = f"{label}.{op}_{len(self.nodes)}" if drop is ALL else label
        node = helper.make_node(op, list(inputs), [output], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attrs.items())
        if drop is not ALL:
            node.attribute.extend(a for a in like.attribute if a.name not in drop)
        self.nodes.append(node)
        return output

    def fresh(self, node: onnx.NodeProto) -> str:
        return f"{node.output[0]}.part_{len(self.nodes)}"

    def real(self, node: onnx.NodeProto, name: str, scale: str, zero_point: str, axis: int = 0) -> str:
        """The real values of integers."""
        inputs = [name, scale, zero_point] if zero_point else [name, scale]
        return self.add("DequantizeLinear", inputs, self.fresh(node), node, drop=ALL, axis=axis)

    def quantized(self, node: onnx.NodeProto, real: str, scale: str, zero_point: str) -> None:
        inputs = [real, scale, zero_point] if zero_point else [real, scale]
        self.add("QuantizeLinear", inputs, node.output[0], node, drop=ALL)

    def bias(self, node: onnx.NodeProto, name: str, scales: Sequence[str]) -> str:
        """int32 integers at the product of two scales."""
        product = self.add("Mul", scales, self.fresh(node), node, drop=ALL)
        return self.real(node, name, product, "")


ALL: Sequence[str] = ("every attribute",)


def _at(node: onnx.NodeProto, index: int) -> str:
    return node.input[index] if index < len(node.input) else ""


def _conv(s: _Expansion, node: onnx.NodeProto) -> None:
    x, xs, xz, w, ws, wz, ys, yz = node.input[:8]
    inputs = [s.real(node, x, xs, xz), s.real(node, w, ws, wz)]
    if _at(node, 8):
        inputs.append(s.bias(node, node.input[8], (xs, ws)))
    s.quantized(node, s.add("Conv", inputs, s.fresh(node), node), ys, yz)


def _matmul(s: _Expansion, node: onnx.NodeProto) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node.input[:8]
    inputs = [s.real(node, a, a_scale, a_zero), s.real(node, b, b_scale, b_zero, -1)]
    s.quantized(node, s.add("MatMul", inputs, s.fresh(node), node), y_scale, y_zero)


def _two_operands(s: _Expansion, node: onnx.NodeProto, op: str) -> None:
    inputs = [s.real(node, *node.input[:3]), s.real(node, *node.input[3:6])]
    s.quantized(node, s.add(op, inputs, s.fresh(node), node), node.input[6], _at(node, 7))


def _one_operand(s: _Expansion, node: onnx.NodeProto, op: str) -> None:
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if attrs.get("channels_last", 0):
        raise s.unsupported(node, "channels-last data", "export the model before onnxruntime's layout optimization")
    if attrs.get("opset", 13) < 13 and attrs.get("axis", 1) != -1:
        raise s.unsupported(node, "softmax over several axes", "give it the last axis (-1)")
    real = s.real(node, *node.input[:3])
    y = s.add(op, [real], s.fresh(node), node, drop=("channels_last", "opset"))
    s.quantized(node, y, node.input[3], _at(node, 4))


def _concat(s: _Expansion, node: onnx.NodeProto) -> None:
    parts = [s.real(node, *node.input[i : i + 3]) for i in range(2, len(node.input), 3)]
    s.quantized(node, s.add("Concat", parts, s.fresh(node), node), node.input[0], node.input[1])


def _gemm(s: _Expansion, node: onnx.NodeProto) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero = node.input[:6]
    attrs = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    inputs = [s.real(node, a, a_scale, a_zero), s.real(node, b, b_scale, b_zero, 0 if attrs.get("transB", 0) else 1)]
    if _at(node, 6):
        if attrs.get("alpha", 1.0) != 1.0:
            raise s.unsupported(node, "a factor alpha together with a bias", "fold alpha into the scale of B")
        inputs.append(s.bias(node, node.input[6], (a_scale, b_scale)))
    if _at(node, 7):
        s.quantized(node, s.add("Gemm", inputs, s.fresh(node), node), node.input[7], _at(node, 8))
    else:
        s.add("Gemm", inputs, node.output[0], node)


def _dynamic(s: _Expansion, node: onnx.NodeProto) -> None:
    """The real tensor in the place of its integers, at scale 1."""
    s.add("Identity", [node.input[0]], node.output[0], node)
    for name, dtype, value in zip(node.output[1:], ("float32", "uint8"), (1, 0), strict=False):
        s.constants.append(numpy_helper.from_array(np.array(value, dtype), name))


def _real_operand(s: _Expansion, node: onnx.NodeProto, name: str, zero_point: str) -> tuple[str, str]:
    """The real values of an operand of an integer sum, and the name of their scale ('' for 1)."""
    if s.producer(name) == "DynamicQuantizeLinear":
        return name, ""
    source = s.producers.get(name)
    if source is not None and source.op_type == "QuantizeLinear":
        return s.real(node, name, source.input[1], _at(source, 2)), source.input[1]
    return s.real(node, name, s.constant(1, "float32", node.output[0]), zero_point), ""


def _integer_sum(s: _Expansion, node: onnx.NodeProto, op: str, axis: int) -> None:
    x, scale = _real_operand(s, node, node.input[0], _at(node, 2))
    one = s.constant(1, "float32", node.output[0])
    w = s.real(node, node.input[1], one, _at(node, 3), axis)
    if not scale:
        s.add(op, [x, w], node.output[0], node)
        return
    y = s.add(op, [x, w], s.fresh(node), node)
    s.add("Div", [y, scale], node.output[0], node, drop=ALL)


def _cast(s: _Expansion, node: onnx.NodeProto) -> None:
    """The sums of integers are held as real numbers already."""
    if s.producer(node.input[0]) in ("ConvInteger", "MatMulInteger") or _keeps_type(s, node):
        s.add("Identity", node.input, node.output[0], node, drop=ALL)
    else:
        s.nodes.append(node)


def _keeps_type(s: _Expansion, node: onnx.NodeProto) -> bool:
    """Whether a Cast is to the very type that a QuantizeLinear before it writes, as PyTorch exports quantized modules."""
    source = s.producers.get(node.input[0])
    if source is None or source.op_type != "QuantizeLinear":
        return False
    zero_point = _at(source, 2)
    kind = s.types.get(zero_point) if zero_point else onnx.TensorProto.UINT8
    return bool(kind == next((a.i for a in node.attribute if a.name == "to"), None))


def _constant_types(model: onnx.ModelProto) -> dict[str, int]:
    """The element types of the constants, by name."""
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                types[node.output[0]] = attribute.t.data_type
    return types


def _matmul_to_float(s: _Expansion, node: onnx.NodeProto) -> None:
    a, b, a_scale, b_scale = node.input[:4]
    dynamic = s.producer(a) == "DynamicQuantizeLinear"
    real = a if dynamic else s.real(node, a, a_scale, _at(node, 4))
    _product(s, node, real, s.real(node, b, b_scale, _at(node, 5), -1), _at(node, 6))


def _dynamic_matmul(s: _Expansion, node: onnx.NodeProto) -> None:
    a, b, b_scale = node.input[:3]
    _product(s, node, a, s.real(node, b, b_scale, _at(node, 3), -1), _at(node, 4))


def _product(s: _Expansion, node: onnx.NodeProto, a: str, b: str, bias: str) -> None:
    if not bias:
        s.add("MatMul", [a, b], node.output[0], node, drop=ALL)
        return
    y = s.add("MatMul", [a, b], s.fresh(node), node, drop=ALL)
    s.add("Add", [y, bias], node.output[0], node, drop=ALL)

"""Any function of one value: a table of its 256 results, exact to half a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import saturate
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.kernels import variants
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.int16 import any_wide, element_bytes, place_distance
from mcugen.ops.operator import Case, Importer, Lowering, Operator, QuantContext, RowWindow, Spec, image_rows
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]
Function = Callable[[Array, Mapping[str, Any]], Array]


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _gelu(x: Array, a: Mapping[str, Any]) -> Array:
    if a.get("approximate", "none") == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


def _selu(x: Array, a: Mapping[str, Any]) -> Array:
    alpha, gamma = a.get("alpha", 1.6732632423543772), a.get("gamma", 1.0507009873554805)
    return np.asarray(gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def _celu(x: Array, a: Mapping[str, Any]) -> Array:
    alpha = a.get("alpha", 1.0)
    return np.asarray(np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha)))


def _shrink(x: Array, a: Mapping[str, Any]) -> Array:
    lambd, bias = a.get("lambd", 0.5), a.get("bias", 0.0)
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


def _sigmoid(x: Array, a: Mapping[str, Any]) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -700, 700))))


def functions() -> dict[str, Function]:
    """The functions by the name of the ONNX operator; `a` holds its attributes.  All take and give float64."""
    return {
        "Abs": lambda x, a: np.abs(x),
        "Acos": lambda x, a: np.arccos(np.clip(x, -1, 1)),
        "Acosh": lambda x, a: np.arccosh(np.maximum(x, 1)),
        "Asin": lambda x, a: np.arcsin(np.clip(x, -1, 1)),
        "Asinh": lambda x, a: np.arcsinh(x),
        "Atan": lambda x, a: np.arctan(x),
        "Atanh": lambda x, a: np.arctanh(np.clip(x, -1 + 1e-7, 1 - 1e-7)),
        "Ceil": lambda x, a: np.ceil(x),
        "Celu": _celu,
        "Cos": lambda x, a: np.cos(x),
        "Cosh": lambda x, a: np.cosh(np.clip(x, -80, 80)),
        "Elu": lambda x, a: np.where(x > 0, x, a.get("alpha", 1.0) * np.expm1(np.minimum(x, 0))),
        "Erf": lambda x, a: _erf(x),
        "Exp": lambda x, a: np.exp(np.minimum(x, 80)),
        "Floor": lambda x, a: np.floor(x),
        "Gelu": _gelu,
        "HardSigmoid": lambda x, a: np.clip(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
        "HardSwish": lambda x, a: x * np.clip(x / 6 + 0.5, 0, 1),
        "LeakyRelu": lambda x, a: np.where(x >= 0, x, a.get("alpha", 0.01) * x),
        "Log": lambda x, a: np.log(np.maximum(x, 1e-30)),
        "Mish": lambda x, a: x * np.tanh(np.logaddexp(0, x)),
        "Neg": lambda x, a: -x,
        "Pow": lambda x, a: _pow(x, float(a["exponent"])),
        "Reciprocal": lambda x, a: 1 / np.where(np.abs(x) < 1e-12, 1e-12, x),
        "Round": lambda x, a: np.rint(x),
        "Selu": _selu,
        "Shrink": _shrink,
        "Sigmoid": _sigmoid,
        "Sign": lambda x, a: np.sign(x),
        "Sin": lambda x, a: np.sin(x),
        "Sinh": lambda x, a: np.sinh(np.clip(x, -80, 80)),
        "Softplus": lambda x, a: np.logaddexp(0, x),
        "Softsign": lambda x, a: x / (1 + np.abs(x)),
        "Sqrt": lambda x, a: np.sqrt(np.maximum(x, 0)),
        "Swish": lambda x, a: x * _sigmoid(a.get("alpha", 1.0) * x, a),
        "Tan": lambda x, a: np.tan(x),
        "Tanh": lambda x, a: np.tanh(x),
        "ThresholdedRelu": lambda x, a: np.where(x > a.get("alpha", 1.0), x, 0.0),
    }


def _pow(x: Array, exponent: float) -> Array:
    base = x if exponent == int(exponent) else np.maximum(x, 0)
    if exponent < 0:
        base = np.where(np.abs(base) < 1e-12, 1e-12, base)
    return np.asarray(np.power(base, exponent))


FIXED_RANGES = {
    "Sigmoid": (1 / 256, -128),
    "Tanh": (1 / 128, 0),
    "Softsign": (1 / 128, 0),
    "HardSigmoid": (1 / 256, -128),
}
"""Functions whose whole range is known: (scale, zero_point), as TensorFlow Lite has them."""


STEPPED = ("Ceil", "Floor", "Round", "Shrink", "Sign", "ThresholdedRelu")
"""Functions with steps, which lines between points would make slopes."""
SEGMENT = 256
"""How many int16 lie between two points of a table."""
INT8_BITS = 7
"""Further bits that a table from int16 to int8 holds its points in."""


class Table(Operator):
    """Attributes: `function` and its ONNX attributes in float; in integers the constant `table` [256].

    Of an int16 q the table holds 257 points, int16: with `i = (q + 32768) >> 8` and `f = (q + 32768) & 255` the result is
    `sat((table[i] * 256 + (table[i + 1] - table[i]) * f + half) >> (8 + shift))`, one rounding, shift 0 for int16 and 7 for int8.
    """

    name: ClassVar[str] = "table"
    onnx: ClassVar[tuple[str, ...]] = tuple(functions())
    elementwise: ClassVar[bool] = True
    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def takes_int16(self, node: Node) -> bool:
        return node.attrs["function"] not in STEPPED

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        function = importer.label.rsplit("(", 1)[-1].rstrip(")")
        attrs = dict(importer.attrs())
        inputs = importer.inputs()
        if function == "Pow":
            exponent = importer.constant(inputs[1])
            if exponent is None or exponent.size != 1:
                raise importer.unsupported("power with an exponent that is not one constant")
            attrs["exponent"] = float(exponent.reshape(()))
        return [importer.emit("table", inputs[:1], function=function, **attrs)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return [functions()[node.attrs["function"]](inputs[0].astype(np.float64), node.attrs).astype(inputs[0].dtype)]

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        fixed = FIXED_RANGES.get(node.attrs["function"])
        return QuantParams.per_tensor(*fixed) if fixed else "observe"

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        function, attrs = functions()[node.attrs["function"]], node.attrs
        return quantize_as_table(node, context, lambda real: function(real, attrs))

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, table = inputs
        if x.dtype == np.int8:
            return [table[x.astype(np.int32) + 128]]
        place, points = x.astype(np.int64) + 32768, table.astype(np.int64)
        first, rest, shift = place // SEGMENT, place % SEGMENT, 8 + node.attrs["shift"]
        value = points[first] * SEGMENT + (points[first + 1] - points[first]) * rest
        info = np.iinfo(node.attrs["out_dtype"])
        return [saturate((value + (1 << shift >> 1)) >> shift, info.min, info.max, node.attrs["out_dtype"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        size = graph.tensors[node.inputs[0]].size
        table = graph.constant(node.inputs[1])
        if any_wide(node, graph):
            return [Lowering((_wide_call(node, graph, table),))]
        call = KernelCall(
            "mcugen_table_s8",
            ("table_s8.h",),
            {"size": size},
            {"table": table},
            overlap={0: 0},
            cycles=size * 7.0,
            code_bytes=30,
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        return None if image_rows(node, graph) is None else RowWindow()

    def cases(self) -> Iterator[Case]:
        for function in self.onnx:
            attrs: dict[str, Any] = {"exponent": 3.0} if function == "Pow" else {}
            builder = GraphBuilder(f"table_{function.lower()}")
            x = builder.input("x", (1, 37))
            low = 0.1 if function in ("Log", "Reciprocal", "Sqrt") else -2.0
            high = 2.0 if function != "Tan" else 1.2
            graph = builder.output(builder.emit("table", [x], function=function, **attrs))
            yield Case(function.lower(), graph, max(low, -high), high)


def quantize_as_table(
    node: Node, context: QuantContext, function: Callable[[Array], Array]
) -> tuple[Node, dict[str, Array]]:
    """The integer `table` node of a real function of one value: each of the 256 inputs, its real result, the nearest output."""
    in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
    wide = in_quant.dtype == "int16"
    real = in_quant.dequantize(np.arange(-32768, 32769, SEGMENT) if wide else np.arange(-128, 128))
    with np.errstate(over="ignore"):
        result = np.nan_to_num(function(real), nan=0.0, posinf=1e30, neginf=-1e30)
    attrs: dict[str, Any] = {}
    if wide:
        attrs = {"shift": 0 if out_quant.dtype == "int16" else INT8_BITS, "out_dtype": out_quant.dtype}
        points = (result / float(out_quant.scale) + int(out_quant.zero_point)) * (1 << attrs["shift"])
        table = np.clip(np.rint(points), -32768, 32767).astype(np.int16)
    else:
        table = out_quant.quantize(result)
    return replace(node, op="table", inputs=node.inputs[:1], attrs=attrs), {"table": table}


def _wide_call(node: Node, graph: Graph, table: Array) -> KernelCall:
    """The kernel of a table that is read by int16, or that holds int16."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    params = {"size": x.size}
    if x.dtype == "int16":
        params |= {"out_bytes": element_bytes(y), "shift": 8 + int(node.attrs["shift"])}
    return KernelCall(
        "mcugen_table_s16" if x.dtype == "int16" else "mcugen_table_s8_s16",
        ("table_s16.h",),
        params,
        {"table": table},
        overlap={0: place_distance(x.size, element_bytes(x), element_bytes(y))},
        cycles=x.size * (19.0 if x.dtype == "int16" else 8.0),
        code_bytes=70,
    )

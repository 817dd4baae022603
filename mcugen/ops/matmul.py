"""Product of two computed matrices, batched; with a constant operand it is a fully connected layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT, exact_matmul, quantize_multiplier, requantize_s8
from mcugen.graph import Graph, Node, Tensor
from mcugen.kernels import variants
from mcugen.ops.binary import broadcast_strides
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import reshaped
from mcugen.ops.operator import Case, Cost, Importer, Lowering, Operator, QuantContext, Spec, apply_clip, integer_bounds
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

FIELDS = ("zero_point1", "zero_point2", "out_zero_point", "multiplier", "shift", "act_min", "act_max")


class MatMul(Operator):
    """`first` [..., M, K] @ `second` [..., K, N]; with attribute `transpose_second` the second is [..., N, K].

    Operands have the same rank, batch axes broadcast.  Integer meaning: `acc = sum((q1 - z1) * (q2 - z2))`, requantized
    by `s1 * s2 / s_y`.
    """

    name: ClassVar[str] = "matmul"
    onnx: ClassVar[tuple[str, ...]] = ("MatMul",)
    fuses_clip: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        first, second = importer.inputs()
        if importer.constant(second) is not None:
            return [_constant_second(importer, first, second)]
        if importer.constant(first) is not None:
            return [_constant_first(importer, first, second)]
        shapes = [importer.shape(first), importer.shape(second)]
        rank = max(2, *(len(shape) for shape in shapes))
        left = reshaped(importer, first, (1,) * (rank - len(shapes[0])) + shapes[0])
        column = (*shapes[1], 1) if len(shapes[1]) == 1 else shapes[1]
        right = reshaped(importer, second, (1,) * (rank - len(column)) + column)
        y = importer.emit("matmul", [left, right], transpose_second=False)
        shape = list(importer.shape(y))
        if len(shapes[1]) == 1:
            del shape[-1]
        if len(shapes[0]) == 1:
            del shape[-2 if len(shapes[1]) > 1 else -1]
        return [reshaped(importer, y, shape)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        (*batch1, rows, depth1), second = inputs[0].shape, inputs[1].shape
        depth2, columns = second[:-3:-1] if node.attrs["transpose_second"] else second[-2:]
        if depth1 != depth2 or len(second) != len(inputs[0].shape):
            raise ValueError(f"shapes {list(inputs[0].shape)} and {list(second)} do not multiply")
        return [Spec((*np.broadcast_shapes(tuple(batch1), second[:-2]), rows, columns))]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        second = np.swapaxes(inputs[1], -1, -2) if node.attrs["transpose_second"] else inputs[1]
        return [apply_clip(node, inputs[0] @ second)]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        first, second, out = (context.activations[name] for name in (*node.inputs, *node.outputs))
        depth = graph.tensors[node.inputs[0]].shape[-1]
        ratio = float(first.scale * second.scale / out.scale)
        multiplier, shift = quantize_multiplier(min(ratio, 2.0**29))
        if depth * 255 * 255 * 2.0 ** int(shift[0]) >= INT32_LIMIT:
            raise refusal(
                node,
                graph,
                f"{depth} products whose step is {ratio:.4g} times the output's do not fit a 32-bit sum",
                hint="split the sum, or check the calibration data: the output's range may be far too small",
            )
        attrs: dict[str, Any] = {
            "transpose_second": node.attrs["transpose_second"],
            "zero_point1": int(first.zero_point),
            "zero_point2": int(second.zero_point),
            "out_zero_point": int(out.zero_point),
            "multiplier": int(multiplier[0]),
            "shift": int(shift[0]),
        }
        return replace(node, attrs=attrs | integer_bounds(node, out)), {}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        a = node.attrs
        first, second = (
            q.astype(np.float64) - a[z] for q, z in zip(inputs, ("zero_point1", "zero_point2"), strict=True)
        )
        acc = exact_matmul(first, np.swapaxes(second, -1, -2) if a["transpose_second"] else second)
        multiplier, shift = np.asarray(a["multiplier"]), np.asarray(a["shift"])
        return [requantize_s8(acc, multiplier, shift, a["out_zero_point"], a["act_min"], a["act_max"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        first, second = (graph.tensors[name].shape for name in node.inputs)
        out = graph.tensors[node.outputs[0]]
        found = broadcast_strides(first[:-2], second[:-2], 2)
        if found is None:
            raise refusal(
                node,
                graph,
                f"batch axes {list(first[:-2])} and {list(second[:-2])} alternate in which operand is broadcast",
                hint="expand one operand before it",
            )
        (batch_0, batch_1), (strides1, strides2) = found
        rows, depth, columns = first[-2], first[-1], out.shape[-1]
        transposed = node.attrs["transpose_second"]
        params = {
            **{"batch_0": batch_0, "batch_1": batch_1, "rows": rows, "depth": depth, "columns": columns},
            **{f"stride1_{i}": stride * rows * depth for i, stride in enumerate(strides1)},
            **{f"stride2_{i}": stride * depth * columns for i, stride in enumerate(strides2)},
            **{"row_step2": 1 if transposed else columns, "column_step2": depth if transposed else 1},
            **{field: int(node.attrs[field]) for field in FIELDS},
        }
        call = KernelCall(
            "mcugen_matmul_s8", ("matmul_s8.h",), params, cycles=out.size * (depth * 8.0 + 25.0), code_bytes=160
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def cost(self, node: Node, graph: Graph) -> Cost:
        size = graph.tensors[node.outputs[0]].size
        return Cost(size * graph.tensors[node.inputs[0]].shape[-1], size)

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node if perm[-2:] == (len(perm) - 2, len(perm) - 1) else None

    def batchable(self, node: Node, graph: Graph) -> bool:
        return len(graph.tensors[node.outputs[0]].shape) > 2 and super().batchable(node, graph)

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
            ("plain", (1, 4, 7), (1, 7, 5), {}),
            ("heads", (1, 2, 5, 6), (1, 2, 6, 5), {"clip_min": 0.0}),
            ("transposed", (1, 2, 5, 6), (1, 2, 3, 6), {"transpose_second": True}),
            ("broadcast", (1, 3, 2, 4, 5), (1, 1, 2, 5, 3), {}),
            ("row", (1, 1, 33), (1, 33, 1), {}),
        ]
        for name, first, second, attrs in shapes:
            builder = GraphBuilder(f"matmul_{name}")
            operands = [builder.input("a", first), builder.input("b", second)]
            chosen = {"transpose_second": False} | attrs
            yield Case(name, builder.output(builder.emit("matmul", operands, **chosen)))


def _matrix(importer: Importer, name: str) -> Array:
    """A constant operand as one matrix; raises where it is a batch of different ones."""
    data = np.asarray(importer.constant(name))
    if data.ndim > 2 and any(size > 1 for size in data.shape[:-2]):
        raise importer.unsupported(
            f"a constant batch of matrices {list(data.shape)}", "split it into one MatMul for each"
        )
    return data.reshape(data.shape[-2:]) if data.ndim > 2 else data


def _constant_second(importer: Importer, first: str, second: str) -> str:
    shape, data = importer.shape(first), np.asarray(importer.constant(second))
    matrix = _matrix(importer, second)
    weights = matrix.T if matrix.ndim == 2 else matrix.reshape(1, -1)
    x = reshaped(importer, first, (1,) * (max(2, data.ndim) - len(shape)) + shape)
    rows = importer.add_constant(np.ascontiguousarray(weights), "weights", importer.quant(second, data.ndim - 1))
    y = importer.emit("fully_connected", [x, rows])
    out = list(importer.shape(y))
    if len(shape) == 1:
        del out[-2]
    return reshaped(importer, y, out[:-1] if data.ndim == 1 else out)


def _constant_first(importer: Importer, first: str, second: str) -> str:
    """`W @ x` is the transpose of `x' @ W'`."""
    shape, data = importer.shape(second), np.asarray(importer.constant(first))
    matrix = _matrix(importer, first)
    quant = importer.quant(first, data.ndim - 2)
    weights = importer.add_constant(matrix.reshape(-1, matrix.shape[-1]), "weights", quant)
    if len(shape) == 1:
        y = importer.emit("fully_connected", [reshaped(importer, second, (1, *shape)), weights])
        return reshaped(importer, y, data.shape[:-1])
    x = reshaped(importer, second, (1,) * (data.ndim - len(shape)) + shape)
    rank = len(importer.shape(x))
    swap = (*range(rank - 2), rank - 1, rank - 2)
    y = importer.emit("fully_connected", [importer.emit("transpose", [x], perm=swap), weights])
    y = importer.emit("transpose", [y], perm=swap)
    out = list(importer.shape(y))
    return reshaped(importer, y, [*out[:-2], out[-1]] if data.ndim == 1 else out)

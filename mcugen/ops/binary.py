"""What operators with two operands share: broadcasting, and operands that are constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import reshaped
from mcugen.ops.int16 import any_wide, element_bytes, place_distance
from mcugen.ops.operator import Importer, Operator, QuantContext, RowWindow, Spec, image_rows
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

Array = npt.NDArray[Any]

KERNEL_AXES = 4


class BinaryOperator(Operator):
    """Two operands of equal rank, broadcast against each other; one may be a constant.

    The integer node reads the activations; a constant operand follows as `operand`, int8 by its own range, and always
    counts as the second.
    """

    int16_inputs: ClassVar[bool] = True
    int16_output: ClassVar[bool] = True

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(broadcast_shape(inputs[0].shape, inputs[1].shape))]

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """None where an operand is broadcast along the rows, or a constant varies along them."""
        fixed = [graph.tensors[name].shape for name in node.inputs if graph.is_constant(name)]
        even = all(len(shape) == 4 and shape[1] == 1 for shape in fixed)
        return RowWindow() if even and image_rows(node, graph) is not None else None

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        """A constant must not vary along the axis."""
        if not graph.is_constant(node.inputs[1]):
            return super().separates(node, graph, axis)
        constant = graph.tensors[node.inputs[1]].shape
        place = axis - len(graph.tensors[node.outputs[0]].shape) + len(constant)
        return place < 0 or constant[place] == 1

    def batchable(self, node: Node, graph: Graph) -> bool:
        ranks = {len(graph.tensors[name].shape) for name in (*node.inputs[:2], *node.outputs)}
        constant = [graph.tensors[name] for name in node.inputs[:2] if graph.is_constant(name)]
        return len(ranks) == 1 and all(t.shape[:1] == (1,) for t in constant) and super().batchable(node, graph)


@dataclass(frozen=True)
class Operands:
    """The operands of an integer node: activations it reads, parameters of both, whether they swapped places."""

    activations: tuple[str, ...]
    first: QuantParams
    second: QuantParams
    swapped: bool
    constants: dict[str, Array]


def quantize_operands(node: Node, graph: Graph, context: QuantContext) -> Operands:
    """A constant operand is rounded by its own range, to int16 where an activation is, and moves to the second place."""
    names = node.inputs[:2]
    fixed = [i for i, name in enumerate(names) if graph.is_constant(name)]
    if not fixed:
        return Operands(names, context.activations[names[0]], context.activations[names[1]], False, {})
    data = graph.constant(names[fixed[0]]).astype(np.float64)
    other = names[1 - fixed[0]]
    wide = "int16" in (context.activations[other].dtype, context.activations[node.outputs[0]].dtype)
    quant = quant_params_int16(data) if wide else constant_quant(data)
    constants = {"operand": quant.quantize(data)}
    return Operands((other,), context.activations[other], quant, fixed[0] == 0, constants)


def constant_quant(data: Array) -> QuantParams:
    """int8 parameters over the range of `data` and zero."""
    low, high = min(float(data.min(initial=0)), 0.0), max(float(data.max(initial=0)), 0.0)
    scale = (high - low) / 255 or 1.0
    return QuantParams.per_tensor(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def quant_params_int16(data: Array) -> QuantParams:
    """int16 parameters over the range of `data`."""
    return QuantParams.per_tensor(float(np.abs(data).max(initial=0)) / 32767 or 1.0, 0, "int16")


def binary_call(
    node: Node, graph: Graph, fields: Sequence[str], *, cycles_per_value: float, code_bytes: int
) -> KernelCall:
    """The portable kernel `mcugen_OP_s8`, or `mcugen_OP_s16` where a tensor is int16; `OP_constant` with a constant operand.

    `fields` are the node's integer attributes that it reads.
    """
    shapes = [graph.tensors[name].shape for name in node.inputs[:2]]
    out = graph.tensors[node.outputs[0]]
    wide, constant = any_wide(node, graph), graph.is_constant(node.inputs[1])
    suffix = "s16" if wide else "s8"
    params = {field: int(node.attrs[field]) for field in fields} | broadcast_params(node, *shapes)
    constants = {"operand": graph.constant(node.inputs[1]).astype(np.int16 if wide else np.int8)} if constant else {}
    return KernelCall(
        f"mcugen_{node.op}_constant_{suffix}" if constant else f"mcugen_{node.op}_{suffix}",
        (f"{node.op}_{suffix}.h",),
        wide_params(node, graph) | params if wide else params,
        constants,
        overlap=wide_overlap(node, graph) if wide else in_place(out.shape, shapes[:1] if constant else shapes),
        cycles=out.size * cycles_per_value,
        code_bytes=code_bytes,
    )


def wide_params(node: Node, graph: Graph) -> dict[str, int]:
    """`in1_bytes`, `in2_bytes` (of an operand that is no constant) and `out_bytes` of the kernels for int16."""
    reads = [name for name in node.inputs[:2] if not graph.is_constant(name)]
    params = {f"in{i + 1}_bytes": element_bytes(graph.tensors[name]) for i, name in enumerate(reads)}
    return params | {"out_bytes": element_bytes(graph.tensors[node.outputs[0]])}


def wide_overlap(node: Node, graph: Graph) -> dict[int, int]:
    """As `in_place`, where elements have different sizes."""
    out = graph.tensors[node.outputs[0]]
    reads = [graph.tensors[name] for name in node.inputs[:2] if not graph.is_constant(name)]
    return {
        i: place_distance(out.size, element_bytes(x), element_bytes(out))
        for i, x in enumerate(reads)
        if x.size == out.size
    }


def import_operands(importer: Importer) -> list[str]:
    """Both operands at the rank of the result."""
    inputs = importer.inputs()
    rank = max(len(importer.shape(name)) for name in inputs)
    operands = []
    for name in inputs:
        full = (1,) * (rank - len(importer.shape(name))) + importer.shape(name)
        data = importer.constant(name)
        operands.append(
            reshaped(importer, name, full) if data is None else importer.add_constant(data.reshape(full), "operand")
        )
    return operands


def broadcast_shape(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    return tuple(np.broadcast_shapes(tuple(first), tuple(second)))


def broadcast_params(node: Node, first: Sequence[int], second: Sequence[int]) -> dict[str, int]:
    """`size_0..3` of the output and `stride1_0..3`, `stride2_0..3` of the operands, neighbouring axes merged."""
    found = broadcast_strides(first, second, KERNEL_AXES)
    if found is None:
        raise refusal(
            node,
            None,
            f"shapes {list(first)} and {list(second)} alternate"
            f" more than {KERNEL_AXES} times in which operand is broadcast",
            hint="expand one operand before it",
        )
    sizes, strides = found
    params = {f"size_{i}": size for i, size in enumerate(sizes)}
    for number in (0, 1):
        params |= {f"stride{number + 1}_{i}": stride for i, stride in enumerate(strides[number])}
    return params


def broadcast_strides(
    first: Sequence[int], second: Sequence[int], axes: int
) -> tuple[list[int], list[list[int]]] | None:
    """The output's sizes over `axes` axes, and both operands' strides in elements; None where more axes are needed."""
    shape = broadcast_shape(first, second)
    operands = [(1,) * (len(shape) - len(s)) + tuple(s) for s in (first, second)]
    merged: list[tuple[int, tuple[bool, bool]]] = []
    for axis, size in enumerate(shape):
        pattern = (operands[0][axis] == size, operands[1][axis] == size)
        if size == 1:
            continue
        if merged and merged[-1][1] == pattern:
            merged[-1] = (merged[-1][0] * size, pattern)
        else:
            merged.append((size, pattern))
    if len(merged) > axes:
        return None
    merged = [(1, (True, True))] * (axes - len(merged)) + merged
    strides = [[0] * axes, [0] * axes]
    for number in (0, 1):
        step = 1
        for i in reversed(range(axes)):
            size, pattern = merged[i]
            if pattern[number]:
                strides[number][i] = step if size > 1 else 0
                step *= size
    return [size for size, _ in merged], strides


def in_place(shape: Sequence[int], operands: Sequence[Sequence[int]]) -> dict[int, int]:
    """KernelCall.overlap of an element-by-element kernel: operands that are not broadcast may lie under the output."""
    size = int(np.prod(shape))
    return {i: 0 for i, operand in enumerate(operands) if int(np.prod(operand)) == size}


def constant_case(op: str, shape: tuple[int, ...], *, constant_first: bool, **attrs: Any) -> Graph:
    """A graph of one operator with a constant tensor as one of two operands."""
    builder = GraphBuilder(f"{op}_constant_{int(constant_first)}")
    x = builder.input("x", shape)
    constant = builder.constant(np.random.default_rng(shape).normal(size=shape), "constant")
    operands = [constant, x] if constant_first else [x, constant]
    return builder.output(builder.emit(op, operands, **attrs))

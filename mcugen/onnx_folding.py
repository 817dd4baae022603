"""The value of an ONNX node whose inputs are constants, by the onnx library's reference evaluator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from mcugen.errors import first_line
from mcugen.ops.operator import Importer

Array = npt.NDArray[Any]

FOLD_LIMIT = 1 << 28
"""Elements: a constant larger than this is not computed (a hostile shape could ask for any size)."""
FOLD_WORK = 1 << 36
"""Multiplications: a product of constants that takes more is not computed (4096 x 4096 x 4096 takes some seconds)."""
INTEGER_WORK = 16
"""NumPy multiplies matrices of integers without BLAS, so that a product counts as this many."""
QUANTIZATION_OPSET = 19
"""The evaluator knows (de)quantization only from here on, which takes the older forms."""


def evaluate_node(
    node: onnx.NodeProto, inputs: list[Array], opsets: Iterable[onnx.OperatorSetIdProto], importer: Importer
) -> list[Array]:
    """The outputs of a node for `inputs`, those that it leaves out not among them; raises UnsupportedModel."""
    if node.op_type == "Constant" and (value := importer.attr("value")) is not None:
        return [_limited(numpy_helper.to_array(value), importer)]
    if node.op_type in ("ConstantOfShape", "Expand", "Tile", "Range") and inputs:
        numbers = [np.asarray(data, np.float64) for data in inputs]
        wanted = np.prod(np.abs(numbers[-1]))
        if node.op_type == "Range":
            wanted = np.max(np.abs((numbers[1] - numbers[0]) / numbers[2]))
        if not float(wanted) <= FOLD_LIMIT:
            raise importer.unsupported("it makes a constant of unreasonable size")
    work = _multiplications(node, inputs, importer)
    if work > FOLD_WORK:
        sizes = " and ".join(str(list(data.shape)) for data in inputs[:2])
        raise importer.unsupported(
            f"a product of constants {sizes}, which takes as long as {work} multiplications, more than {FOLD_WORK}",
            "let the exporter fold constants, so that the file holds the result",
        )
    return [_limited(result, importer) for result in _run(node, inputs, opsets, importer)]


def _multiplications(node: onnx.NodeProto, inputs: list[Array], importer: Importer) -> int:
    """How many multiplications of floats a product of constants takes as long as; 0 for all other operators."""
    if len(inputs) < 2 or not all(data.ndim for data in inputs[:2]):
        return 0
    first, second = inputs[:2]
    pairs, count = first.size * second.size, 0
    if node.op_type in ("MatMul", "MatMulInteger"):
        batches = math.prod(first.shape[:-2]) if first.shape[:-2] == second.shape[:-2] else 1
        count = pairs // max(1, first.shape[-1] * batches)
    elif node.op_type == "Gemm":
        count = pairs // max(1, first.shape[0 if importer.attr("transA", 0) else -1])
    elif node.op_type in ("Conv", "ConvTranspose", "ConvInteger") and first.ndim > 1:
        count = pairs // max(1, first.shape[1])
    elif node.op_type == "Einsum":
        count = _einsum_terms(importer.attr("equation", ""), inputs)
    return count if first.dtype.kind == "f" else count * INTEGER_WORK


def _einsum_terms(equation: str, inputs: list[Array]) -> int:
    """How many terms Einsum's sums have in all; more than that where axes are left to an ellipsis."""
    operands = equation.replace(" ", "").split("->")[0].split(",")
    if "." in equation or len(operands) != len(inputs):
        return math.prod(data.size for data in inputs)
    axes = [
        axis for labels, data in zip(operands, inputs, strict=True) for axis in zip(labels, data.shape, strict=False)
    ]
    return math.prod(dict(axes).values())


def _run(
    node: onnx.NodeProto, inputs: list[Array], opsets: Iterable[onnx.OperatorSetIdProto], importer: Importer
) -> list[Array]:
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.input if name]
    try:
        proto = onnx.helper.make_graph(
            [node],
            "fold",
            [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in dict.fromkeys(names)],
            [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in node.output if n],
        )
        run = ReferenceEvaluator(onnx.helper.make_model(proto, opset_imports=_known_opsets(node, opsets)))
        return [np.asarray(value) for value in run.run(None, dict(zip(names, inputs, strict=True)))]
    except Exception as error:  # the evaluator raises whatever its operator's NumPy code raises
        raise importer.unsupported(f"its constant value cannot be computed ({first_line(error)})") from None


def _known_opsets(node: onnx.NodeProto, opsets: Iterable[onnx.OperatorSetIdProto]) -> Sequence[onnx.OperatorSetIdProto]:
    """The model's opsets, in which the evaluator knows the node."""
    if node.op_type not in ("DequantizeLinear", "QuantizeLinear"):
        return list(opsets)
    own = [opset.version for opset in opsets if opset.domain in ("", "ai.onnx")]
    return [onnx.helper.make_opsetid("", max([*own, QUANTIZATION_OPSET]))]


def _limited(result: Array, importer: Importer) -> Array:
    if result.size > FOLD_LIMIT:
        raise importer.unsupported(f"it makes a constant of {result.size} elements")
    return result

"""The value of an ONNX node whose inputs are constants, by the onnx library's reference evaluator."""

from __future__ import annotations

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
    return [_limited(result, importer) for result in _run(node, inputs, opsets, importer)]


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

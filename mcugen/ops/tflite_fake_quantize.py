"""Change of parameters in TensorFlow Lite's arithmetic (its Quantize from int8 to int8), as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.fake_quantize import FakeQuantize
from mcugen.ops.operator import Case, QuantContext, integer_bounds
from mcugen.ops.tflite_weighted import tflite_case
from mcugen.tflite_arithmetic import quantize_multiplier, requantize

Array = npt.NDArray[Any]


class TfliteFakeQuantize(FakeQuantize):
    """`z_y + requantize(q - z_x)` by the ratio of the scales."""

    name: ClassVar[str] = "tflite_fake_quantize"
    onnx: ClassVar[tuple[str, ...]] = ()

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return rescaling_table(node, context)

    def cases(self) -> Iterator[Case]:
        return (replace(case, graph=tflite_case(case.graph)) for case in FakeQuantize().cases())


def rescaling_table(node: Node, context: QuantContext) -> tuple[Node, dict[str, Array]]:
    """The integer `table` node of a change of parameters, with the bounds of the node's clip."""
    in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
    multiplier, exponent = quantize_multiplier(float(in_quant.scale) / float(out_quant.scale))
    differences = np.arange(-128, 128) - int(in_quant.zero_point)
    values = requantize(differences, multiplier, exponent) + int(out_quant.zero_point)
    bounds = integer_bounds(node, out_quant)
    table = np.clip(values, bounds["act_min"], bounds["act_max"]).astype(np.int8)
    return replace(node, op="table", inputs=node.inputs[:1], attrs={}), {"table": table}

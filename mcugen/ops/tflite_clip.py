"""Relu, Relu6 and other clips that stand alone in TensorFlow Lite's arithmetic, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy.typing as npt

from mcugen.graph import Graph, Node
from mcugen.ops.clip import Clip
from mcugen.ops.operator import Case, QuantContext
from mcugen.ops.tflite_fake_quantize import rescaling_table
from mcugen.ops.tflite_weighted import tflite_case

Array = npt.NDArray[Any]


class TfliteClip(Clip):
    """`z_y + requantize(q - z_x)` by the ratio of the scales, cut at the rounded bounds."""

    name: ClassVar[str] = "tflite_clip"
    int16_inputs: ClassVar[bool] = False
    int16_output: ClassVar[bool] = False
    onnx: ClassVar[tuple[str, ...]] = ()

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        return rescaling_table(node, context)

    def cases(self) -> Iterator[Case]:
        return (replace(case, graph=tflite_case(case.graph)) for case in Clip().cases())

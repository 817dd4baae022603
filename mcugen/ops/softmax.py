"""Softmax over the last axis by a table of exponentials and one division a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.kernels import variants
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import normal_axis, onnx_type, reshaped
from mcugen.ops.operator import Case, Importer, Lowering, Operator, QuantContext, Spec
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

LARGEST_EXPONENTIAL = 65535
LONGEST_ROW = 65537
"""65537 * 65535 is the largest sum below 2^32; 65535 * 256 plus half of it stays below 2^32 as well."""


class Softmax(Operator):
    """`x` [..., n] -> probabilities along the last axis, at scale 1/256 and zero point -128.

    Integer meaning: `d = max - q`, `e = table[d]` with `table[d] = floor(65535 * exp(-d * s_x) + 0.5)`, `S = sum(e)`,
    `y = min(127, (e * 256 + S // 2) // S - 128)`, all below 2^32.  Against the real softmax p of the dequantized input
    the error is at most `1/512 + (1 + n * p) / 131070`, or 1/256 where the result is 127 (probability 1 saturates):
    each table entry is off by at most a half, S by n halves, and S is at least 65535 as the largest entry is in it.
    Of int16, `e = (coarse[d >> 8] * fine[d & 255] + 32768) >> 16` of two tables, off by at most 2.5 (65534 for d = 0), so that
    the error is at most `1/512 + 5 * (1 + n * p) / 131068`.
    """

    name: ClassVar[str] = "softmax"
    onnx: ClassVar[tuple[str, ...]] = ("Softmax", "LogSoftmax", "ai.onnx.ml::Normalizer")
    vectorwise: ClassVar[bool] = True
    int16_inputs: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        if onnx_type(importer) == "LogSoftmax":
            raise importer.unsupported(
                "logarithms of probabilities have no useful 8-bit form",
                "cut the graph before it with `--outputs` (the largest logit stays the largest), or export Softmax",
            )
        source = importer.inputs()[0]
        if onnx_type(importer) == "Normalizer":
            producer = importer.producer(source)
            if producer is None or producer.op != "softmax" or importer.attr("norm", "MAX") != "L1":
                raise importer.unsupported(
                    "it divides by a norm of the data; only the sum of a softmax, which is 1, is known beforehand",
                    "cut the graph before it with `--outputs` (the largest score stays the largest), or normalize in C",
                )
            return [source]
        shape = importer.shape(source)
        rank = len(shape)
        if importer.opset < 13:
            axis = normal_axis(importer, int(importer.attr("axis", 1)), rank)
            rows = int(np.prod(shape[:axis], dtype=np.int64))
            flat = reshaped(importer, source, shape if axis == rank - 1 else (rows, int(np.prod(shape)) // rows))
            return [reshaped(importer, importer.emit("softmax", [flat]), shape)]
        axis = normal_axis(importer, int(importer.attr("axis", -1)), rank)
        if axis == rank - 1:
            return [importer.emit("softmax", [source])]
        perm = (*(i for i in range(rank) if i != axis), axis)
        y = importer.emit("softmax", [importer.emit("transpose", [source], perm=perm)])
        return [importer.emit("transpose", [y], perm=tuple(int(i) for i in np.argsort(perm)))]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        e = np.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
        return [e / e.sum(axis=-1, keepdims=True)]

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        return QuantParams.per_tensor(1 / 256, -128)

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        columns = graph.tensors[node.inputs[0]].shape[-1]
        if columns > LONGEST_ROW:
            raise refusal(
                node,
                graph,
                f"softmax over {columns} values, at most {LONGEST_ROW} fit a 32-bit sum",
                hint="cut the graph before it with `--outputs`",
            )
        scale = float(context.activations[node.inputs[0]].scale)
        if context.activations[node.inputs[0]].dtype == "int16":
            tables = [np.exp(-np.arange(256) * scale * step) for step in (256, 1)]
            coarse, fine = (np.floor(LARGEST_EXPONENTIAL * e + 0.5).astype(np.uint16) for e in tables)
            return replace(node), {"coarse": coarse, "fine": fine}
        table = np.floor(LARGEST_EXPONENTIAL * np.exp(-np.arange(256) * scale) + 0.5).astype(np.uint16)
        # one zero at the end stands for all that follow
        return replace(node), {"exponential": table[: np.count_nonzero(table) + 1]}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        q = inputs[0].astype(np.int64)
        distance = q.max(axis=-1, keepdims=True) - q
        if len(inputs) == 3:
            coarse, fine = (table.astype(np.int64) for table in inputs[1:])
            e = (coarse[distance >> 8] * fine[distance & 255] + 32768) >> 16
        else:
            table = np.zeros(256, np.int64)
            table[: inputs[1].size] = inputs[1]
            e = table[distance]
        total = e.sum(axis=-1, keepdims=True)
        return [np.minimum(127, (e * 256 + total // 2) // total - 128).astype(np.int8)]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x = graph.tensors[node.inputs[0]]
        table = graph.constant(node.inputs[1])
        if len(node.inputs) == 3:
            call = KernelCall(
                "mcugen_softmax_s16",
                ("softmax_s16.h",),
                {"rows": x.size // x.shape[-1], "columns": x.shape[-1]},
                {"coarse": table, "fine": graph.constant(node.inputs[2])},
                overlap={0: 0},
                cycles=x.size * 55.0,
                code_bytes=150,
            )
            return [Lowering((call,))]
        call = KernelCall(
            "mcugen_softmax_s8",
            ("softmax_s8.h",),
            {"rows": x.size // x.shape[-1], "columns": x.shape[-1], "exponential_size": table.size},
            {"exponential": table},
            overlap={0: 0},
            cycles=x.size * 40.0,
            code_bytes=130,
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node if perm[-1] == len(perm) - 1 else None

    def cases(self) -> Iterator[Case]:
        shapes = (("classes", (1, 10), 4.0), ("one", (1, 1), 1.0), ("rows", (1, 5, 7), 0.5), ("sharp", (1, 33), 60.0))
        for name, shape, reach in shapes:
            builder = GraphBuilder(f"softmax_{name}")
            x = builder.input("x", shape)
            yield Case(name, builder.output(builder.emit("softmax", [x])), -reach, reach)

"""History: new rows behind the rows that earlier runs brought; what makes a stream out of a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.movement import MovementOperator
from mcugen.ops.operator import Case, Keep, Lowering, QuantContext, Spec
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

MOVE_CYCLES_PER_BYTE = 1.1


class History(MovementOperator):
    """`[before,] kept rows, new[, after]` along `axis`, whose outer sizes are 1; inputs (new) or (before, new, after).

    Attributes `axis`, `kept` (rows of earlier runs), `parts` (of `before`, `new`, `after`, those that the inputs are) and
    `initial`, the value of the kept rows before the first run.  The last `kept` rows of (kept rows, new) are kept for
    the next run.
    """

    name: ClassVar[str] = "history"
    stateful: ClassVar[bool] = True

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        shape, axis = list(inputs[0].shape), node.attrs["axis"]
        shape[axis] = node.attrs["kept"] + sum(tensor.shape[axis] for tensor in inputs)
        return [Spec(tuple(shape), inputs[0].dtype)]

    def advance(self, node: Node, inputs: Sequence[Array], state: Array | None) -> tuple[list[Array], Array]:
        axis, kept = node.attrs["axis"], node.attrs["kept"]
        parts = dict(zip(node.attrs["parts"], inputs, strict=True))
        new = parts["new"]
        if state is None:
            shape = (*new.shape[:axis], kept, *new.shape[axis + 1 :])
            state = np.full(shape, node.attrs["initial"], new.dtype)
        rows = np.concatenate([state, new], axis=axis)
        ends = [parts[name] for name in ("before", "after") if name in parts]
        whole = np.concatenate([*ends[: "before" in parts], rows, *ends["before" in parts :]], axis=axis)
        return [whole], np.take(rows, np.arange(rows.shape[axis] - kept, rows.shape[axis]), axis=axis)

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        return self.advance(node, inputs, None)[0]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        quant = context.activations[node.inputs[0]]
        return node.with_attrs(initial=int(quant.quantize(np.array(node.attrs["initial"])))), {}

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        axis, parts = node.attrs["axis"], node.attrs["parts"]
        row = graph.tensors[node.inputs[0]].nbytes // graph.tensors[node.inputs[0]].shape[axis]
        kept = node.attrs["kept"] * row
        initial = int(node.attrs["initial"])
        if graph.tensors[node.inputs[0]].dtype != "int8" and initial:
            raise refusal(node, graph, f"its rows of 16 bits begin as {initial}, not 0", hint="run it on the window")
        calls, offset, before = [], 0, 0
        for i, (part, name) in enumerate(zip(parts, node.inputs, strict=True)):
            size = graph.tensors[name].nbytes
            if part == "before":
                before = size
            if part == "new":
                offset += kept
            calls.append(
                KernelCall(
                    "mcugen_concat_copy_s8",
                    ("concat_s8.h",),
                    {"rows": 1, "width": size, "out_stride": size},
                    reads=(i,),
                    output_offsets=(offset,),
                    cycles=size * 4.0,
                    code_bytes=50,
                    copies=True,
                )
            )
            offset += size
        new = graph.tensors[node.inputs[parts.index("new")]].nbytes
        aligned = not (before | kept | new) % 4
        move = KernelCall(
            "mcugen_history_s8",
            ("history_s8.h",),
            {"size": kept, "aligned": int(aligned)},
            input_offsets=(before + new,),
            cycles=kept * MOVE_CYCLES_PER_BYTE + 20,
            code_bytes=60,
        )
        return [Lowering(tuple(calls), keep=Keep(move, before, kept, initial) if kept else None)]

    def batchable(self, node: Node, graph: Graph) -> bool:
        return False

    def cases(self) -> Iterator[Case]:
        for name, shape, axis, kept in (
            ("rows", (1, 2, 5, 3), 1, 4),
            ("samples", (1, 1, 3, 4), 2, 6),
            ("more_new_than_kept", (1, 5, 4), 1, 2),
        ):
            builder = GraphBuilder(f"history_{name}")
            x = builder.input("x", shape)
            attrs: dict[str, Any] = {"axis": axis, "kept": kept, "parts": ("new",), "initial": 0.0}
            yield Case(name, _read(builder, builder.emit("history", [x], **attrs)))
        builder = GraphBuilder("history_between")
        x = builder.input("x", (1, 2, 4))
        end = builder.emit("slice", [x], starts=(0, 1, 0), steps=(1, 1, 1), sizes=(-1, 1, -1))
        attrs = {"axis": 1, "kept": 3, "parts": ("before", "new", "after"), "initial": 0.0}
        yield Case("between", _read(builder, builder.emit("history", [end, x, end], **attrs)))


def _read(builder: GraphBuilder, name: str) -> Graph:
    """What is kept moves on before the caller reads an output, so that somebody must read it before."""
    return builder.output(builder.emit("clip", [name], clip_min=-0.75, clip_max=0.75))

"""What the pools share: windows over channels-last images, and how ONNX spells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import onnx_type
from mcugen.ops.operator import Importer, Operator, RowWindow, Spec
from mcugen.ops.spatial import channels_first, image_input, window_attrs
from mcugen.ops.window import output_size

Array = npt.NDArray[Any]

WHOLE: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}


class PoolOperator(Operator):
    """`x` [1, H, W, C]; attributes kernel (h, w), strides, dilations, pads (top, left, bottom, right)."""

    windowed: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        source = importer.inputs()[0]
        shape = importer.shape(source)
        rank = len(shape)
        if rank not in (3, 4):
            raise importer.unsupported(f"a pool over {rank - 2} dimensions", "mcugen compiles 1-D and 2-D pools")
        if onnx_type(importer).startswith("Global"):
            if rank == 4 and shape[0] != 1:
                return self._over_whole_images(importer, source)
            kernel = (1, shape[2]) if rank == 3 else shape[2:]
            window = WHOLE
        else:
            given = [int(k) for k in importer.attr("kernel_shape")]
            kernel = (1, *given) if rank == 3 else tuple(given)
            window = window_attrs(importer, source, kernel, ceil_mode=bool(importer.attr("ceil_mode", 0)))
        attrs = {"kernel": kernel, **window, **self.onnx_attrs(importer, rank)}
        self.check_windows(importer, shape, attrs)
        y = importer.emit(self.name, [image_input(importer, source)], **attrs)
        return [channels_first(importer, y, rank)]

    def _over_whole_images(self, importer: Importer, source: str) -> Sequence[str]:
        """One mean or maximum for each channel of several images: each of them becomes a row of one image."""
        n, c, h, w = importer.shape(source)
        last = importer.emit("transpose", [source], perm=(0, 2, 3, 1))
        rows = importer.emit("reshape", [last], shape=(1, n, h * w, c))
        y = importer.emit(self.name, [rows], kernel=(1, h * w), **WHOLE, **self.onnx_attrs(importer, 4))
        return [importer.emit("reshape", [y], shape=(n, c, 1, 1))]

    def onnx_attrs(self, importer: Importer, rank: int) -> dict[str, Any]:
        """Further attributes of this pool."""
        return {}

    def check_windows(self, importer: Importer, shape: Sequence[int], attrs: dict[str, Any]) -> None:
        size = (1, shape[2]) if len(shape) == 3 else tuple(shape[2:])
        counts = tap_counts(size, attrs, (0, 0, 0, 0))
        if min(int(axis.min()) for axis in counts) == 0:
            raise importer.unsupported("some of its windows hold nothing but padding", "give it smaller pads")

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        n, h, w, c = inputs[0].shape
        out_h, out_w = pooled_size((h, w), dict(node.attrs))
        return [Spec((n, out_h, out_w, c))]


def pool_rows(node: Node, pad_value: int) -> RowWindow:
    """The rows that a pool walks down."""
    a = node.attrs
    return RowWindow((a["kernel"][0] - 1) * a["dilations"][0] + 1, a["strides"][0], a["pads"][0], pad_value)


def taps(node: Node, graph: Graph) -> int:
    """How many input values all windows together read, padding included."""
    return graph.tensors[node.outputs[0]].size * int(np.prod(node.attrs["kernel"]))


def pooled_size(size: Sequence[int], attrs: dict[str, Any]) -> tuple[int, int]:
    """The output's height and width."""
    kernel, strides, dilations, pads = (attrs[k] for k in ("kernel", "strides", "dilations", "pads"))
    h, w = (output_size(size[i], kernel[i], strides[i], dilations[i], pads[i], pads[i + 2]) for i in range(2))
    return h, w


def tap_counts(size: Sequence[int], attrs: dict[str, Any], count_pads: Sequence[int]) -> tuple[Array, Array]:
    """Per output row and per output column, the taps that fall on the image or at most `count_pads` beside it."""
    counts = []
    for i, outputs in enumerate(pooled_size(size, attrs)):
        start = np.arange(outputs) * attrs["strides"][i] - attrs["pads"][i]
        taps = start[:, None] + np.arange(attrs["kernel"][i]) * attrs["dilations"][i]
        counts.append(np.sum((taps >= -count_pads[i]) & (taps < size[i] + count_pads[i + 2]), axis=1))
    return counts[0], counts[1]


def pool_geometry(node: Node, graph: Graph) -> dict[str, int]:
    """The fields that every pool kernel's struct begins with."""
    x, y = graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
    a = node.attrs
    return {
        "in_h": x[1],
        "in_w": x[2],
        "channels": x[3],
        "out_h": y[1],
        "out_w": y[2],
        "kernel_h": a["kernel"][0],
        "kernel_w": a["kernel"][1],
        "stride_h": a["strides"][0],
        "stride_w": a["strides"][1],
        "dilation_h": a["dilations"][0],
        "dilation_w": a["dilations"][1],
        "pad_top": a["pads"][0],
        "pad_left": a["pads"][1],
    }


def pool_case(op: str, name: str, shape: tuple[int, ...], attrs: dict[str, Any]) -> Graph:
    """A graph of one pool over a random image."""
    builder = GraphBuilder(f"{op}_{name}")
    x = builder.input("x", shape)
    return builder.output(builder.emit(op, [x], **(WHOLE | attrs)))

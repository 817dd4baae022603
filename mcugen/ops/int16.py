"""What operators share that read or write int16 activations: the plain kernels' calls, and linear rescaling of one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import saturate, weighted_sum_params
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.kernels.layer import ConvLayer, grouped_params, plain_overlap
from mcugen.program import KernelCall

Array = npt.NDArray[Any]

CYCLES_PER_MAC, CYCLES_PER_TAP, CYCLES_PER_OUTPUT = 8.0, 12.0, 30.0


def is_wide(tensor: Tensor) -> bool:
    return tensor.dtype == "int16"


def any_wide(node: Node, graph: Graph) -> bool:
    """Whether the integer node reads or writes an int16 activation."""
    names = [*(name for name in node.inputs if not graph.is_constant(name)), *node.outputs]
    return any(is_wide(graph.tensors[name]) for name in names)


def element_bytes(tensor: Tensor) -> int:
    return np.dtype(tensor.dtype).itemsize


def place_distance(size: int, in_bytes: int, out_bytes: int) -> int:
    """KernelCall.overlap of a kernel that reads `size` elements one by one and writes each before it reads the next."""
    return max(0, size * (out_bytes - in_bytes))


def weighted_call(layer: ConvLayer) -> KernelCall:
    """The plain kernel of a convolution, depthwise or not, or of a fully connected layer."""
    outputs, taps = layer.out_h * layer.out_w * layer.out_c, layer.kernel_h * layer.kernel_w
    return KernelCall(
        "mcugen_conv2d_s16",
        ("conv2d_s16.h",),
        layer.fields("in_bytes", "out_bytes") | grouped_params(layer),
        {"weights": layer.weights, "bias": layer.bias, **layer.scales},
        overlap={0: plain_overlap(layer)},
        cycles=layer.macs * CYCLES_PER_MAC + outputs * (CYCLES_PER_OUTPUT + taps * CYCLES_PER_TAP),
        code_bytes=400,
    )


def rescale_attrs(in_quant: QuantParams, out_quant: QuantParams) -> dict[str, int]:
    """`multiplier`, `constant` and `shift` of `rescaled`; raises ValueError where a step is 32767 times the other."""
    ratio = float(in_quant.scale / out_quant.scale)
    zero_points = int(in_quant.zero_point), int(out_quant.zero_point)
    (multiplier,), constant, shift = weighted_sum_params([ratio], [zero_points[0]], zero_points[1], [in_quant.reach])
    return {"multiplier": multiplier, "constant": constant, "shift": shift}


def rescaled(q: Array, attrs: Mapping[str, int], low: int, high: int, dtype: str) -> Array:
    """`clamp((q * multiplier + constant) >> shift)`, one rounding."""
    return saturate((q.astype(np.int64) * attrs["multiplier"] + attrs["constant"]) >> attrs["shift"], low, high, dtype)


def rescale_call(x: Tensor, y: Tensor, attrs: Mapping[str, int], *, rows: int = 1, out_stride: int = 0) -> KernelCall:
    """The kernel of `rescaled`; `attrs` also holds act_min and act_max.  Rows go into rows of `out_stride` elements."""
    fields = ("multiplier", "constant", "shift", "act_min", "act_max")
    in_bytes, out_bytes = element_bytes(x), element_bytes(y)
    whole = {0: place_distance(x.size, in_bytes, out_bytes)} if rows == 1 else {}
    return KernelCall(
        "mcugen_rescale_s16",
        ("rescale_s16.h",),
        {"in_bytes": in_bytes, "out_bytes": out_bytes, "rows": rows, "width": x.size // rows, "out_stride": out_stride}
        | {field: int(attrs[field]) for field in fields},
        overlap=whole,
        cycles=x.size * 12.0,
        code_bytes=70,
    )

"""What a kernel variant needs to know of a layer: integers only, canonical layouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.kernels.overlap import Granularity, convolution_distance

Array = npt.NDArray[Any]

INT8 = "int8"
"""Weights as they are, a byte each; other words are those of weight_format.py."""
WINDOWS = (
    "in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h",
    "dilation_w", "pad_top", "pad_left",
)  # fmt: skip
"""Where a convolution reads, by the names of the C structs' fields."""
ENDS = ("out_zero_point", "act_min", "act_max")
"""How a sum becomes an output."""


@dataclass(frozen=True)
class ConvLayer:
    """A convolution, depthwise convolution or fully connected layer after quantization.

    Activations are channels-last `[in_h, in_w, in_c]` -> `[out_h, out_w, out_c]`, int8 or int16 as `in_dtype` and `out_dtype`
    say; a 1-D convolution has height 1, a fully connected layer is 1x1 over 1x1.  `weights` int8
    `[out_c, kernel_h, kernel_w, in_c / groups]`; `bias` int32 `[out_c]` has the
    input zero point folded in (`b - z_x * sum(w)`), so that a padded tap reads `in_zero_point`.  `multiplier` int32 and
    `shift` uint8 are per output channel (fixed_point.py).  Depthwise: `groups == in_c`, out channel `c` reads input
    channel `c // (out_c / in_c)`.
    """

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int
    groups: int
    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]
    in_zero_point: int
    out_zero_point: int
    act_min: int = -128
    act_max: int = 127
    in_dtype: str = "int8"
    out_dtype: str = "int8"
    weight_format: str = INT8

    def fields(self, *names: str) -> dict[str, int]:
        """Fields of a kernel's struct that the layer has under the same names."""
        return {name: int(getattr(self, name)) for name in names}

    @property
    def scales(self) -> dict[str, Array]:
        """The constants `multiplier`, and `shift` where some channel needs it."""
        return {"multiplier": self.multiplier} | ({"shift": self.shift} if self.needs_shift else {})

    @property
    def wide(self) -> bool:
        """Whether it reads or writes int16."""
        return "int16" in (self.in_dtype, self.out_dtype)

    @property
    def in_bytes(self) -> int:
        """Of one input element."""
        return np.dtype(self.in_dtype).itemsize

    @property
    def out_bytes(self) -> int:
        """Of one output element."""
        return np.dtype(self.out_dtype).itemsize

    @property
    def depth(self) -> int:
        """The number of products in one output."""
        return int(self.weights[0].size)

    @property
    def macs(self) -> int:
        return self.out_h * self.out_w * self.out_c * self.depth

    @property
    def needs_shift(self) -> bool:
        """Whether some channel's accumulator is scaled up before it is multiplied (scale >= 0.5)."""
        return bool(np.any(self.shift))

    @property
    def max_accumulator(self) -> int:
        """The largest magnitude of `bias + sum(w * x)` over all inputs, over all channels."""
        reach = -int(np.iinfo(self.in_dtype).min)
        flat = np.abs(self.weights.astype(np.int64)).reshape(self.weights.shape[0], -1).sum(axis=1) * reach
        return int((flat + np.abs(self.bias.astype(np.int64))).max())


def convolution_params(layer: ConvLayer) -> dict[str, int]:
    """The fields that say where a convolution reads and how it ends, by their names in the C structs."""
    return layer.fields(*WINDOWS, "in_zero_point", *ENDS)


def grouped_params(layer: ConvLayer) -> dict[str, int]:
    """As `convolution_params`, of a kernel that takes any number of groups."""
    return layer.fields(*WINDOWS, "groups", "in_zero_point", *ENDS)


def plain_overlap(layer: ConvLayer, granularity: Granularity = "pixel") -> int:
    """KernelCall.overlap of a kernel that computes pixel after pixel, or row after row, channels one after the other."""
    return convolution_distance(
        (layer.in_h, layer.in_w, layer.in_c),
        (layer.out_h, layer.out_w, layer.out_c),
        kernel=(layer.kernel_h, layer.kernel_w),
        stride=(layer.stride_h, layer.stride_w),
        pad=(layer.pad_top, layer.pad_left),
        dilation=(layer.dilation_h, layer.dilation_w),
        granularity=granularity,
        input_bytes=layer.in_bytes,
        output_bytes=layer.out_bytes,
    )

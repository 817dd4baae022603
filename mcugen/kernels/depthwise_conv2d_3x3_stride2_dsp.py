"""3x3 depthwise convolution with stride 2 on cores with the DSP instructions, without scratch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.depthwise_conv2d_3x3_dsp import STEP_LIMIT, applies, pack_weights
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
FIELDS = (
    *("in_h", "in_w", "out_h", "out_w", "pad_top", "pad_left", "in_zero_point", "out_zero_point"),
    *("act_min", "act_max"),
)


def row_overlap(layer: ConvLayer) -> int:
    """How far before its input the output must begin of a kernel that computes row after row."""
    rows = np.arange(layer.out_h)
    needed = (rows * layer.stride_h - layer.pad_top).clip(0) * layer.in_w * layer.in_c
    return max(0, int(((rows + 1) * layer.out_w * layer.out_c - needed).max()))


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_3x3_stride2_s8_dsp` kernel, where no side has more than one row or column of padding."""
    if "dsp" not in target.variants or not applies(layer, 2):
        return
    bottom = 2 * layer.out_h + 1 - layer.pad_top - layer.in_h
    right = 2 * layer.out_w + 1 - layer.pad_left - layer.in_w
    if layer.in_h < 3 or max(bottom, right, layer.pad_top, layer.pad_left) > 1 or layer.in_c >= STEP_LIMIT:
        return
    lines = layer.in_c * layer.out_h
    yield KernelCall(
        function="mcugen_depthwise_conv2d_3x3_stride2_s8_dsp",
        headers=("depthwise_conv2d_3x3_stride2_s8_dsp.h",),
        params=layer.fields(*FIELDS) | {"channels": layer.in_c},
        constants={"weights": pack_weights(layer, along_height=False)},
        overlap={0: row_overlap(layer)},
        in_place=0 if (layer.out_h, layer.pad_top, bottom) == (1, 0, 0) else None,
        cycles=31.0 * layer.out_h + lines * (71.5 + 24.3 * layer.out_w),
        code_bytes=144,
        shared_code=shared("mcugen_depthwise_line_s8_dsp"),
        variant="dsp",
    )

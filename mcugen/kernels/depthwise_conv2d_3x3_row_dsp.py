"""One output row of a 3x3 depthwise convolution with stride 1 on cores with the DSP instructions, without scratch."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.depthwise_conv2d_3x3_dsp import STEP_LIMIT, applies, pack_weights
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
FIELDS = ("in_w", "out_w", "pad_left", "in_zero_point", "out_zero_point", "act_min", "act_max")


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_3x3_row_s8_dsp` kernel, for one output row that reads no padding above or below."""
    if "dsp" not in target.variants or not applies(layer, 1):
        return
    right = layer.out_w + 2 - layer.pad_left - layer.in_w
    if (
        (layer.in_h, layer.out_h, layer.pad_top) != (3, 1, 0)
        or max(right, layer.pad_left) > 1
        or layer.in_c >= STEP_LIMIT
    ):
        return
    yield KernelCall(
        function="mcugen_depthwise_conv2d_3x3_row_s8_dsp",
        headers=("depthwise_conv2d_3x3_row_s8_dsp.h",),
        params=layer.fields(*FIELDS) | {"channels": layer.in_c},
        constants={"weights": pack_weights(layer, along_height=False)},
        overlap={0: layer.out_w * layer.in_c},
        in_place=0,
        cycles=40.0 + layer.in_c * (75.0 + 18.5 * layer.out_w),
        code_bytes=100,
        shared_code=shared("mcugen_depthwise_row_s8_dsp"),
        variant="dsp",
    )

"""Depthwise convolution in its input's place on cores without packed arithmetic: one channel after the other."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.cost_scalar import depthwise_place_cycles
from mcugen.kernels.depthwise_conv2d_scalar import pack_channels
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_scalar import round_up
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
HIGHEST_PAD = 2
"""Rows above an output's that may be read: two rows of outputs wait while the next two rows' inputs are read."""


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `depthwise_conv2d_place_s8_scalar` kernel, for outputs as large as the input at stride 1."""
    shape = (layer.in_h, layer.in_w, layer.in_c, 1, 1, 1)
    wanted = (layer.out_h, layer.out_w, layer.out_c, layer.stride_h, layer.stride_w, layer.dilation_w)
    if "scalar" not in target.variants or shape != wanted or layer.pad_top > HIGHEST_PAD:
        return
    columns = layer.out_w - 1 + layer.kernel_w
    records = pack_channels(layer)
    if records is None or columns < layer.pad_left:
        return
    taps = layer.kernel_h * layer.kernel_w
    yield KernelCall(
        function="mcugen_depthwise_conv2d_place_s8_scalar",
        headers=("depthwise_conv2d_place_s8_scalar.h",),
        params={
            "height": layer.in_h,
            "width": layer.in_w,
            "channels": layer.in_c,
            "kernel_h": layer.kernel_h,
            "kernel_w": layer.kernel_w,
            "dilation_h": layer.dilation_h,
            "pad_top": layer.pad_top,
            "pad_left": layer.pad_left,
            "in_zero_point": layer.in_zero_point,
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"records": records},
        scratch=round_up(4 * (round_up(taps, 2) + columns * layer.kernel_h + 1) + 2 * layer.in_w, 4),
        in_place=0,
        cycles=depthwise_place_cycles(layer, columns),
        code_bytes=272,
        shared_code=shared("mcugen_depthwise_rows_s8_scalar", "mcugen_strip_s8_scalar"),
        variant="scalar",
    )

"""Fully connected layer that reads or writes int16 on cores with MVE: 4 outputs at a time, the input read in place."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_1x1_s16_mve import pointwise_call
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_s16_mve import can_scale
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "fully_connected_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_1x1_s16_mve` kernel of one pixel, for one vector."""
    if "mve" not in target.variants or layer.out_h * layer.out_w != 1 or not can_scale(layer):
        return
    # all inputs are read again for every 4 outputs
    before_the_last = (layer.out_c - 1) // 4 * 4 * layer.out_bytes
    yield pointwise_call(layer, before_the_last if layer.out_c > 4 else -layer.in_c * layer.in_bytes)

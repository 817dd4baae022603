"""Fully connected layer of one row with weights of 4 bits on cores with MVE: 4 outputs at a time, the input read in place."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_codes_mve import pointwise_call
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_codes_mve import packed_weights
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_1x1_codes_s8_mve` kernel of one pixel, for one row of input."""
    packed = packed_weights(layer, target)
    if packed is not None and layer.out_h * layer.out_w == 1:
        # all inputs are read again for every 4 outputs
        yield pointwise_call(layer, packed, (layer.out_c - 1) // 4 * 4 if layer.out_c > 4 else -layer.depth)

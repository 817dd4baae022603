"""Convolution on cores with the DSP instructions without conditions on weights and scales: 2 channels of 2 pixels at a
time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.cost_dsp import matmul_plain_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_dsp import pack_plain_stream, round_up
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_plain_s8_dsp` kernel, for one group."""
    if "dsp" not in target.variants or layer.groups != 1:
        return
    twos, ones = divmod(layer.out_c, 2)
    pixels = layer.out_h * layer.out_w
    steps = -(-layer.depth // 4)
    copied = layer.kernel_h > 1 or inner_pixels(layer) < pixels
    yield KernelCall(
        function="mcugen_conv2d_plain_s8_dsp",
        headers=("conv2d_plain_s8_dsp.h",),
        params=convolution_params(layer),
        constants={"weights": pack_plain_stream(layer, [2] * twos + [1] * ones)},
        scratch=2 * round_up(layer.depth, 4) if copied else 0,
        overlap={0: pixel_overlap(layer, 2, buffered=layer.kernel_h > 1)},
        over_read={0: -layer.depth % 4 if layer.kernel_h == 1 else 0},
        cycles=matmul_plain_cycles(steps, twos, ones, pixels) + copy_cycles(layer),
        code_bytes=156 if not copied else 596 if inner_pixels(layer) < pixels else 400,
        shared_code=shared("mcugen_matmul_plain_s8_dsp"),
        variant="dsp",
    )


def copy_cycles(layer: ConvLayer) -> float:
    """Copying all windows that are not read in place; fitted, within 3 % of a layer."""
    inner = inner_pixels(layer)
    outer = layer.out_h * layer.out_w - inner
    runs = layer.kernel_h * (1 if layer.dilation_w == 1 else layer.kernel_w)
    words = -(-layer.kernel_w * layer.in_c // 4)
    edge = outer * (166 + 2.9 * runs + 3.1 * layer.depth)
    return edge if layer.kernel_h == 1 else edge + inner * layer.kernel_h * (1.7 + 8 * words)

"""Cycles of the scalar kernels on a Cortex-M0+: instruction counts of the loops, the rest fitted to measurements.

Compiled by gcc 12 with -O2: within 5 % of the layers measured, within 11 % of those that are all overhead.
"""

from __future__ import annotations

from mcugen.kernels.conv2d_dsp import inner_pixels
from mcugen.kernels.layer import ConvLayer


def matmul_cycles(steps: int, channels: int, pixels: int) -> float:
    """All calls of `mcugen_matmul_s8_scalar`; an odd last pixel costs like a pair."""
    channel = 26 * steps + 3 * -(-steps // 4) + 55
    return (120 + channels * channel) * ((pixels + 1) // 2)


def matvec_cycles(steps: int, channels: int) -> float:
    """One call of `mcugen_matvec_s8_scalar`."""
    return 110 + (31 * steps + 3 * -(-steps // 4) + 58) * ((channels + 1) // 2)


def column_cycles(depth: int, *, aligned: bool) -> float:
    """One call of `mcugen_column_s8_scalar`."""
    return 66 + (18 if aligned else 32) * (depth // 4) + (68 if depth % 4 else 0)


def window_cycles(layer: ConvLayer) -> float:
    """Unpacking all windows, those inside the image and those over its edge."""
    pixels = layer.out_h * layer.out_w
    inner = inner_pixels(layer)
    runs = layer.kernel_h * (1 if layer.dilation_w == 1 else layer.kernel_w)
    if layer.in_c % 4 == 0:
        return pixels * (80 + 4.5 * layer.depth) + inner * 90 * layer.kernel_h + (pixels - inner) * 190 * runs
    return pixels * (281 + 43 * layer.kernel_h + 9.8 * layer.depth) + (pixels - inner) * 90 * runs


def depthwise_cycles(layer: ConvLayer, columns: int) -> float:
    """The whole of `mcugen_depthwise_conv2d_s8_scalar` with strips of `columns` columns."""
    taps = layer.kernel_h * layer.kernel_w
    pairs = (taps + 1) // 2
    strip = layer.kernel_h * (90 + 17.3 * columns)
    rows = 70 + 10 * taps + layer.out_w * (65 + 12 * pairs + 3 * -(-pairs // 5))
    return (layer.out_h + 1) // 2 * (layer.in_c * strip + layer.out_c * rows)


def depthwise_place_cycles(layer: ConvLayer, columns: int) -> float:
    """The whole of `mcugen_depthwise_conv2d_place_s8_scalar` with strips of `columns` columns."""
    taps = layer.kernel_h * layer.kernel_w
    pairs = (taps + 1) // 2
    strip = layer.kernel_h * (90 + 17.3 * columns)
    rows = 60 + layer.out_w * (65 + 12 * pairs + 3 * -(-pairs // 5))
    channel = 40 + 10 * taps + (layer.out_h + 1) // 2 * (strip + rows) + 8.5 * layer.out_h * layer.out_w
    return layer.out_c * channel


def int4_cycles(layer: ConvLayer, *, grouped: bool, point: bool) -> float:
    """The whole of `mcugen_conv2d_int4_s8_scalar`."""
    depth, pixels = layer.depth, layer.out_h * layer.out_w
    groups = -(-depth // 32) if grouped else 1
    block = 23 * depth + 76 * -(-depth // 16) + 263 * groups + 617
    rest = layer.out_c % 8 * (11 * depth + 60 * groups)
    window = 0 if point else 60 + 90 * layer.kernel_h + 27 * depth
    return pixels * (layer.out_c // 8 * block + rest + 7 * depth + window)

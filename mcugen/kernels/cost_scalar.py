"""Cycles of the scalar kernels on a Cortex-M0+: instruction counts of the loops, the rest fitted to measurements."""

from __future__ import annotations

from mcugen.kernels.layer import ConvLayer


def matmul_cycles(steps: int, channels: int, pixels: int) -> float:
    """All calls of `mcugen_matmul_s8_scalar`; an odd last pixel costs like a pair."""
    channel = 26 * steps + 3 * -(-steps // 4) + 65
    return (110 + channels * channel) * ((pixels + 1) // 2)


def matvec_cycles(steps: int, channels: int) -> float:
    """One call of `mcugen_matvec_s8_scalar`."""
    return 110 + (31 * steps + 3 * -(-steps // 4) + 65) * ((channels + 1) // 2)


def column_cycles(steps: int) -> float:
    """One call of `mcugen_column_s8_scalar` with aligned inputs."""
    return 40 + 20 * steps


def depthwise_cycles(layer: ConvLayer, columns: int) -> float:
    """The whole of `mcugen_depthwise_conv2d_s8_scalar` with strips of `columns` columns."""
    pairs = (layer.kernel_h * layer.kernel_w + 1) // 2
    strip = layer.kernel_h * (60 + 15 * columns)
    rows = 120 + 20 * pairs + layer.out_w * (64 + 12 * pairs)
    return (layer.out_h + 1) // 2 * (layer.in_c * strip + layer.out_c * rows)

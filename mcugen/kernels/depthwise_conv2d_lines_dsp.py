"""Depthwise convolution along lines on cores with the DSP instructions: four outputs and two taps at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
BLOCK = 4
"""Outputs along a line at a time."""
LINE, PAIR = 122.0, 20.2
ROW, OUTPUTS, TAPS, TERM = 39.5, 11.7, 10.6, 13.9
ONE_ROW_BYTES, ROWS_BYTES, TERM_BYTES = 464, 580, 32


@dataclass(frozen=True)
class Axis:
    """The layer along the height or the width; steps in bytes."""

    size: int
    step: int
    out_size: int
    out_step: int
    pad: int
    stride: int
    taps: int

    @property
    def terms(self) -> int:
        """Products of two taps in a row of the window."""
        return self.taps // 2 + 1

    @property
    def words(self) -> int:
        """Pairs of columns that the outputs of a line read, rounded up to whole blocks."""
        blocks = -(-self.out_size // BLOCK)
        return (2 * blocks if self.stride == 1 else BLOCK * blocks) + self.terms


def axes(layer: ConvLayer, *, along_height: bool) -> tuple[Axis, Axis]:
    """The axis along the lines and the one across."""
    c = layer.in_c
    height = Axis(
        layer.in_h, layer.in_w * c, layer.out_h, layer.out_w * c, layer.pad_top, layer.stride_h, layer.kernel_h
    )
    width = Axis(layer.in_w, c, layer.out_w, c, layer.pad_left, layer.stride_w, layer.kernel_w)
    return (height, width) if along_height else (width, height)


def pack_weights(layer: ConvLayer, *, along_height: bool) -> npt.NDArray[np.uint32]:
    """The stream of depthwise_conv2d_lines_s8_dsp.h."""
    along, across = axes(layer, along_height=along_height)
    taps = layer.weights.reshape(layer.out_c, layer.kernel_h, layer.kernel_w)
    taps = taps.transpose(0, 2, 1) if along_height else taps
    pairs = np.zeros((2, layer.out_c, across.taps, 2 * along.terms), np.int8)
    pairs[0, :, :, : along.taps] = taps
    if along.stride == 1:
        pairs[1, :, :, 1 : along.taps + 1] = taps
    # [channel, row of taps, term, tap of the pair, A or B]
    tiles = pairs.reshape(2, layer.out_c, across.taps, along.terms, 2).transpose(1, 2, 3, 4, 0)
    words = np.ascontiguousarray(tiles).view(np.uint8).reshape(layer.out_c, -1).view("<u4").astype(np.int64)
    head = np.stack(
        [layer.bias.astype(np.int64), layer.multiplier.astype(np.int64), layer.shift.astype(np.int64)], axis=1
    )
    return (np.concatenate([head, words], axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The kernel along the axis on which the window is longer, for layers of one output a channel without dilation."""
    if "dsp" not in target.variants or layer.out_c != layer.in_c or (layer.dilation_h, layer.dilation_w) != (1, 1):
        return
    along_height = layer.kernel_h > layer.kernel_w
    along, across = axes(layer, along_height=along_height)
    if along.stride > 2 or along.taps < 3 or across.stride > across.taps:
        return
    keeps_shape = (layer.in_h, layer.in_w) == (layer.out_h, layer.out_w) and along.stride == across.stride == 1
    yield KernelCall(
        function="mcugen_depthwise_conv2d_lines_s8_dsp",
        headers=("depthwise_conv2d_lines_s8_dsp.h",),
        params={
            "in_columns": along.size,
            "in_rows": across.size,
            "in_column_step": along.step,
            "in_row_step": across.step,
            "out_columns": along.out_size,
            "out_rows": across.out_size,
            "out_column_step": along.out_step,
            "out_row_step": across.out_step,
            "channels": layer.in_c,
            "pad_column": along.pad,
            "pad_row": across.pad,
            "stride_column": along.stride,
            "stride_row": across.stride,
            "taps_across": across.taps,
            "terms": along.terms,
            "words": along.words,
            "in_zero_point": layer.in_zero_point,
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"weights": pack_weights(layer, along_height=along_height)},
        scratch=16 * across.taps * along.words,
        in_place=0 if keeps_shape and across.pad < across.taps else None,
        over_read={0: -layer.in_c % 4},
        cycles=lines_cycles(layer, along, across),
        code_bytes=ONE_ROW_BYTES if across.taps == 1 else ROWS_BYTES + TERM_BYTES * along.terms,
        variant="dsp",
    )


def lines_cycles(layer: ConvLayer, along: Axis, across: Axis) -> float:
    """Cortex-M4 cycles, fitted to 16 measured layers (within 8 %): what is unpacked, and each block of outputs."""
    lines = (across.out_size - 1) * across.stride + across.taps
    unpacked = -(-layer.in_c // 4) * lines * (LINE + PAIR * along.words)
    blocks = -(-along.out_size // BLOCK)
    row = ROW + blocks * (OUTPUTS + across.taps * (TAPS + TERM * along.terms))
    return unpacked + layer.in_c * across.out_size * row

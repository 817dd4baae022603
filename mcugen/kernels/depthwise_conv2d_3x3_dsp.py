"""3x3 depthwise convolution, stride 1, on cores with the DSP instructions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "depthwise_conv2d"
COLUMN_BYTES = 32
STRIP_ROWS = 6
"""Output rows computed from one strip of 8 input rows."""
STEP_LIMIT = 1 << 16
UNPACK_CALL, UNPACK_COLUMN, KEPT_COLUMN, STRIP_OF_PAIR = 34.0, 7.4, 7.0, 310.0
ROW, OUTPUT = 43.0, 14.35
ONE_STRIP_BYTES, STRIPS_BYTES, KEPT_STRIPS_BYTES = 272, 380, 456
"""Code of one layer of a single strip, of several, and of several in place."""
SHARED_BYTES, SHARED_CYCLES = 96, 1.02
BLOCKS = ("mcugen_depthwise_rows_s8_dsp", "mcugen_depthwise_unpack_s8_dsp")


@dataclass(frozen=True)
class Lines:
    """The layer as the kernel walks it: outputs along columns, one row after the other; steps in bytes."""

    in_columns: int
    in_rows: int
    in_column_step: int
    in_row_step: int
    out_columns: int
    out_rows: int
    out_column_step: int
    out_row_step: int
    channels: int
    pad_column: int
    pad_row: int

    @property
    def strip_columns(self) -> int:
        return self.out_columns + 2

    @property
    def scratch(self) -> int:
        return self.strip_columns * COLUMN_BYTES

    def rows_of_strips(self) -> list[int]:
        """The number of output rows of each strip."""
        return [min(STRIP_ROWS, self.out_rows - first) for first in range(0, self.out_rows, STRIP_ROWS)]


def lines_of(layer: ConvLayer, *, along_height: bool) -> Lines:
    """The layer with its columns along the width or, transposed, along the height."""
    c = layer.in_c
    height = (layer.in_h, layer.in_w * c, layer.out_h, layer.out_w * c, layer.pad_top)
    width = (layer.in_w, c, layer.out_w, c, layer.pad_left)
    along, across = (height, width) if along_height else (width, height)
    return Lines(
        in_columns=along[0],
        in_rows=across[0],
        in_column_step=along[1],
        in_row_step=across[1],
        out_columns=along[2],
        out_rows=across[2],
        out_column_step=along[3],
        out_row_step=across[3],
        channels=c,
        pad_column=along[4],
        pad_row=across[4],
    )


def applies(layer: ConvLayer, stride: int) -> bool:
    """Whether this is a 3x3 layer of one output a channel with that stride, whose scaled weights fit int16."""
    shape = (layer.kernel_h, layer.kernel_w, layer.dilation_h, layer.dilation_w, layer.stride_h, layer.stride_w)
    if shape != (3, 3, 1, 1, stride, stride) or layer.out_c != layer.in_c or max(layer.pad_top, layer.pad_left) > 2:
        return False
    return bool(np.abs(layer.weights.astype(np.int64)).max() << int(layer.shift.max()) <= 32767)


def pack_weights(layer: ConvLayer, *, along_height: bool) -> npt.NDArray[np.uint32]:
    """Records of 5 words a channel, as depthwise_rows_s8_dsp.h describes them."""
    taps = layer.weights.reshape(layer.out_c, 3, 3)
    if along_height:
        taps = taps.transpose(0, 2, 1)
    order = [0, 1, 3, 4, 2, 6, 5, 7, 8]
    records = np.zeros((layer.out_c, 20), np.uint8)
    records[:, :9] = taps.reshape(layer.out_c, 9)[:, order].view(np.uint8)
    records[:, 9] = layer.shift
    words = records.view("<u4").astype(np.uint32)
    words[:, 3] = ((layer.bias.astype(np.int64) << layer.shift.astype(np.int64)) & 0xFFFFFFFF).astype(np.uint32)
    words[:, 4] = layer.multiplier.astype(np.uint32)
    return words.reshape(-1)


def strip_overlap(lines: Lines) -> int:
    """How far before its input the output must begin where strips are the outer loop, so that nothing is lost."""
    distance = 0
    for first in range(0, lines.out_rows, STRIP_ROWS):
        written = min(first + STRIP_ROWS, lines.out_rows) * lines.out_row_step
        needed = max(0, first - lines.pad_row) * lines.in_row_step
        distance = max(distance, written - needed)
    return distance


def lines_cycles(lines: Lines, *, in_place: bool) -> float:
    """Cortex-M4 cycles, fitted to 18 measured layers (within 5 %)."""
    strips = lines.rows_of_strips()
    pairs = (lines.channels + 1) // 2
    words = sum((rows + 3) // 2 for rows in strips)
    kept = len(strips) - 1 if in_place else 0
    unpacked = (words - kept) * (UNPACK_CALL + UNPACK_COLUMN * (1.2 if lines.channels % 2 else 1.0) * lines.in_columns)
    rows = lines.channels * lines.out_rows * (ROW + OUTPUT * lines.out_columns)
    return pairs * (unpacked + kept * KEPT_COLUMN * lines.in_columns + len(strips) * STRIP_OF_PAIR) + rows


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """In place where the sizes allow it, along either direction, and strip after strip; specialised or shared."""
    if "dsp" not in target.variants or not applies(layer, 1):
        return
    keeps_size = (layer.in_h, layer.in_w) == (layer.out_h, layer.out_w)
    ways = [(False, False)]
    if keeps_size:
        ways = [(True, False), *([(True, True)] if layer.in_h != layer.in_w else []), (False, False)]
    for in_place, along_height in ways:
        lines = lines_of(layer, along_height=along_height)
        if max(lines.in_column_step, lines.out_column_step) < STEP_LIMIT:
            call = call_of(layer, lines, in_place=in_place, along_height=along_height)
            yield call
            yield replace(
                call,
                inline=False,
                code_bytes=SHARED_BYTES,
                shared_code=shared(*BLOCKS, "mcugen_depthwise_conv2d_3x3_s8_dsp_shared"),
                cycles=call.cycles * SHARED_CYCLES,
            )


def call_of(layer: ConvLayer, lines: Lines, *, in_place: bool, along_height: bool) -> KernelCall:
    """The kernel call for one way to walk the layer."""
    return KernelCall(
        function="mcugen_depthwise_conv2d_3x3_s8_dsp",
        headers=("depthwise_conv2d_3x3_s8_dsp.h",),
        params={
            "in_columns": lines.in_columns,
            "in_rows": lines.in_rows,
            "in_column_step": lines.in_column_step,
            "in_row_step": lines.in_row_step,
            "out_columns": lines.out_columns,
            "out_rows": lines.out_rows,
            "out_column_step": lines.out_column_step,
            "out_row_step": lines.out_row_step,
            "channels": lines.channels,
            "pad_column": lines.pad_column,
            "pad_row": lines.pad_row,
            "in_place": int(in_place),
            "in_zero_point": layer.in_zero_point,
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"weights": pack_weights(layer, along_height=along_height)},
        scratch=lines.scratch,
        overlap={} if in_place else {0: strip_overlap(lines)},
        in_place=0 if in_place else None,
        over_read={0: layer.in_c & 1},
        cycles=lines_cycles(lines, in_place=in_place),
        code_bytes=ONE_STRIP_BYTES if lines.out_rows <= STRIP_ROWS else KEPT_STRIPS_BYTES if in_place else STRIPS_BYTES,
        shared_code=shared(*BLOCKS),
        variant="dsp",
    )

"""What the DSP kernels of pools share: where their output may overlap the input, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcugen.kernels.overlap import convolution_distance

SMALL = 9
"""Whole windows of up to so many taps are unrolled (MCUGEN_POOL_SMALL)."""


@dataclass(frozen=True)
class PoolCycles:
    """Cortex-M4 cycles, fitted to measured pools: of unrolled windows, a word of four channels and each of its taps; of
    others, a pixel, a row of eight channels or one, eight channels and their taps, one channel and its taps."""

    word: float
    word_tap: float
    pixel: float
    row: float
    eight: float
    eight_tap: float
    one: float
    one_tap: float


def pool_overlap(params: Mapping[str, int], in_bytes: int = 1, out_bytes: int = 1) -> int:
    """How far before its input the output of a pool must begin that computes pixel after pixel, row by row."""
    return convolution_distance(
        (params["in_h"], params["in_w"], params["channels"]),
        (params["out_h"], params["out_w"], params["channels"]),
        kernel=(params["kernel_h"], params["kernel_w"]),
        stride=(params["stride_h"], params["stride_w"]),
        pad=(params["pad_top"], params["pad_left"]),
        dilation=(params["dilation_h"], params["dilation_w"]),
        input_bytes=in_bytes,
        output_bytes=out_bytes,
    )


def pool_cycles(params: Mapping[str, int], cost: PoolCycles) -> float:
    """Cycles of a whole pool."""
    rows, columns = taps_of(params, "h"), taps_of(params, "w")
    pixels, channels = len(rows) * len(columns), params["channels"]
    kernel = params["kernel_h"] * params["kernel_w"]
    whole = 0
    if kernel <= SMALL:
        whole = int(np.sum(rows == params["kernel_h"]) * np.sum(columns == params["kernel_w"]))
    taps = int(rows.sum() * columns.sum()) - whole * kernel
    merged = params["kernel_w"] == params["in_w"]
    lines = (pixels - whole) if merged else int(rows.sum()) * len(columns) - whole * params["kernel_h"]
    eights, ones, words, tail = channels // 8, channels % 8, channels // 4, channels % 4
    unrolled = whole * (7 + words * max(4.0 * kernel, cost.word + cost.word_tap * kernel))
    if tail:
        unrolled += whole * (cost.pixel + tail * (cost.one + cost.row * params["kernel_h"] + cost.one_tap * kernel))
    general = (pixels - whole) * (cost.pixel + eights * cost.eight + ones * cost.one)
    inner = lines * cost.row * (eights + ones) + taps * (eights * cost.eight_tap + ones * cost.one_tap)
    return unrolled + general + inner


def taps_of(params: Mapping[str, int], axis: str) -> npt.NDArray[np.int64]:
    """How many taps lie on the image, for every output along "h" or "w"."""
    pad = params["pad_top" if axis == "h" else "pad_left"]
    start = np.arange(params[f"out_{axis}"]) * params[f"stride_{axis}"] - pad
    taps = start[:, None] + np.arange(params[f"kernel_{axis}"]) * params[f"dilation_{axis}"]
    return np.asarray(np.sum((taps >= 0) & (taps < params[f"in_{axis}"]), axis=1), np.int64)

"""Convolution with few input channels on cores with the DSP instructions: short kernel rows, read straight from the
image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcugen.kernels.conv2d_dsp import inner_pixels, pixel_overlap
from mcugen.kernels.cost_dsp import matmul_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_dsp import Int64, blocks_of_3_and_2, pack_stream, round_up, scaled_requantization
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"
MAX_ROW_WORDS = 4
BATCH_BYTES = 512
"""Columns of several pixel pairs are unpacked at once up to this size."""


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_first_s8_dsp` kernel, for one group, at least 2 output channels and kernel rows of at most 17 bytes.

    A row whose length is 1 more than a multiple of 4 may be read with its first byte apart, or filled up to whole
    words.
    """
    if "dsp" not in target.variants or layer.groups != 1 or layer.out_c < 2:
        return
    scaled = scaled_requantization(layer)
    if scaled is None:
        return
    run = layer.kernel_w * layer.in_c
    for head in (0, 1):
        words = -(-(run - head) // 4)
        if words <= MAX_ROW_WORDS and (head == 0 or run % 4 == 1):
            yield _call(layer, scaled, head, words)


def _call(layer: ConvLayer, scaled: tuple[Int64, Int64], head: int, words: int) -> KernelCall:
    weights = arrange(layer, head, words)
    threes, twos = blocks_of_3_and_2(layer.out_c)
    pixels = layer.out_h * layer.out_w
    steps = weights.shape[1] // 4
    batch = max(1, min(BATCH_BYTES // (16 * steps), pixels // 2))
    params = {**convolution_params(layer), "row_head": head, "row_words": words, "blocks3": threes, "batch": batch}
    return KernelCall(
        function="mcugen_conv2d_first_s8_dsp",
        headers=("conv2d_first_s8_dsp.h",),
        params=params,
        constants={"weights": pack_stream(weights, *scaled, [3] * threes + [2] * twos)},
        scratch=16 * steps * batch + layer.kernel_h * round_up(head + 4 * words, 4),
        overlap={0: pixel_overlap(layer, 2 * batch)},
        over_read={0: head + 4 * words - layer.kernel_w * layer.in_c},
        cycles=matmul_cycles(steps, threes, twos, pixels, batch) + first_window_cycles(layer, steps, head),
        code_bytes=288 if layer.kernel_h * layer.kernel_w == 1 else 720 if layer.pad_top or layer.pad_left else 628,
        shared_code=shared("mcugen_matmul_s8_dsp"),
        variant="dsp",
    )


def arrange(layer: ConvLayer, head: int, words: int) -> Int64:
    """The weights `[out_c, 4 * steps]` in the order in which the kernel unpacks a window."""
    rows = np.zeros((layer.out_c, layer.kernel_h, head + 4 * words), np.int64)
    rows[:, :, : layer.kernel_w * layer.in_c] = layer.weights.reshape(layer.out_c, layer.kernel_h, -1)
    if not head:
        return rows.reshape(layer.out_c, -1)
    parts = []
    waiting: list[Int64] = []
    for ky in range(layer.kernel_h):
        waiting.insert(0, rows[:, ky, 0])
        if (layer.kernel_h - ky) % 4 == 1:
            waiting += [np.zeros(layer.out_c, np.int64)] * (4 - len(waiting))
            parts.append(np.stack(waiting, axis=1))
            waiting = []
        parts.append(rows[:, ky, 1:])
    return np.concatenate(parts, axis=1)


def first_window_cycles(layer: ConvLayer, steps: int, head: int) -> float:
    """Unpacking all windows, `steps` words each; fitted, within 3 % of a layer."""
    pixels = layer.out_h * layer.out_w
    outer = pixels - inner_pixels(layer)
    runs = layer.kernel_h * (1 if layer.dilation_w == 1 else layer.kernel_w)
    inside = 3.5 + 6.1 * steps + layer.kernel_h * (4.2 + 1.6 * head)
    return pixels * inside + outer * (119 + 17.7 * runs + 3.2 * layer.depth)

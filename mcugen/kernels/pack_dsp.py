"""Weight streams of the DSP matrix kernels; runtime_c/matmul_s8_dsp.h and matvec_s8_dsp.h derive the arithmetic.

Four weights b0..b3 are the two int16 `256*b0 + b1` and `256*b2 + b3`; the accumulator is scaled by 256, so the
multipliers are divided by 256 and the shift becomes a factor of the multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize_s8
from mcugen.kernels.layer import ConvLayer

Words = npt.NDArray[np.uint32]
Int64 = npt.NDArray[np.int64]

ACCUMULATOR_LIMIT = 1 << 23
"""`256 * acc` has to fit int32."""


def round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def scaled_requantization(layer: ConvLayer) -> tuple[Int64, Int64] | None:
    """Bias and multiplier of every channel for an accumulator scaled by 256, or None where the layer does not allow it.

    Returns int64 `[out_c]` each: the unscaled bias and the multiplier `M / 256 * 2^shift` in [0, 2^31).  A channel
    without weights has a constant output, which is written as such, so that its multiplier may be any.  None: a weight
    of -128, an accumulator that can reach 2^23, a multiplier that is not a multiple of 256 or too large.
    """
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    bias = layer.bias.astype(np.int64)
    multiplier = layer.multiplier.astype(np.int64)
    constant = ~weights.any(axis=1)
    value = requantize_s8(bias, multiplier, layer.shift, layer.out_zero_point).astype(np.int64)
    bias = np.where(constant, 2 * (value - layer.out_zero_point), bias)
    multiplier = np.where(constant, 1 << 31, multiplier << layer.shift.astype(np.int64))
    largest = np.abs(bias) + 128 * np.abs(weights).sum(axis=1)
    fits = weights.min() >= -127 and largest.max() < ACCUMULATOR_LIMIT
    if not fits or np.any(multiplier % 256) or np.any(multiplier >= 1 << 39):
        return None
    return bias, multiplier // 256


def pack_words(weights: Int64) -> Words:
    """`[rows, K]` weights in [-127, 127] as `[K / 4, rows]` words `{256*b0 + b1, 256*b2 + b3}`; K filled with zeros."""
    rows, depth = weights.shape
    padded = np.zeros((rows, round_up(depth, 4)), np.int64)
    padded[:, :depth] = weights
    halves = (256 * padded[:, 0::2] + padded[:, 1::2]) & 0xFFFF
    return (halves[:, 0::2] | halves[:, 1::2] << 16).T.astype(np.uint32)


def pack_stream(weights: Int64, bias: Int64, multiplier: Int64, blocks: Sequence[int]) -> Words:
    """The weight stream: for every block of `n` channels initial[n], W[K / 4][n], multiplier[n].

    `weights`: `[out_c, K]` in the order of the column; `bias`, `multiplier`: from `scaled_requantization`; `blocks`:
    the numbers of channels of the blocks, in order, `out_c` in all.
    """
    initial = (256 * bias - 127 * weights[:, 1::2].sum(axis=1)) & 0xFFFFFFFF
    parts: list[Words] = []
    first = 0
    for rows in blocks:
        channels = slice(first, first + rows)
        parts.append(initial[channels].astype(np.uint32))
        parts.append(pack_words(weights[channels]).reshape(-1))
        parts.append(multiplier[channels].astype(np.uint32))
        first += rows
    return np.concatenate(parts)


def pack_words24(numbers: Int64) -> Words:
    """Four numbers in [0, 2^24) as the three words of runtime_c/words24.h."""
    lowest = numbers[3] >> np.array([0, 8, 16]) & 0xFF
    words: Words = (numbers[:3] << 8 | lowest).astype(np.uint32)
    return words


def pack_column_stream(weights: Int64, bias: Int64, multiplier: Int64) -> Words | None:
    """The weight stream of the matvec kernels, blocks of 4 channels and then of 1; None where a multiplier reaches 2^24.

    Arguments as of `pack_stream`.  The initial values of 4 channels keep 24 bits each: as much is added to them as lets
    the kernel take the exact sum by clearing its lowest byte.
    """
    if np.any(multiplier >= 1 << 24):
        return None
    initial = (256 * bias - 127 * weights[:, 1::2].sum(axis=1)) & 0xFFFFFFFF
    parts: list[Words] = []
    for first in range(0, len(weights) - 3, 4):
        channels = slice(first, first + 4)
        upper = initial[channels].copy()
        upper[3] = (upper[3] + 255 >> 8) & 0xFFFFFF
        below = upper[3] >> np.array([0, 8, 16]) & 0xFF
        upper[:3] = (upper[:3] - below + 255 >> 8) & 0xFFFFFF
        parts += [pack_words24(upper), pack_words(weights[channels]).reshape(-1), pack_words24(multiplier[channels])]
    ones = len(weights) // 4 * 4
    if ones < len(weights):
        rest = slice(ones, None)
        parts.append(pack_stream(weights[rest], bias[rest], multiplier[rest], [1] * (len(weights) - ones)))
    return np.concatenate(parts)


def pack_plain_stream(layer: ConvLayer, blocks: Sequence[int]) -> Words:
    """The stream without conditions: for every block of `n` channels bias[n], W[K / 4][n], shift[n], multiplier[n].

    A word W is four int8 weights; K is filled up with zeros.
    """
    flat = layer.weights.reshape(layer.out_c, -1)
    padded = np.zeros((layer.out_c, round_up(flat.shape[1], 4)), np.int8)
    padded[:, : flat.shape[1]] = flat
    words = padded.view("<u4")
    parts: list[Words] = []
    first = 0
    for rows in blocks:
        channels = slice(first, first + rows)
        parts.append(layer.bias[channels].astype(np.int32).view(np.uint32))
        parts.append(words[channels].T.reshape(-1).astype(np.uint32))
        parts.append(layer.shift[channels].astype(np.uint32))
        parts.append(layer.multiplier[channels].astype(np.int32).view(np.uint32))
        first += rows
    return np.concatenate(parts)


def blocks_of_3_and_2(channels: int) -> tuple[int, int]:
    """How many blocks of 3 and of 2 channels make `channels` (at least 2), with as many of 3 as possible."""
    twos = -channels % 3
    return (channels - 2 * twos) // 3, twos

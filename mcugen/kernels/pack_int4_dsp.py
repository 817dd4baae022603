"""Weight streams of the DSP kernels for weights of 4 bits; runtime_c/matvec_int4_s8_dsp.h derives the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize_s8
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_dsp import round_up

Words = npt.NDArray[np.uint32]
Int64 = npt.NDArray[np.int64]

SCALE = 128
"""Of the accumulator."""
ACCUMULATOR_LIMIT = (1 << 31) // SCALE
HIGH, LOW = (0, 4, 2, 6), (1, 5, 3, 7)
"""Which of 8 inputs the upper and the lower halves of a word's bytes meet."""


def int4_requantization(layer: ConvLayer) -> tuple[Int64, Int64] | None:
    """Bias and multiplier `M / 128 * 2^shift` in [0, 2^31) of every channel, or None where the layer does not allow it.

    A channel without weights has a constant output, which is written as such, so that its multiplier may be any.
    """
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    bias, multiplier = layer.bias.astype(np.int64), layer.multiplier.astype(np.int64)
    constant = ~weights.any(axis=1)
    value = requantize_s8(bias, multiplier, layer.shift, layer.out_zero_point).astype(np.int64)
    bias = np.where(constant, 2 * (value - layer.out_zero_point), bias)
    multiplier = np.where(constant, 1 << 31, multiplier << layer.shift.astype(np.int64))
    largest = np.abs(bias) + 128 * np.abs(weights).sum(axis=1)
    if largest.max() >= ACCUMULATOR_LIMIT or np.any(multiplier % SCALE) or np.any(multiplier >= SCALE << 31):
        return None
    return bias, multiplier // SCALE


def pack_int4_words(weights: Int64) -> Words:
    """`[rows, K]` weights in [-8, 7] as `[rows, K / 8]` words; K filled with zeros."""
    rows, depth = weights.shape
    padded = np.zeros((rows, round_up(depth, 8)), np.int64)
    padded[:, :depth] = weights
    eights = padded.reshape(rows, -1, 8)
    octets = (16 * eights[..., HIGH] + eights[..., LOW] + 8) & 0xFF
    words: Words = (octets << np.array([0, 8, 16, 24])).sum(axis=2).astype(np.uint32)
    return words


def pack_int4_stream(weights: Int64, bias: Int64, multiplier: Int64, blocks: Sequence[int]) -> Words:
    """The weight stream: for every block of `n` channels initial[n], W[K / 8][n], multiplier[n]."""
    words = pack_int4_words(weights)
    initial = (SCALE * bias & 0xFFFFFFFF).astype(np.uint32)
    parts: list[Words] = []
    first = 0
    for rows in blocks:
        channels = slice(first, first + rows)
        parts += [initial[channels], words[channels].T.reshape(-1), multiplier[channels].astype(np.uint32)]
        first += rows
    return np.concatenate(parts)

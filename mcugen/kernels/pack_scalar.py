"""Weight streams of the scalar matrix kernels; runtime_c/matmul_s8_scalar.h derives the arithmetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import requantize_s8
from mcugen.kernels.layer import ConvLayer

Words = npt.NDArray[np.uint32]
Int64 = npt.NDArray[np.int64]

MULTIPLIER_LIMIT = 1 << 23
PAIR_LIMIT = 255
"""Two weights whose magnitudes add up to no more have products with int8 activations that add up within int16."""


def round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def scalar_requantization(layer: ConvLayer) -> tuple[Int64, Int64] | None:
    """Bias and multiplier `M / 256 * 2^shift` in [0, 2^23) of every channel, or None where the layer does not allow it.

    A channel without weights has a constant output, which is written as such, so that its multiplier may be any.
    """
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    bias = layer.bias.astype(np.int64)
    multiplier = layer.multiplier.astype(np.int64) << layer.shift.astype(np.int64)
    constant = ~weights.any(axis=1)
    value = requantize_s8(bias, layer.multiplier, layer.shift, layer.out_zero_point).astype(np.int64)
    bias = np.where(constant, 4 * (value - layer.out_zero_point), bias)
    multiplier = np.where(constant, 1 << 30, multiplier)
    if np.any(multiplier % 256) or np.any(multiplier >= 256 * MULTIPLIER_LIMIT):
        return None
    multiplier //= 256
    largest = np.abs(bias) + 128 * np.abs(weights).sum(axis=1)
    if np.any(largest >= 1 << 31) or np.any(((largest >> 16) + 1) * multiplier + (1 << 24) >= 1 << 31):
        return None
    return bias, multiplier


def pack_words(weights: Int64) -> Words | None:
    """`[rows, K]` weights as `[rows, K / 4]` words, K filled up with zeros; None where two of a word are too large."""
    rows, depth = weights.shape
    padded = np.zeros((rows, round_up(depth, 4)), np.int64)
    padded[:, :depth] = weights
    v0, v1, v2, v3 = (padded[:, i::4] for i in range(4))
    if max((np.abs(v0) + np.abs(v2)).max(), (np.abs(v1) + np.abs(v3)).max()) > PAIR_LIMIT:
        return None
    words = (v2 + 128) + ((v0 + 128) << 16) + 256 * (v3 + 128 + (v1 << 16))
    return np.asarray((words & 0xFFFFFFFF).astype(np.uint32))


def pack_stream(layer: ConvLayer, rows: int) -> Words | None:
    """The stream: for every block of `rows` channels bias[rows], W[K / 4][rows], m[rows].

    The last block is filled up with channels of zeros.  None where the layer's integers are out of the kernels' range.
    """
    scaled = scalar_requantization(layer)
    words = pack_words(layer.weights.reshape(layer.out_c, -1).astype(np.int64))
    if scaled is None or words is None:
        return None
    bias, multiplier = (column.astype(np.int32).view(np.uint32)[:, None] for column in scaled)
    channels = np.concatenate([bias, words, multiplier], axis=1)
    missing = -layer.out_c % rows
    blocks = np.concatenate([channels, np.zeros((missing, channels.shape[1]), np.uint32)])
    # a channel that is not there has weights of zero, not words of zero: bytes 0 to 2 hold 128
    blocks[layer.out_c :, 1:-1] = 0x00808080
    return np.ascontiguousarray(blocks.reshape(-1, rows, channels.shape[1]).transpose(0, 2, 1)).reshape(-1)

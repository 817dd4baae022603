"""What the DSP kernels that read or write int16 share: packed weights, requantization without shifts, how results are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_codes_dsp import pack_halves
from mcugen.kernels.pack_dsp import round_up

Words = npt.NDArray[np.uint32]
Int64 = npt.NDArray[np.int64]

STORE_S8, STORE_S16, STORE_U15 = 0, 1, 2
MOST_SHIFT = 7
"""An int8, also less its zero point, times 2^7 fits int16."""
ORDER_OF_INT16 = (2, 0, 3, 1)
"""The inputs of a group of four whose weights are a word's bytes, lowest first; runtime_c/matmul_s16_dsp.h says why."""
ORDER_OF_INT8 = (1, 0, 3, 2)
ORDER_OF_INT4 = (0, 2, 4, 6, 1, 3, 5, 7)
"""The inputs of a group of eight whose weights of 4 bits are a word's halves of bytes, lowest first (matmul_int4_s16_dsp.h)."""
INT4_OFFSET = 8
"""What is added to these weights."""


@dataclass(frozen=True)
class Requantization:
    """How many bits inputs are shifted up, and for that the bias and the multiplier of every channel, int64 [out_c]."""

    in_shift: int
    bias: Int64
    multiplier: Int64


def requantization(layer: ConvLayer) -> Requantization | None:
    """The layer's requantization with one shift for all channels, on the inputs; None where that is not exact or does not fit."""
    shift = layer.shift.astype(np.int64)
    common = int(shift.max(initial=0))
    divisor = 1 << (common - shift)
    multiplier, bias = layer.multiplier.astype(np.int64), layer.bias.astype(np.int64) << common
    if common > (MOST_SHIFT if layer.in_dtype == "int8" else 0) or np.any(multiplier % divisor):
        return None
    if layer.max_accumulator << common >= 1 << 31:
        return None
    return Requantization(common, bias, multiplier // divisor)


def store_kind(dtype: str, act_min: int) -> int:
    """How results are stored: MCUGEN_STORE_ of clamp_s16.h."""
    if dtype == "int8":
        return STORE_S8
    return STORE_U15 if act_min >= 0 else STORE_S16


def pack_words_s16(weights: Int64, order: Sequence[int]) -> Words:
    """`[rows, K]` int8 weights as `[K / 4, rows]` words, the inputs of each group of four in `order`; K filled with zeros."""
    rows, depth = weights.shape
    padded = np.zeros((rows, round_up(depth, 4)), np.int64)
    padded[:, :depth] = weights
    groups = padded.reshape(rows, -1, 4)[:, :, list(order)] & 0xFF
    words = groups[..., 0] | groups[..., 1] << 8 | groups[..., 2] << 16 | groups[..., 3] << 24
    return words.T.astype(np.uint32)


def pack_stream_s16(layer: ConvLayer, scale: Requantization, blocks: Sequence[int]) -> Words:
    """The stream: for every block of `n` channels initial[n], W[K / 4][n], multiplier[n]; the last block is filled up."""
    order = ORDER_OF_INT16 if layer.in_dtype == "int16" else ORDER_OF_INT8
    total = sum(blocks)
    weights = np.zeros((total, layer.depth), np.int64)
    weights[: layer.out_c] = layer.weights.reshape(layer.out_c, -1)
    bias, multiplier = (np.zeros(total, np.int64) for _ in range(2))
    bias[: layer.out_c], multiplier[: layer.out_c] = scale.bias, scale.multiplier
    parts: list[Words] = []
    first = 0
    for rows in blocks:
        channels = slice(first, first + rows)
        parts.append((bias[channels] & 0xFFFFFFFF).astype(np.uint32))
        parts.append(pack_words_s16(weights[channels], order).reshape(-1))
        parts.append(multiplier[channels].astype(np.uint32))
        first += rows
    return np.concatenate(parts)


def pack_int4_stream_s16(layer: ConvLayer, scale: Requantization, rows: int) -> Words:
    """The stream for weights in [-8, 7]: for every `rows` channels initial[rows], W[K / 8][rows], multiplier[rows], filled up."""
    channels = round_up(layer.out_c, rows)
    weights = np.full((channels, round_up(layer.depth, 8)), INT4_OFFSET, np.int64)
    weights[: layer.out_c, : layer.depth] += layer.weights.reshape(layer.out_c, -1)
    words = pack_halves(weights.astype(np.uint32), ORDER_OF_INT4)
    ends = np.zeros((2, channels), np.int64)
    ends[:, : layer.out_c] = scale.bias, scale.multiplier
    initial, multiplier = (ends & 0xFFFFFFFF).astype(np.uint32)
    columns = np.concatenate([initial[:, None], words, multiplier[:, None]], axis=1)
    return columns.reshape(-1, rows, columns.shape[1]).transpose(0, 2, 1).reshape(-1)

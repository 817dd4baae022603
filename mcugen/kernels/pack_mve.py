"""Weight streams and instruction counts of the MVE matrix kernels; runtime_c/matmul_s8_mve.h derives the arithmetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.shared_code import shared

VECTOR = 16
"""Bytes of a vector: products of one instruction."""


def round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def needs_any(layer: ConvLayer) -> bool:
    """Whether the layer takes the kernels for odd multipliers and for shifts; the others multiply by M / 2."""
    return layer.needs_shift or bool(np.any(layer.multiplier % 2))


def pack_stream(layer: ConvLayer) -> npt.NDArray[np.uint32]:
    """For every 4 channels bias[4], weights[depth / 16][4][16], multiplier[4] and, where `needs_any`, shift[4]."""
    blocks = -(-layer.out_c // 4)
    flat = layer.weights.reshape(layer.out_c, -1)
    padded = np.zeros((4 * blocks, round_up(flat.shape[1], VECTOR)), np.int8)
    padded[: layer.out_c, : flat.shape[1]] = flat
    tiles = padded.reshape(blocks, 4, -1, VECTOR).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(tiles).view(np.uint8).reshape(blocks, -1).view("<u4").astype(np.int64)
    multiplier, shift = layer.multiplier.astype(np.int64), layer.shift.astype(np.int64)
    scales = [multiplier, shift] if needs_any(layer) else [multiplier // 2]
    parts = [by_four(layer.bias.astype(np.int64)), words, *(by_four(scale) for scale in scales)]
    return (np.concatenate(parts, axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def by_four(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`[out_c]` as `[blocks, 4]`, filled up with zeros."""
    padded = np.zeros(round_up(values.size, 4), np.int64)
    padded[: values.size] = values
    return padded.reshape(-1, 4)


def four_bytes(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int8 `[out_c]` as words of four, `[blocks, 1]`, filled up with zeros."""
    words = by_four(values).astype(np.int8).view("<u4")
    return words.astype(np.int64)


def matmul_pair_cycles(layer: ConvLayer) -> float:
    """Instructions of one call for two pixels."""
    steps = -(-layer.depth // VECTOR)
    block = 30.0 if steps == 1 else 25 + 14 * steps + 2 * (steps // 2)
    return 26 + (block + 6 * needs_any(layer)) * -(-layer.out_c // 4)


def matvec_cycles(layer: ConvLayer) -> float:
    """Instructions of one call for one pixel."""
    steps = -(-layer.depth // VECTOR)
    block = 14.0 + 9 * steps + steps // 2
    return 24 + (block + 3 * needs_any(layer)) * -(-layer.out_c // 4)


def matmul_cycles(layer: ConvLayer) -> float:
    """Instructions of all pixels: pairs, and an odd last one."""
    pixels = layer.out_h * layer.out_w
    return pixels // 2 * matmul_pair_cycles(layer) + pixels % 2 * matvec_cycles(layer) + clamp_cycles(layer)


def clamp_cycles(layer: ConvLayer) -> float:
    """A pass over the output where it has explicit bounds."""
    bounded = layer.act_min > -128 or layer.act_max < 127
    return 10.0 * -(-layer.out_h * layer.out_w * layer.out_c // 8) if bounded else 0.0


def matrix_code(layer: ConvLayer, *, pairs: bool, single: bool) -> dict[str, int]:
    """The functions of matmul_s8_mve.h that a layer calls: for two pixels at a time, and for one."""
    kind = "any_s8_mve" if needs_any(layer) else "s8_mve"
    return shared(*(f"mcugen_{name}_{kind}" for name, used in (("matmul", pairs), ("matvec", single)) if used))

"""Weight streams and instruction counts of the MVE matrix kernels that read or write int16; see runtime_c/matmul_s16_mve.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_mve import VECTOR, by_four, four_bytes, round_up
from mcugen.kernels.shared_code import shared


def can_scale(layer: ConvLayer) -> bool:
    """Whether the kernels can requantize the layer: those for int16 inputs take no shifts."""
    return layer.in_dtype == "int8" or not layer.needs_shift


def row_bytes(layer: ConvLayer) -> int:
    """Of the inputs of one output, in whole vectors."""
    return round_up(layer.depth * layer.in_bytes, VECTOR)


def pack_stream(layer: ConvLayer) -> npt.NDArray[np.uint32]:
    """For every 4 channels bias[4], weights[depth / n][4][n], multiplier[4] and of int8 inputs shift[4]; n inputs are a vector."""
    lanes = VECTOR // layer.in_bytes
    blocks = -(-layer.out_c // 4)
    flat = layer.weights.reshape(layer.out_c, -1)
    padded = np.zeros((4 * blocks, round_up(flat.shape[1], lanes)), np.int8)
    padded[: layer.out_c, : flat.shape[1]] = flat
    tiles = padded.reshape(blocks, 4, -1, lanes).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(tiles).view(np.uint8).reshape(blocks, -1).view("<u4").astype(np.int64)
    multiplier, shift = layer.multiplier.astype(np.int64), layer.shift.astype(np.int64)
    parts = [by_four(layer.bias.astype(np.int64)), words, by_four(multiplier)]
    if layer.in_bytes == 1:
        parts.append(four_bytes(shift))
    return (np.concatenate(parts, axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def matmul_cycles(layer: ConvLayer) -> float:
    """Instructions of all pixels: pairs, and an odd last one."""
    pixels = layer.out_h * layer.out_w
    return pixels // 2 * _pair_cycles(layer) + pixels % 2 * _one_cycles(layer)


def _pair_cycles(layer: ConvLayer) -> float:
    """Of one call for two pixels."""
    steps = row_bytes(layer) // VECTOR
    block = 29.0 + 14 * steps + 2 * (steps // 2) + 2 * (steps % 2) + 3 * (layer.in_bytes == 1)
    return 28 + block * -(-layer.out_c // 4)


def _one_cycles(layer: ConvLayer) -> float:
    """Of one call for one pixel."""
    steps = row_bytes(layer) // VECTOR
    block = 18.0 + 9 * steps + steps // 2 + 2 * (layer.in_bytes == 1)
    return 28 + block * -(-layer.out_c // 4)


def matrix_code(layer: ConvLayer, *, pairs: bool, single: bool) -> dict[str, int]:
    """The functions of matmul_s16_mve.h that a layer calls: for two pixels at a time, and for one."""
    kind = "s8_s16" if layer.in_bytes == 1 else "s16_s8" if layer.out_bytes == 1 else "s16"
    return shared(*(f"mcugen_{name}_{kind}_mve" for name, used in (("matmul", pairs), ("matvec", single)) if used))

"""Weight streams and instruction counts of the MVE kernels for weights of 4 bits; see runtime_c/matmul_int4_s8_mve.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_mve import by_four, clamp_cycles, four_bytes, round_up
from mcugen.kernels.shared_code import shared
from mcugen.targets import Target

STEP = 32
"""Inputs whose weights one vector holds."""
SCALE = 16
"""Of the accumulator."""


def takes(layer: ConvLayer, target: Target) -> bool:
    """Whether the kernels can run the layer."""
    fits = layer.weight_format == "int4" and not layer.wide and SCALE * layer.max_accumulator < 1 << 31
    return "mve" in target.variants and fits


def pack_stream(layer: ConvLayer) -> npt.NDArray[np.uint32]:
    """For every 4 channels 16 * bias[4], codes[depth / 32][4][16], multiplier[4] and, where the layer shifts, shift[4] less 4."""
    blocks = -(-layer.out_c // 4)
    flat = layer.weights.reshape(layer.out_c, -1).astype(np.int64)
    padded = np.zeros((4 * blocks, round_up(flat.shape[1], STEP)), np.int64)
    padded[: layer.out_c, : flat.shape[1]] = flat
    halves = padded.reshape(blocks, 4, -1, 2, STEP // 2).transpose(0, 2, 1, 3, 4) & 15
    codes = (halves[..., 0, :] | halves[..., 1, :] << 4).astype(np.uint8)
    words = np.ascontiguousarray(codes).reshape(blocks, -1).view("<u4").astype(np.int64)
    multiplier, shift = layer.multiplier.astype(np.int64), layer.shift.astype(np.int64)
    parts = [by_four(SCALE * layer.bias.astype(np.int64)), words, by_four(multiplier)]
    if layer.needs_shift:
        parts.append(four_bytes(shift - 4))
    return (np.concatenate(parts, axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)


def matmul_cycles(layer: ConvLayer) -> float:
    """Instructions of all pixels: pairs, and an odd last one."""
    pixels, blocks, steps = layer.out_h * layer.out_w, -(-layer.out_c // 4), -(-layer.depth // STEP)
    pair = 26 + blocks * (30.0 + 34 * steps + layer.needs_shift)
    one = 25 + blocks * (17.0 + 23 * steps)
    return pixels // 2 * pair + pixels % 2 * one + clamp_cycles(layer)


def matrix_code(layer: ConvLayer) -> dict[str, int]:
    """The functions of matmul_int4_s8_mve.h that a layer calls: for two pixels at a time, and for one."""
    pixels = layer.out_h * layer.out_w
    kind = "int4_any_s8_mve" if layer.needs_shift else "int4_s8_mve"
    used = (("matmul", pixels > 1), ("matvec", pixels % 2 == 1))
    return shared(*(f"mcugen_{name}_{kind}" for name, called in used if called))

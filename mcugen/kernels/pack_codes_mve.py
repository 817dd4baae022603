"""Weight streams and instruction counts of the MVE kernels for weights of 4 bits; see runtime_c/matmul_codes_s8_mve.h."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import INT8, ConvLayer
from mcugen.kernels.pack_mve import by_four, clamp_cycles, four_bytes, round_up
from mcugen.kernels.shared_code import shared
from mcugen.targets import Target
from mcugen.weight_format import WEIGHT_FORMATS, PackedWeights, code_matrix, pack_weights

INT4, INT4_ANY, INT4X32, TABLE = range(4)
"""MCUGEN_CODES_ of the C header."""
KERNELS = ("int4", "int4_any", "int4x32", "table")
STEP = 32
"""Inputs whose weights one vector holds."""
STEP_CYCLES = ((34, 23), (34, 23), (51, 40), (46, 31))
"""Instructions for 32 inputs of 4 channels of two pixels, and of one, by kind."""
INT4_SCALE = 16
"""Of the accumulator of weights that are multiplied as they lie."""


def kind_of(layer: ConvLayer) -> int:
    """What the codes of the layer's weights stand for."""
    form = WEIGHT_FORMATS[layer.weight_format]
    if form.group:
        return INT4X32
    return TABLE if form.name != "int4" else INT4_ANY if layer.needs_shift else INT4


def packed_weights(layer: ConvLayer, target: Target) -> PackedWeights | None:
    """The layer's weights in its format, or None where the kernels cannot run it."""
    if "mve" not in target.variants or layer.wide or layer.weight_format == INT8:
        return None
    if WEIGHT_FORMATS[layer.weight_format].bits != 4:
        return None
    scale = INT4_SCALE if kind_of(layer) in (INT4, INT4_ANY) else 1
    packed = pack_weights(layer.weights, layer.weight_format)
    # inputs behind the last one are multiplied by 0
    padded = packed is not None and (layer.depth % STEP == 0 or 0 in packed.table)
    return packed if padded and scale * layer.max_accumulator < 1 << 31 else None


def stream_constants(layer: ConvLayer, packed: PackedWeights) -> dict[str, npt.NDArray[Any]]:
    """`weights`, the stream of the layer's kind, and the `table` where weights are looked up."""
    kind, blocks = kind_of(layer), -(-layer.out_c // 4)
    codes = np.full((4 * blocks, round_up(layer.depth, STEP)), int(np.argmin(np.abs(packed.table))), np.uint8)
    codes[: layer.out_c, : layer.depth] = code_matrix(packed, layer.out_c)[:, : layer.depth]
    halves = codes.reshape(blocks, 4, -1, 2, STEP // 2).transpose(0, 2, 1, 3, 4)
    steps = (halves[..., 0, :] | halves[..., 1, :] << 4).reshape(blocks, -1, 4 * STEP // 2)
    if packed.factors is not None:
        factors = np.zeros((4 * blocks, packed.factors.shape[1]), np.uint8)
        factors[: layer.out_c] = packed.factors
        steps = np.concatenate([factors.reshape(blocks, 4, -1).transpose(0, 2, 1), steps], axis=2)
    words = np.ascontiguousarray(steps).reshape(blocks, -1).view("<u4").astype(np.int64)
    down = INT4_SCALE if kind in (INT4, INT4_ANY) else 1
    parts = [by_four(down * layer.bias.astype(np.int64)), words, by_four(layer.multiplier.astype(np.int64))]
    if kind != INT4:
        parts.append(four_bytes(layer.shift.astype(np.int64) - (4 if kind == INT4_ANY else 0)))
    stream = (np.concatenate(parts, axis=1) & 0xFFFFFFFF).astype(np.uint32).reshape(-1)
    return {"weights": stream, "table": packed.table} if kind == TABLE else {"weights": stream}


def matmul_cycles(layer: ConvLayer) -> float:
    """Instructions of all pixels: pairs, and an odd last one."""
    pixels, blocks, steps = layer.out_h * layer.out_w, -(-layer.out_c // 4), -(-layer.depth // STEP)
    both, single = STEP_CYCLES[kind_of(layer)]
    pair = 28 + blocks * (32.0 + both * steps)
    one = 25 + blocks * (17.0 + single * steps)
    return pixels // 2 * pair + pixels % 2 * one + clamp_cycles(layer)


def matrix_code(layer: ConvLayer) -> dict[str, int]:
    """The functions of matmul_codes_s8_mve.h that a layer calls: for two pixels at a time, and for one."""
    pixels = layer.out_h * layer.out_w
    used = (("matmul", pixels > 1), ("matvec", pixels % 2 == 1))
    return shared(*(f"mcugen_{name}_{KERNELS[kind_of(layer)]}_s8_mve" for name, called in used if called))

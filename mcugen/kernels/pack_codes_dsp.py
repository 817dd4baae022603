"""Constants of the DSP kernels for weights that are codes of 4 bits; runtime_c/codes_s8_dsp.h and codes_s16_dsp.h have their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import INT8, ConvLayer
from mcugen.kernels.pack_dsp import round_up
from mcugen.weight_format import WEIGHT_FORMATS, code_matrix, pack_weights

Constants = dict[str, npt.NDArray[Any]]

TABLE_BYTES = 1024
CODES_OF_INT8, CODES_OF_INT16 = (0, 2, 1, 3, 4, 6, 5, 7), (0, 1, 2, 3, 4, 5, 6, 7)
"""Which of 8 inputs the codes of a word meet, the lowest first."""
INT4_OF_INT16 = (0, 2, 4, 6, 1, 3, 5, 7)
"""The same where weights of 4 bits need no table."""
INT4_OFFSET = np.uint32(8)
"""A code of int4 with its uppermost bit turned is the weight and 8."""


def code_constants(layer: ConvLayer, rows: int) -> Constants | None:
    """What the kernels that take `rows` channels at a time read, by field, or None where weights are not codes of 4 bits.

    Layers that read or write int16 hold weights of the format int4 as they are, without a table (runtime_c/codes_s16_dsp.h).
    """
    if layer.weight_format == INT8 or WEIGHT_FORMATS[layer.weight_format].bits != 4:
        return None
    packed = pack_weights(layer.weights, layer.weight_format)
    if packed is None:
        return None
    channels = round_up(layer.out_c, rows)
    plain = layer.wide and layer.weight_format == "int4"
    codes = code_matrix(packed, layer.out_c).astype(np.uint32)
    words = _words(codes ^ INT4_OFFSET if plain else codes, channels, _order(layer, plain=plain))
    constants: Constants = {"codes": _in_turn(words, rows)}
    if not plain:
        constants["table"] = packed.table
    if packed.factors is not None:
        factors = np.zeros((channels, packed.factors.shape[1]), np.uint8)
        factors[: layer.out_c] = packed.factors
        constants["factors"] = _in_turn(factors, rows)
    constants |= {"bias": layer.bias, "multiplier": layer.multiplier}
    if layer.needs_shift:
        constants["shift"] = layer.shift
    return constants


def _order(layer: ConvLayer, *, plain: bool) -> tuple[int, ...]:
    if plain:
        return INT4_OF_INT16
    return CODES_OF_INT16 if layer.wide else CODES_OF_INT8


def _words(codes: npt.NDArray[np.uint32], channels: int, order: tuple[int, ...]) -> npt.NDArray[np.uint32]:
    """`[out_c, depth]` as `[channels, depth / 8]` words whose halves of bytes, the lowest first, are those of the inputs `order`."""
    padded = np.zeros((channels, round_up(codes.shape[1], 8)), np.uint32)
    padded[: len(codes), : codes.shape[1]] = codes
    eights = padded.reshape(channels, -1, 8)[..., order]
    return np.asarray((eights << np.arange(0, 32, 4, dtype=np.uint32)).sum(axis=2, dtype=np.uint32))


def _in_turn(columns: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """`[channels, columns]` as blocks of `rows` channels, column by column."""
    return np.ascontiguousarray(columns.reshape(-1, rows, columns.shape[1]).transpose(0, 2, 1)).reshape(-1)

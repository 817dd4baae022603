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


def code_constants(layer: ConvLayer, rows: int) -> Constants | None:
    """What the kernels that take `rows` channels at a time read, by field, or None where weights are not codes of 4 bits."""
    if layer.weight_format == INT8 or WEIGHT_FORMATS[layer.weight_format].bits != 4:
        return None
    packed = pack_weights(layer.weights, layer.weight_format)
    if packed is None:
        return None
    channels = round_up(layer.out_c, rows)
    codes = np.zeros((channels, round_up(layer.depth, 8)), np.uint32)
    codes[: layer.out_c, : layer.depth] = code_matrix(packed, layer.out_c)[:, : layer.depth]
    words = pack_halves(codes, CODES_OF_INT16 if layer.wide else CODES_OF_INT8)
    constants: Constants = {"codes": _in_turn(words, rows), "table": packed.table}
    if packed.factors is not None:
        factors = np.zeros((channels, packed.factors.shape[1]), np.uint8)
        factors[: layer.out_c] = packed.factors
        constants["factors"] = _in_turn(factors, rows)
    constants |= {"bias": layer.bias, "multiplier": layer.multiplier}
    if layer.needs_shift:
        constants["shift"] = layer.shift
    return constants


def pack_halves(codes: npt.NDArray[np.uint32], order: tuple[int, ...]) -> npt.NDArray[np.uint32]:
    """`[channels, depth]`, of 4 bits each, as `[channels, depth / 8]` words with those of the inputs `order`, the lowest first."""
    eights = codes.reshape(len(codes), -1, 8)[..., order]
    return np.asarray((eights << np.arange(0, 32, 4, dtype=np.uint32)).sum(axis=2, dtype=np.uint32))


def _in_turn(columns: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """`[channels, columns]` as blocks of `rows` channels, column by column."""
    return np.ascontiguousarray(columns.reshape(-1, rows, columns.shape[1]).transpose(0, 2, 1)).reshape(-1)

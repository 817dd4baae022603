"""Layers with weights of 4 bits on cores without packed arithmetic: 8 channels at a time, two products a multiplication."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.cost_scalar import int4_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target
from mcugen.weight_format import code_matrix, pack_weights

OP = "packed_conv2d"
ROWS = 8


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_int4_s8_scalar` kernel, for one group."""
    if layer.weight_format not in ("int4", "int4x32") or "scalar" not in target.variants or layer.groups != 1:
        return
    packed = pack_weights(layer.weights, layer.weight_format)
    if packed is None:
        return
    biased = (code_matrix(packed, layer.out_c) ^ ROWS).astype(np.uint32)
    blocks = layer.out_c // ROWS * ROWS
    constants: dict[str, npt.NDArray[Any]] = {}
    if blocks:
        constants["weights"] = _words(biased[:blocks])
    if blocks < layer.out_c:
        constants["rest"] = _pairs(biased[blocks:].reshape(-1))
    if packed.factors is not None:
        constants["factors"] = packed.factors
    constants |= {"bias": layer.bias, "multiplier": layer.multiplier}
    if layer.needs_shift:
        constants["shift"] = layer.shift
    point = (layer.kernel_h, layer.kernel_w) == (1, 1) and not _padded(layer)
    yield KernelCall(
        function="mcugen_conv2d_int4_s8_scalar",
        headers=("conv2d_int4_s8_scalar.h",),
        params={**convolution_params(layer), "point": int(point)},
        constants=constants,
        scratch=4 * -(-layer.depth // 32) + (0 if point else layer.depth),
        overlap={0: pixel_overlap(layer, 1, buffered=not point)},
        cycles=int4_cycles(layer, grouped=packed.factors is not None, point=point),
        code_bytes=500 if point else 700,
        shared_code=shared("mcugen_int4_s8_scalar"),
        variant="scalar",
    )


def _padded(layer: ConvLayer) -> bool:
    y_last = (layer.out_h - 1) * layer.stride_h - layer.pad_top
    x_last = (layer.out_w - 1) * layer.stride_w - layer.pad_left
    return layer.pad_top > 0 or layer.pad_left > 0 or y_last >= layer.in_h or x_last >= layer.in_w


def _words(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """For every 8 channels and input a word, channel r in nibble r."""
    blocks = codes.reshape(-1, ROWS, codes.shape[1])
    shifts = np.arange(0, 32, 4, dtype=np.uint32)[None, :, None]
    return np.asarray((blocks << shifts).sum(axis=1, dtype=np.uint32)).reshape(-1)


def _pairs(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    padded = np.append(codes, np.zeros(len(codes) % 2, np.uint32))
    return (padded[0::2] | padded[1::2] << 4).astype(np.uint8)

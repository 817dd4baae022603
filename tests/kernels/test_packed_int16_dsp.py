"""The DSP kernels for weights of 4 bits that read or write int16 against the reference, on the host and the emulated core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import int16
import numpy as np
import pytest
from reference import random_layer
from running import Case, device_compilers, run_on_device, run_on_host
from test_codes_dsp import FOUR_BITS, SHAPES, in_format

from mcugen.kernels import (
    conv2d_codes_s16_dsp,
    conv2d_int4_s16_dsp,
    fully_connected_codes_s16_dsp,
    fully_connected_int4_s16_dsp,
)
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_s16_dsp import requantization
from mcugen.weight_format import pack_weights

SWEPT = ("codebook", "int4x32")


def one_type(rng: np.random.Generator, number: int, word: str, **shape: Any) -> ConvLayer:
    """A layer of that shape and format; its types and whether it ends in a relu take turns with `number`."""
    in_dtype, out_dtype = (*int16.TYPES, int16.TYPES[0])[number % 4]
    layer = int16.widened(rng, in_format(rng, random_layer(rng, **shape), word), in_dtype, out_dtype)
    return dataclasses.replace(layer, act_min=0) if number % 4 == 3 else layer


def extremes(rng: np.random.Generator, word: str, **shape: Any) -> Iterator[ConvLayer]:
    """The ends of the arithmetic, weights at the ends of their format, channels without weights."""
    for layer in int16.extremes(rng, **shape):
        packed = in_format(rng, layer, word)
        dead = ~layer.weights.reshape(layer.out_c, -1).any(axis=1)
        weights = np.where(dead[:, None, None, None], 0, packed.weights).astype(np.int8)
        weights[-1] = np.where(packed.weights[-1] < 0, packed.weights.min(), packed.weights.max())
        for found in (packed, dataclasses.replace(packed, weights=weights)):
            fits = found.max_accumulator << int(found.shift.max()) < 1 << 31
            if fits and pack_weights(found.weights, word) is not None:
                yield found


def scalable(layers: Iterator[ConvLayer]) -> Iterator[ConvLayer]:
    """Those that one shift on the inputs requantizes."""
    return (layer for layer in layers if requantization(layer) is not None)


def fully_connected_int4_cases() -> list[Case]:
    rng = np.random.default_rng(63)
    shapes = [(depth, out_c) for depth in (1, 3, 4, 7, 8, 9, 33, 40, 64) for out_c in (1, 4, 6)]
    layers = [one_type(rng, i, "int4", channels=channels) for i, channels in enumerate(shapes)]
    layers += [layer for shape in ((37, 5), (24, 4)) for layer in extremes(rng, "int4", channels=shape)]
    return int16.cases(fully_connected_int4_s16_dsp, iter(layers), rng)


def convolution_int4_cases() -> list[Case]:
    rng = np.random.default_rng(64)
    layers = [
        one_type(rng, i + in_c, "int4", channels=(in_c, 2 + (i + in_c) % 3 * 2), **shape)
        for i, shape in enumerate(SHAPES)
        for in_c in (3, 4, 5, 6, 13, 40)
    ]
    layers += extremes(rng, "int4", channels=(18, 2), size=(1, 3))
    return int16.cases(conv2d_int4_s16_dsp, scalable(iter(layers)), rng)


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(61)
    shapes = [(depth, out_c) for depth in (1, 3, 4, 7, 8, 9, 33, 40, 64) for out_c in (1, 4, 6)]
    layers = [
        one_type(rng, i + j, word, channels=channels)
        for j, word in enumerate(SWEPT)
        for i, channels in enumerate(shapes)
    ]
    layers += [layer for word in FOUR_BITS for layer in extremes(rng, word, channels=(37, 5))]
    return int16.cases(fully_connected_codes_s16_dsp, iter(layers), rng)


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(62)
    layers = [
        one_type(rng, i + j + in_c, word, channels=(in_c, 1 + (i + in_c) % 4), **shape)
        for j, word in enumerate(SWEPT)
        for i, shape in enumerate(SHAPES)
        for in_c in (4, 13)
    ]
    layers += [layer for word in SWEPT for layer in extremes(rng, word, channels=(18, 2), size=(1, 3))]
    return int16.cases(conv2d_codes_s16_dsp, iter(layers), rng)


MAKERS = pytest.mark.parametrize(
    "make", [fully_connected_cases, convolution_cases, fully_connected_int4_cases, convolution_int4_cases]
)


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler)

"""The MVE kernels for weights of 4 bits, through their C twins on the host and with their own instructions on the core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import random_layer
from running import Case, device_compilers, run_on_host
from running_m55 import needs_qemu, run_on_m55
from test_codes_dsp import FOUR_BITS, in_format
from test_codes_dsp import extremes as extremes_in
from test_int4_dsp import SHAPES, int4_layer
from variants import extreme_layers, variant_cases

from mcugen.kernels import conv2d_codes_mve, fully_connected_codes_mve
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

CORE = "cortex-m55"


def extremes(rng: np.random.Generator, **shape: Any) -> Iterator[ConvLayer]:
    """The ends of the arithmetic, with weights of 4 bits, odd multipliers, and the largest sums that fit."""
    for layer in extreme_layers(rng, **shape):
        yield dataclasses.replace(layer, weights=np.clip(layer.weights, -8, 7), weight_format="int4")
    layer = int4_layer(rng, **shape)
    yield dataclasses.replace(layer, multiplier=layer.multiplier | 1)
    limit = 2**27 - 1 - 128 * np.abs(layer.weights.astype(np.int64)).reshape(layer.out_c, -1).sum(axis=1)
    for sign in (-1, 1):
        scale = np.full(layer.out_c, 2**13, np.int32)
        yield dataclasses.replace(layer, bias=(sign * limit).astype(np.int32), multiplier=scale)


OTHERS = tuple(word for word in FOUR_BITS if word != "int4")


def any_format(rng: np.random.Generator, number: int, **shape: Any) -> ConvLayer:
    """A layer of that shape; the formats take turns with `number`, and whether a codebook has a 0 with the rows of 4."""
    word = FOUR_BITS[number % len(FOUR_BITS)]
    if word == "int4":
        return int4_layer(rng, **shape)
    layer = in_format(rng, random_layer(rng, **shape), word)
    if word == "codebook" and layer.depth % 32:
        weights = np.where(layer.weights == -127, 0, layer.weights)
        return dataclasses.replace(layer, weights=weights.astype(np.int8))
    return layer


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(41)
    sizes = [(k, n) for k in (1, 15, 16, 17, 32, 33, 64, 100) for n in (1, 3, 4, 5, 8, 11)]
    layers = [any_format(rng, i, channels=size) for i, size in enumerate([*sizes, *sizes[1:], *sizes[:1]])]
    layers += [layer for word in OTHERS for layer in extremes_in(rng, word, channels=(64, 3))]
    return variant_cases(fully_connected_codes_mve, [*layers, *extremes(rng, channels=(49, 6))], rng, CORE)


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(43)
    layers = [
        any_format(rng, index + in_c, channels=(in_c, 1 + (index + in_c) % 7), **shape)
        for index, shape in enumerate(SHAPES)
        for in_c in (1, 3, 8, 13, 32)
    ]
    ends = [*extremes(rng, channels=(18, 5), size=(1, 3)), *extremes(rng, channels=(4, 6), size=(3, 3), kernel=(2, 3))]
    return variant_cases(conv2d_codes_mve, [*layers, int4_layer(rng, size=(3, 3), channels=(40, 9)), *ends], rng, CORE)


MAKERS = pytest.mark.parametrize("make", [fully_connected_cases, convolution_cases])


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@needs_qemu
@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_instructions_equal_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_m55(make(), tmp_path, compiler=compiler)


@pytest.mark.parametrize("change", ["int8", "large accumulator", "int16", "no mve", "no zero"])
def test_layers_outside_the_kernels_range_are_left_to_others(change: str) -> None:
    layer = int4_layer(np.random.default_rng(42), channels=(16, 4))
    target = load_target("cortex-m4" if change == "no mve" else CORE)
    if change == "int8":
        layer = dataclasses.replace(layer, weight_format="int8")
    elif change == "large accumulator":
        layer = dataclasses.replace(layer, bias=np.full(4, 2**27, np.int32))
    elif change == "int16":
        layer = dataclasses.replace(layer, in_dtype="int16")
    elif change == "no zero":
        values = np.repeat(np.arange(1, 17), 4).reshape(layer.weights.shape)
        layer = dataclasses.replace(layer, weights=values.astype(np.int8), weight_format="codebook")
    assert not list(fully_connected_codes_mve.candidates(layer, target))
    assert not list(conv2d_codes_mve.candidates(layer, target))

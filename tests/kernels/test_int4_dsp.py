"""The DSP kernels for weights of 4 bits against the reference, on the host and the emulated core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import random_layer
from running import Case, device_compilers, run_on_device, run_on_host
from variants import extreme_layers, variant_cases

from mcugen.fixed_point import quantize_multiplier
from mcugen.kernels import conv2d_int4_dsp, fully_connected_int4_dsp
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_int4_dsp import int4_requantization
from mcugen.targets import load_target

TARGET = load_target("cortex-m4")


def int4_layer(rng: np.random.Generator, **shape: Any) -> ConvLayer:
    """A random layer with weights in [-7, 7] whose outputs spread over int8."""
    layer = random_layer(rng, **shape)
    weights = rng.integers(-7, 8, layer.weights.shape).astype(np.int8)
    spread = 127.0 * np.sqrt(np.maximum(1, (weights.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))) / 1.7
    multiplier, shift = quantize_multiplier(rng.uniform(0.5, 1.5, layer.out_c) * 80 / spread)
    return dataclasses.replace(layer, weights=weights, multiplier=multiplier, shift=shift, weight_format="int4")


def int4_extremes(rng: np.random.Generator, **shape: Any) -> Iterator[ConvLayer]:
    """The ends of the arithmetic, with weights of 4 bits; all but a scale of 128, which the kernels do not take."""
    refused = 0
    for layer in extreme_layers(rng, **shape):
        found = dataclasses.replace(layer, weights=np.clip(layer.weights, -8, 7), weight_format="int4")
        if int4_requantization(found) is None:
            refused += 1
            continue
        yield found
    assert refused == 1
    layer = int4_layer(rng, **shape)
    limit = 2**24 - 1 - 128 * np.abs(layer.weights.astype(np.int64)).reshape(layer.out_c, -1).sum(axis=1)
    scale = np.full(layer.out_c, 2**16, np.int32)
    for sign in (-1, 1):
        yield dataclasses.replace(layer, bias=(sign * limit).astype(np.int32), multiplier=scale)


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(31)
    layers = [
        int4_layer(rng, channels=(depth, out_c))
        for depth in (*range(1, 10), 15, 16, 17, 33, 100)
        for out_c in (1, 3, 4, 5, 8, 11)
    ]
    return variant_cases(fully_connected_int4_dsp, [*layers, *int4_extremes(rng, channels=(19, 6))], rng)


SHAPES: list[dict[str, Any]] = [
    {"size": (1, 5), "kernel": (1, 1)},
    {"size": (5, 4), "kernel": (3, 3), "padding": (1, 1, 1, 1)},
    {"size": (6, 5), "kernel": (3, 3), "stride": (2, 2), "padding": (0, 0, 1, 1)},
    {"size": (1, 9), "kernel": (1, 5)},
    {"size": (4, 5), "kernel": (2, 3)},
    {"size": (6, 7), "kernel": (3, 2), "dilation": (1, 2), "padding": (1, 2, 1, 0)},
]


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(33)
    layers = [
        int4_layer(rng, channels=(in_c, 2 + (index + in_c) % 7), **shape)
        for index, shape in enumerate(SHAPES)
        for in_c in (1, 3, 8, 13)
    ]
    layers.append(int4_layer(rng, size=(3, 3), channels=(40, 9)))
    return variant_cases(conv2d_int4_dsp, [*layers, *int4_extremes(rng, channels=(18, 5), size=(1, 3))], rng)


MAKERS = pytest.mark.parametrize("make", [fully_connected_cases, convolution_cases])


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler)


@pytest.mark.parametrize("change", ["int8", "large accumulator", "fine multiplier", "no dsp"])
def test_layers_outside_the_kernels_range_are_left_to_others(change: str) -> None:
    layer = int4_layer(np.random.default_rng(32), channels=(16, 4))
    target = load_target("cortex-m3") if change == "no dsp" else TARGET
    if change == "int8":
        layer = dataclasses.replace(layer, weight_format="int8")
    elif change == "large accumulator":
        layer = dataclasses.replace(layer, bias=np.full(4, 2**24, np.int32))
    elif change == "fine multiplier":
        layer = dataclasses.replace(layer, multiplier=layer.multiplier + np.int32(1))
    assert not list(fully_connected_int4_dsp.candidates(layer, target))
    assert not list(conv2d_int4_dsp.candidates(layer, target))

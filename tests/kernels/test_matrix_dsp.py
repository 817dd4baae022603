"""The DSP kernels for fully connected and pointwise layers against the reference, on the host and the emulated core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from reference import random_layer
from running import Case, device_compilers, run_on_device, run_on_host
from variants import extreme_layers, variant_cases

from mcugen.kernels import conv2d_1x1_dsp, conv2d_plain_dsp, fully_connected_dsp, fully_connected_plain_dsp
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

TARGET = load_target("cortex-m4")


def fully_connected_layers(rng: np.random.Generator) -> Iterator[ConvLayer]:
    for depth in (*range(1, 14), 31, 32, 33, 64, 100):
        for out_c in (1, 2, 3, 4, 5, 8, 11):
            yield random_layer(rng, channels=(depth, out_c))


def pointwise_layers(rng: np.random.Generator) -> Iterator[ConvLayer]:
    for in_c in (*range(1, 10), 15, 16, 28, 32, 36, 64):
        for out_c in (2, 3, 4, 5, 6, 7, 8):
            pixels = int(rng.integers(1, 8))
            yield random_layer(rng, size=(1, pixels), channels=(in_c, out_c))
    yield random_layer(rng, size=(5, 5), channels=(3, 16))
    yield random_layer(rng, size=(9, 2), channels=(8, 2))


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(1)
    listed = variant_cases(fully_connected_dsp, fully_connected_layers(rng), rng)
    extreme = [layer for layer in extreme_layers(rng, channels=(19, 6)) if scales_are_below_1(layer)]
    largest = random_layer(rng, channels=(19, 9))
    all_channels = {"multiplier": np.full(9, 2**31 - 256, np.int32), "shift": np.ones(9, np.uint8)}
    return listed + variant_cases(fully_connected_dsp, [*extreme, dataclasses.replace(largest, **all_channels)], rng)


def scales_are_below_1(layer: ConvLayer) -> bool:
    return bool(np.all(layer.multiplier.astype(np.int64) << layer.shift.astype(np.int64) < 1 << 32))


def pointwise_cases() -> list[Case]:
    rng = np.random.default_rng(2)
    listed = variant_cases(conv2d_1x1_dsp, pointwise_layers(rng), rng)
    return listed + variant_cases(conv2d_1x1_dsp, extreme_layers(rng, size=(1, 3), channels=(18, 5)), rng)


def unconditional_layers(rng: np.random.Generator, **shape: object) -> Iterator[ConvLayer]:
    """What only the kernels without conditions accept: weights of -128, large accumulators, any multiplier."""
    layer = random_layer(rng, **shape)  # type: ignore[arg-type]
    yield dataclasses.replace(layer, weights=np.full_like(layer.weights, -128))
    yield dataclasses.replace(layer, bias=rng.integers(-(2**27), 2**27, layer.out_c).astype(np.int32))
    multiplier = rng.integers(1, 2**31, layer.out_c).astype(np.int32)
    yield dataclasses.replace(layer, multiplier=multiplier)
    shift = rng.integers(0, 8, layer.out_c).astype(np.uint8)
    yield dataclasses.replace(layer, multiplier=multiplier >> 8, shift=shift)


def plain_fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(6)
    listed = variant_cases(fully_connected_plain_dsp, fully_connected_layers(rng), rng)
    listed += variant_cases(fully_connected_plain_dsp, unconditional_layers(rng, channels=(30, 7)), rng)
    return listed + variant_cases(fully_connected_plain_dsp, extreme_layers(rng, channels=(19, 6)), rng)


def plain_pointwise_cases() -> list[Case]:
    rng = np.random.default_rng(7)
    listed = variant_cases(conv2d_plain_dsp, pointwise_layers(rng), rng)
    shape = {"size": (1, 3), "channels": (18, 5)}
    listed += variant_cases(conv2d_plain_dsp, unconditional_layers(rng, **shape), rng)
    return listed + variant_cases(conv2d_plain_dsp, extreme_layers(rng, **shape), rng)


MAKERS = pytest.mark.parametrize(
    "make", [fully_connected_cases, pointwise_cases, plain_fully_connected_cases, plain_pointwise_cases]
)


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler)


@pytest.mark.parametrize("change", ["weight of -128", "large accumulator", "fine multiplier", "no dsp"])
def test_layers_outside_the_kernels_range_are_left_to_others(change: str) -> None:
    rng = np.random.default_rng(3)
    layer = random_layer(rng, channels=(16, 4))
    target = load_target("cortex-m3") if change == "no dsp" else TARGET
    if change == "weight of -128":
        weights = layer.weights.copy()
        weights.flat[0] = -128
        layer = dataclasses.replace(layer, weights=weights)
    elif change == "large accumulator":
        layer = dataclasses.replace(layer, bias=np.full(4, 2**23, np.int32))
    elif change == "fine multiplier":
        layer = dataclasses.replace(layer, multiplier=layer.multiplier + np.int32(1))
    assert not list(fully_connected_dsp.candidates(layer, target))
    assert not list(conv2d_1x1_dsp.candidates(layer, target))


def test_scales_of_1_are_left_to_the_plain_kernel() -> None:
    layer = random_layer(np.random.default_rng(4), channels=(16, 4))
    layer = dataclasses.replace(layer, multiplier=np.full(4, 2**30, np.int32), shift=np.full(4, 2, np.uint8))
    assert not list(fully_connected_dsp.candidates(layer, TARGET))
    assert list(fully_connected_plain_dsp.candidates(layer, TARGET))

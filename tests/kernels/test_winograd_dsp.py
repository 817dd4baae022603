"""Convolution by Winograd's F(2x2, 3x3) against the reference, on the host and on the emulated core."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import conv_reference, random_input, random_layer
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.kernels import conv2d_winograd
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

TARGET = load_target("cortex-m4")


def winograd_layer(rng: np.random.Generator, *, channels: tuple[int, int], **shape: Any) -> ConvLayer:
    return random_layer(rng, channels=channels, kernel=(3, 3), **shape)


def layers(rng: np.random.Generator) -> Iterator[ConvLayer]:
    sizes = itertools.product((1, 2, 3, 6), (1, 3, 4, 5, 8, 10))
    channels = itertools.cycle(((8, 8), (12, 9), (16, 10), (20, 11)))
    for size, pair in zip(sizes, channels, strict=False):
        yield winograd_layer(rng, size=size, channels=pair, padding=(1, 1, 1, 1))
    for padding in ((0, 0, 0, 0), (2, 2, 2, 2), (0, 1, 2, 0), (1, 3, 0, 2)):
        yield winograd_layer(rng, size=(5, 9), channels=(8, 8), padding=padding)
    yield winograd_layer(rng, size=(2, 4), channels=(36, 16), padding=(1, 1, 1, 1))
    yield winograd_layer(rng, size=(4, 6), channels=(64, 8), padding=(0, 0, 0, 0))


def extreme_layers(rng: np.random.Generator) -> Iterator[ConvLayer]:
    """Zero points, weights, biases, multipliers and shifts at their ends, outputs that saturate, explicit bounds."""
    shape: dict[str, Any] = {"size": (3, 6), "channels": (16, 9), "padding": (1, 1, 1, 1)}
    for zero_point in (-128, 127):
        yield winograd_layer(rng, **shape, in_zero_point=zero_point, out_zero_point=zero_point)
    layer = winograd_layer(rng, **shape)
    yield dataclasses.replace(layer, act_min=-17, act_max=40)
    for weight in (-128, 127):
        yield dataclasses.replace(layer, weights=np.full_like(layer.weights, weight))
    for multiplier, shift in ((0, 0), (4, 0), (2**31 - 4, 0), (2**30, 2), (2**31 - 1, 2)):
        yield dataclasses.replace(
            layer, multiplier=np.full(9, multiplier, np.int32), shift=np.full(9, shift, np.uint8)
        )
    limit = 2**29 - 1 - 128 * np.abs(layer.weights.astype(np.int64)).reshape(9, -1).sum(axis=1)
    for sign in (-1, 1):
        yield dataclasses.replace(
            layer, bias=(sign * limit).astype(np.int32), multiplier=np.full(9, 256, np.int32)
        )


def cases() -> list[Case]:
    """Every layer, written at the closest place where the output may overlap the input."""
    rng = np.random.default_rng(1)
    listed = []
    for layer in itertools.chain(layers(rng), extreme_layers(rng)):
        x = random_input(rng, layer)
        (call,) = conv2d_winograd.candidates(layer, TARGET)
        listed.append(Case(call, (x,), conv_reference(layer, x), distance=call.overlap[0]))
    return listed


def test_c_twin_equals_reference(tmp_path: Path) -> None:
    run_on_host(cases(), tmp_path)


@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(compiler: str, tmp_path: Path) -> None:
    run_on_device(cases(), tmp_path, compiler=compiler)


def test_layers_outside_the_kernels_range_are_left_to_others() -> None:
    rng = np.random.default_rng(3)
    layer = winograd_layer(rng, size=(5, 5), channels=(16, 8), padding=(1, 1, 1, 1))
    assert list(conv2d_winograd.candidates(layer, TARGET))
    assert not list(conv2d_winograd.candidates(layer, load_target("cortex-m3")))
    changes: list[dict[str, Any]] = [
        {"stride_w": 2}, {"dilation_h": 2}, {"in_c": 18}, {"multiplier": layer.multiplier + np.int32(1)},
        {"bias": np.full(8, 2**29, np.int32)},
        {"multiplier": np.full(8, 2**30, np.int32), "shift": np.full(8, 4, np.uint8)},
    ]  # fmt: skip
    for change in changes:
        assert not list(conv2d_winograd.candidates(dataclasses.replace(layer, **change), TARGET)), change

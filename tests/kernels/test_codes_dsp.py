"""The DSP kernels for weights that are codes of 4 bits against the reference, on the host and the emulated core."""

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

from mcugen.kernels import conv2d_codes_dsp, fully_connected_codes_dsp
from mcugen.kernels.layer import ConvLayer
from mcugen.weight_format import WEIGHT_FORMATS

SWEPT = ("int4x32", "codebook")
FOUR_BITS = tuple(name for name, form in WEIGHT_FORMATS.items() if form.bits == 4)


def in_format(rng: np.random.Generator, layer: ConvLayer, word: str) -> ConvLayer:
    """The layer with weights of the format, which reach its ends."""
    form = WEIGHT_FORMATS[word]
    shape = (layer.out_c, layer.depth)
    if form.group:
        factors = np.repeat(rng.integers(1, 19, (layer.out_c, -(-layer.depth // form.group))), form.group, axis=1)
        weights = rng.integers(-7, 8, shape) * factors[:, : layer.depth]
    else:
        values = np.array(form.values) if form.values else np.append(rng.integers(-127, 128, 14), [-127, 127])
        weights = rng.choice(values, shape)
    return dataclasses.replace(layer, weights=weights.reshape(layer.weights.shape).astype(np.int8), weight_format=word)


def extremes(rng: np.random.Generator, word: str, **shape: Any) -> Iterator[ConvLayer]:
    """The ends of the arithmetic."""
    for layer in extreme_layers(rng, **shape):
        found = in_format(rng, layer, word)
        if found.max_accumulator << int(found.shift.max()) < 1 << 31:
            yield found


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(41)
    layers = [
        in_format(rng, random_layer(rng, channels=(depth, out_c)), word)
        for word in SWEPT
        for depth in (1, 3, 4, 7, 8, 9, 33, 70)
        for out_c in (1, 4, 6)
    ]
    layers += [layer for word in FOUR_BITS for layer in extremes(rng, word, channels=(37, 2))]
    return variant_cases(fully_connected_codes_dsp, layers, rng)


SHAPES: list[dict[str, Any]] = [
    {"size": (1, 5), "kernel": (1, 1)},
    {"size": (5, 4), "kernel": (3, 3), "padding": (1, 1, 1, 1)},
    {"size": (6, 5), "kernel": (3, 3), "stride": (2, 2), "padding": (0, 0, 1, 1)},
    {"size": (1, 9), "kernel": (1, 5)},
    {"size": (6, 7), "kernel": (3, 2), "dilation": (1, 2), "padding": (1, 2, 1, 0)},
]


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(42)
    layers = [
        in_format(rng, random_layer(rng, channels=(in_c, 1 + (index + in_c) % 4), **shape), word)
        for word in SWEPT
        for index, shape in enumerate(SHAPES)
        for in_c in (4, 13)
    ]
    layers += [layer for word in FOUR_BITS for layer in extremes(rng, word, channels=(18, 2), size=(1, 3))]
    return variant_cases(conv2d_codes_dsp, layers, rng)


MAKERS = pytest.mark.parametrize("make", [fully_connected_cases, convolution_cases])


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler)

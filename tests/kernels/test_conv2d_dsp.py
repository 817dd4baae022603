"""The DSP convolutions against the reference: every kernel size, stride, padding and dilation, on the host and on the
core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from reference import random_layer
from running import Case, device_compilers, run_on_device, run_on_host
from variants import extreme_layers, variant_cases

from mcugen.kernels import conv2d_dsp, conv2d_first_dsp, conv2d_lean_dsp, conv2d_plain_dsp
from mcugen.kernels.layer import ConvLayer

SHAPES = [
    # height, width, kernel, stride, dilation, padding (top, left, bottom, right)
    (5, 6, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (6, 5, (3, 3), (2, 2), (1, 1), (0, 0, 1, 1)),
    (7, 4, (5, 2), (2, 1), (1, 1), (2, 0, 2, 1)),
    (1, 9, (1, 5), (1, 1), (1, 1), (0, 2, 0, 2)),
    (1, 8, (1, 3), (1, 2), (1, 1), (0, 1, 0, 0)),
    (9, 1, (4, 1), (1, 1), (1, 1), (1, 0, 2, 0)),
    (5, 5, (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
    (6, 7, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    (6, 7, (2, 3), (1, 1), (3, 1), (1, 1, 1, 1)),
    (3, 3, (5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    (3, 2, (3, 2), (1, 1), (1, 1), (0, 0, 0, 0)),
    (4, 4, (2, 2), (3, 3), (1, 1), (4, 4, 4, 4)),
]


def layers(rng: np.random.Generator, in_channels: tuple[int, ...]) -> Iterator[ConvLayer]:
    for index, (height, width, kernel, stride, dilation, padding) in enumerate(SHAPES):
        for in_c in in_channels:
            yield random_layer(
                rng, size=(height, width), channels=(in_c, 2 + (index + in_c) % 5), kernel=kernel, stride=stride,
                dilation=dilation, padding=padding,
            )


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(4)
    listed = variant_cases(conv2d_dsp, layers(rng, (1, 3, 4, 6, 8, 12)), rng)
    shape = {"size": (4, 3), "channels": (4, 5), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    return listed + variant_cases(conv2d_dsp, extreme_layers(rng, **shape), rng)


def first_layer_cases() -> list[Case]:
    rng = np.random.default_rng(5)
    listed = variant_cases(conv2d_first_dsp, layers(rng, (1, 2, 3)), rng)
    tall = random_layer(rng, size=(11, 9), channels=(1, 6), kernel=(10, 4), stride=(2, 2), padding=(4, 1, 5, 1))
    large = random_layer(rng, size=(9, 8), channels=(1, 4), kernel=(7, 5), padding=(3, 2, 3, 2))
    listed += variant_cases(conv2d_first_dsp, [tall, large], rng)
    shape = {"size": (4, 3), "channels": (3, 5), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    return listed + variant_cases(conv2d_first_dsp, extreme_layers(rng, **shape), rng)


def plain_cases() -> list[Case]:
    rng = np.random.default_rng(6)
    listed = variant_cases(conv2d_plain_dsp, layers(rng, (1, 3, 4, 6)), rng)
    one = random_layer(rng, size=(4, 5), channels=(3, 1), kernel=(3, 2), padding=(1, 1, 1, 0))
    return listed + variant_cases(conv2d_plain_dsp, [one], rng)


def lean_cases() -> list[Case]:
    rng = np.random.default_rng(8)
    listed = variant_cases(conv2d_lean_dsp, layers(rng, (4, 8, 12)), rng)
    shape = {"size": (4, 3), "channels": (4, 5), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    return listed + variant_cases(conv2d_lean_dsp, extreme_layers(rng, **shape), rng)


MAKERS = pytest.mark.parametrize("make", [convolution_cases, first_layer_cases, plain_cases, lean_cases])


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler)

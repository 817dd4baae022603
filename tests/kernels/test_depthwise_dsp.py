"""The DSP kernels for depthwise convolution against the reference, on the host and on the emulated core."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from depthwise import depthwise_layer, depthwise_reference, extreme_layers
from reference import random_input
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.kernels import (
    depthwise_conv2d_3x3_dsp,
    depthwise_conv2d_3x3_row_dsp,
    depthwise_conv2d_3x3_stride2_dsp,
    depthwise_conv2d_dsp,
    depthwise_conv2d_lines_dsp,
)
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

TARGET = load_target("cortex-m4")


def layers_of_stride_1(rng: np.random.Generator) -> Iterator[ConvLayer]:
    sizes = ((1, 1), (1, 2), (2, 1), (3, 4), (5, 3), (6, 5), (7, 9), (12, 6), (13, 7), (14, 2), (20, 3))
    for size, channels in zip(sizes, itertools.cycle((1, 2, 3, 5)), strict=False):
        yield depthwise_layer(rng, size=size, channels=channels, kernel=(3, 3), padding=(1, 1, 1, 1))
    for padding in ((0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 2, 0), (2, 2, 2, 2), (0, 2, 1, 4), (0, 0, 3, 0)):
        yield depthwise_layer(rng, size=(8, 4), channels=3, kernel=(3, 3), padding=padding)
    yield depthwise_layer(rng, size=(4, 5), channels=37, kernel=(3, 3), padding=(1, 1, 1, 1))
    yield from extreme_layers(rng, size=(3, 8), channels=5, kernel=(3, 3), padding=(1, 1, 1, 1))


def layers_of_stride_2(rng: np.random.Generator) -> Iterator[ConvLayer]:
    sizes = ((3, 2), (3, 3), (4, 3), (5, 6), (6, 7), (7, 8), (8, 10), (9, 12), (3, 19), (4, 20))
    paddings = itertools.product((0, 1), (0, 1))
    shapes = itertools.product(sizes, paddings)
    for (size, (top, left)), channels in zip(shapes, itertools.cycle((1, 2, 5)), strict=False):
        # as much padding below and right as the last window takes, or none
        below, right = (int((s + p) % 2 == 0 or s + p < 3) for s, p in zip(size, (top, left), strict=True))
        padding = (top, left, below, right)
        yield depthwise_layer(rng, size=size, channels=channels, kernel=(3, 3), stride=(2, 2), padding=padding)
    yield from extreme_layers(rng, size=(6, 9), channels=5, kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))


def rows_of_stride_1(rng: np.random.Generator) -> Iterator[ConvLayer]:
    shapes = itertools.product((1, 2, 3, 4, 5, 6, 7, 8, 11), itertools.product((0, 1), (0, 1)))
    wide = ((outputs, pads) for outputs, pads in shapes if outputs + 2 > sum(pads))
    for (outputs, (left, right)), channels in zip(wide, itertools.cycle((1, 2, 5)), strict=False):
        size = (3, outputs + 2 - left - right)
        yield depthwise_layer(rng, size=size, channels=channels, kernel=(3, 3), padding=(0, left, 0, right))
    yield from extreme_layers(rng, size=(3, 9), channels=5, kernel=(3, 3), padding=(0, 1, 0, 1))


def layers_of_any_shape(rng: np.random.Generator) -> Iterator[ConvLayer]:
    shapes = itertools.product(((1, 1), (3, 1), (1, 4), (2, 3), (5, 5)), ((1, 1), (2, 1), (1, 3)), ((1, 1), (1, 2)))
    for (kernel, stride, dilation), channels in zip(shapes, itertools.cycle((1, 2, 3, 4, 5, 6, 8, 9)), strict=False):
        padding = tuple(int(p) for p in rng.integers(0, 3, 4))
        yield depthwise_layer(
            rng, size=(5, 9), channels=channels, kernel=kernel, stride=stride, dilation=dilation, padding=padding
        )
    for channels, channel_multiplier in ((1, 8), (3, 2), (4, 3), (6, 2)):
        shape = {"size": (4, 3), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
        yield depthwise_layer(rng, channels=channels, channel_multiplier=channel_multiplier, **shape)
    yield from extreme_layers(rng, size=(3, 2), channels=7, kernel=(3, 3), padding=(1, 1, 1, 1))


def layers_along_lines(rng: np.random.Generator) -> Iterator[ConvLayer]:
    windows = (
        ((5, 5), (1, 1)),
        ((5, 5), (2, 2)),
        ((1, 5), (1, 2)),
        ((5, 1), (1, 1)),
        ((4, 1), (2, 1)),
        ((3, 7), (2, 1)),
        ((3, 4), (3, 2)),
    )
    for (kernel, stride), channels in itertools.product(windows, (1, 4, 7)):
        padding = tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel))
        yield depthwise_layer(rng, size=(9, 10), channels=channels, kernel=kernel, stride=stride, padding=padding)
    for width in range(1, 10):
        yield depthwise_layer(rng, size=(3, width), channels=5, kernel=(3, 5), padding=(1, 2, 1, 2))
    yield from extreme_layers(rng, size=(6, 3), channels=5, kernel=(5, 3), padding=(2, 1, 2, 1))


def cases(name: str) -> list[Case]:
    """Every candidate of every layer, writing at the closest place where it may overlap its input."""
    kernel, layers = KERNELS[name]
    rng = np.random.default_rng(1)
    listed = []
    for layer in layers(rng):
        x = random_input(rng, layer)
        calls = [call for call in kernel.candidates(layer, TARGET) if call.inline]
        assert calls, layer
        for call in calls:
            case = Case(call=call, inputs=(x,), expected=depthwise_reference(layer, x))
            distance = call.overlap.get(0) if call.in_place is None else 0
            listed.append(dataclasses.replace(case, distance=distance))
    return listed


KERNELS: dict[str, tuple[Any, Callable[[np.random.Generator], Iterator[ConvLayer]]]] = {
    "3x3": (depthwise_conv2d_3x3_dsp, layers_of_stride_1),
    "3x3 row": (depthwise_conv2d_3x3_row_dsp, rows_of_stride_1),
    "3x3 stride 2": (depthwise_conv2d_3x3_stride2_dsp, layers_of_stride_2),
    "lines": (depthwise_conv2d_lines_dsp, layers_along_lines),
    "any": (depthwise_conv2d_dsp, layers_of_any_shape),
}


@pytest.mark.parametrize("name", KERNELS)
def test_c_twin_equals_reference(name: str, tmp_path: Path) -> None:
    run_on_host(cases(name), tmp_path)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(name: str, compiler: str, tmp_path: Path) -> None:
    run_on_device(cases(name), tmp_path, compiler=compiler)


def test_layers_outside_the_kernels_range_are_left_to_others() -> None:
    rng = np.random.default_rng(3)
    layer = depthwise_layer(rng, size=(5, 5), channels=4, kernel=(3, 3), padding=(1, 1, 1, 1))
    assert list(depthwise_conv2d_3x3_dsp.candidates(layer, TARGET))
    for kernel in (depthwise_conv2d_3x3_dsp, depthwise_conv2d_dsp):
        assert not list(kernel.candidates(layer, load_target("cortex-m3")))
    for change in ({"stride_w": 2}, {"dilation_h": 2}, {"pad_left": 3}, {"shift": np.full(4, 9, np.uint8)}):
        changed = dataclasses.replace(layer, **change)  # type: ignore[arg-type]
        assert not list(depthwise_conv2d_3x3_dsp.candidates(changed, TARGET)), change

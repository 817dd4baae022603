"""The MVE kernels against the reference, through their C twins on the host and with their own instructions on the core."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from depthwise import depthwise_layer, depthwise_reference
from depthwise import extreme_layers as extreme_depthwise_layers
from elementwise import variant_cases as elementwise_variants
from reference import random_layer
from running import Case, device_compilers, run_on_host
from running_m55 import needs_qemu, run_on_m55
from test_conv2d_dsp import layers
from test_elementwise_dsp import add_cases, average_pool_cases
from variants import extreme_layers, variant_cases

from mcugen.kernels import (
    conv2d_1x1_mve,
    conv2d_mve,
    depthwise_conv2d_mve,
    fully_connected_mve,
)
from mcugen.kernels.layer import ConvLayer


def any_scale(layer: ConvLayer) -> Iterator[ConvLayer]:
    """The layer with odd multipliers, and with shifts."""
    yield dataclasses.replace(layer, multiplier=layer.multiplier | 1)
    yield dataclasses.replace(
        layer, shift=(np.arange(layer.out_c) % 3).astype(np.uint8), multiplier=layer.multiplier // 8
    )


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(1)
    found = list(layers(rng, (1, 3, 4, 8, 17)))
    shape = {"size": (4, 3), "channels": (4, 6), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    found += [*extreme_layers(rng, **shape), *any_scale(random_layer(rng, **shape))]
    return variant_cases(conv2d_mve, found, rng, "cortex-m55")


def pointwise_cases() -> list[Case]:
    rng = np.random.default_rng(2)
    found = []
    for in_c in (1, 8, 15, 16, 17, 32, 33, 48, 64, 80):
        for out_c, width in ((1, 1), (4, 2), (5, 3), (8, 4), (11, 5)):
            found.append(random_layer(rng, size=(1, width), channels=(in_c, out_c)))
    for in_c in (16, 32, 40):
        shape = {"size": (2, 3), "channels": (in_c, 7)}
        found += [*extreme_layers(rng, **shape), *any_scale(random_layer(rng, **shape))]
    return variant_cases(conv2d_1x1_mve, found, rng, "cortex-m55")


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(3)
    found = [random_layer(rng, channels=(k, n)) for k in (1, 16, 31, 33, 64, 81) for n in (1, 2, 4, 7, 9)]
    for depth in (16, 40):
        shape = {"channels": (depth, 7)}
        found += [*extreme_layers(rng, **shape), *any_scale(random_layer(rng, **shape))]
    return variant_cases(fully_connected_mve, found, rng, "cortex-m55")


def depthwise_cases() -> list[Case]:
    rng = np.random.default_rng(4)
    found = []
    windows = itertools.product(((1, 1), (3, 1), (1, 4), (5, 5), (3, 3)), ((1, 1), (2, 1), (1, 3)), ((1, 1), (1, 2)))
    for (kernel, stride, dilation), channels in zip(windows, itertools.cycle((1, 3, 7, 8, 9, 16, 18)), strict=False):
        padding = tuple(int(p) for p in rng.integers(0, 3, 4))
        shape = {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}
        found.append(depthwise_layer(rng, size=(5, 9), channels=channels, **shape))
    for size, stride, channels in (((1, 1), 1, 8), ((6, 5), 1, 24), ((7, 6), 2, 5), ((4, 9), 2, 16), ((9, 4), 3, 6)):
        shape = {"size": size, "kernel": (3, 3), "stride": (stride, stride), "padding": (stride % 2, 1, 1, 1)}
        found.append(depthwise_layer(rng, channels=channels, **shape))
    shape = {"size": (3, 4), "channels": 11, "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    found += [*extreme_depthwise_layers(rng, **shape), *any_scale(depthwise_layer(rng, **shape))]
    return variant_cases(depthwise_conv2d_mve, found, rng, "cortex-m55", depthwise_reference)


def elementwise_cases() -> list[Case]:
    """The sums and average pools of the DSP kernels' tests."""
    portable = itertools.chain(add_cases(), average_pool_cases())
    return [case for case in elementwise_variants(portable, "cortex-m55") if case.call.variant == "mve"]


MAKERS = pytest.mark.parametrize(
    "make", [convolution_cases, pointwise_cases, fully_connected_cases, depthwise_cases, elementwise_cases]
)


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@needs_qemu
@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_instructions_equal_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_m55(make(), tmp_path, compiler=compiler)

"""The depthwise kernels for cores without packed arithmetic against the reference, on the host and on emulated cores."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from depthwise import depthwise_layer, depthwise_reference, extreme_layers
from reference import random_input
from riscv import run_on_riscv
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.kernels import depthwise_conv2d_place_scalar, depthwise_conv2d_scalar
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

SHAPES = [
    # height, width, kernel, stride, rows' dilation, padding (top, left, bottom, right), channels, channel multiplier
    (5, 6, (3, 3), (1, 1), 1, (1, 1, 1, 1), 5, 1),
    (8, 3, (3, 3), (1, 1), 1, (2, 0, 0, 2), 3, 1),
    (7, 5, (5, 3), (1, 1), 2, (2, 1, 6, 1), 2, 1),
    (6, 5, (3, 3), (2, 2), 1, (0, 0, 1, 1), 4, 1),
    (6, 5, (3, 3), (2, 1), 1, (1, 1, 1, 1), 3, 2),
    (7, 4, (5, 5), (1, 1), 1, (2, 2, 2, 2), 3, 1),
    (1, 9, (1, 5), (1, 1), 1, (0, 4, 0, 0), 2, 1),
    (9, 1, (4, 1), (1, 1), 1, (1, 0, 2, 0), 3, 1),
    (6, 7, (3, 2), (1, 1), 2, (2, 1, 2, 0), 3, 3),
    (5, 5, (1, 1), (1, 1), 1, (0, 0, 0, 0), 7, 1),
    (3, 2, (3, 2), (1, 1), 1, (0, 0, 0, 0), 2, 1),
    (4, 6, (7, 3), (1, 3), 1, (3, 2, 3, 2), 2, 1),
    (5, 3, (2, 2), (1, 1), 1, (0, 3, 0, 3), 2, 1),
]


def layers(rng: np.random.Generator) -> Iterator[ConvLayer]:
    for height, width, kernel, stride, dilation, padding, channels, multiplier in SHAPES:
        yield depthwise_layer(
            rng,
            channels=channels,
            channel_multiplier=multiplier,
            size=(height, width),
            kernel=kernel,
            stride=stride,
            dilation=(dilation, 1),
            padding=padding,
        )
    shape = {"channels": 5, "size": (5, 4), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    yield from extreme_layers(rng, **shape)
    layer = depthwise_layer(rng, **shape)
    weights = np.full_like(layer.weights, -128)
    weights.reshape(5, 3, 3)[:, 1::2, 0] = 127
    weights.reshape(5, 3, 3)[:, 0::2, 1] = 127
    weights.reshape(5, 3, 3)[:, 1, 2] = 127
    yield dataclasses.replace(layer, weights=weights)


def cases() -> list[Case]:
    rng = np.random.default_rng(7)
    core = load_target("cortex-m0")
    listed: list[Case] = []
    in_place = 0
    for layer in layers(rng):
        x = random_input(rng, layer)
        expected = depthwise_reference(layer, x)
        for call in depthwise_conv2d_scalar.candidates(layer, core):
            case = Case(call=call, inputs=(x,), expected=expected)
            listed += [case, dataclasses.replace(case, distance=call.overlap[0])]
        for call in depthwise_conv2d_place_scalar.candidates(layer, core):
            case = Case(call=call, inputs=(x,), expected=expected)
            listed += [case, dataclasses.replace(case, distance=0)]
            in_place += 1
    assert len(listed) >= 2 * (len(SHAPES) + 8 + in_place)
    assert in_place >= 12
    return listed


def test_c_twin_equals_reference(tmp_path: Path) -> None:
    run_on_host(cases(), tmp_path)


def test_c_twin_on_riscv_equals_reference(tmp_path: Path) -> None:
    run_on_riscv(cases(), tmp_path)


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3"])
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(compiler: str, core: str, tmp_path: Path) -> None:
    run_on_device(cases(), tmp_path, compiler=compiler, core=core)

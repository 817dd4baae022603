"""The MVE kernels that read or write int16, through their C twins on the host and with their own instructions on the core."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import int16
import numpy as np
import pytest
from running import Case, device_compilers, run_on_host
from running_m55 import needs_qemu, run_on_m55
from test_int16_dsp import CONVOLUTIONS, DEPTHWISE, add_cases, pool_cases

from mcugen.kernels import (
    add_s16_mve,
    conv2d_1x1_s16_mve,
    conv2d_s16_mve,
    depthwise_conv2d_s16_mve,
    fully_connected_s16_mve,
)

CORE = "cortex-m55"


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(21)
    shapes = [
        {"size": (h, w), "channels": c, "kernel": k, "stride": s, "dilation": d, "padding": p}
        for h, w, c, k, s, d, p in CONVOLUTIONS
    ]
    plain = (int16.one_type(rng, i, **shape) for i, shape in enumerate(shapes * 2))
    return int16.cases(conv2d_s16_mve, chain(plain, int16.extremes(rng, **shapes[2])), rng, CORE)


def pointwise_cases() -> list[Case]:
    rng = np.random.default_rng(22)
    widths = zip((1, 7, 8, 9, 15, 16, 17, 24, 33, 40), (1, 4, 5, 8, 11, 3, 2, 9, 6, 4), strict=True)
    shapes = [{"size": (1, 1 + i % 5), "channels": channels} for i, channels in enumerate(widths)]
    plain = (int16.one_type(rng, i, **shape) for i, shape in enumerate(shapes + shapes[1:] + shapes[:1]))
    return int16.cases(conv2d_1x1_s16_mve, chain(plain, int16.extremes(rng, size=(2, 3), channels=(24, 7))), rng, CORE)


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(23)
    shapes = [{"channels": channels} for channels in ((1, 1), (8, 5), (64, 10), (33, 8), (18, 3), (130, 4))]
    plain = (int16.one_type(rng, i, **shape) for i, shape in enumerate(shapes + shapes[1:] + shapes[:1]))
    return int16.cases(fully_connected_s16_mve, chain(plain, int16.extremes(rng, **shapes[3])), rng, CORE)


def depthwise_cases() -> list[Case]:
    rng = np.random.default_rng(24)
    wider = [(4, 9, 18, (3, 3), (2, 2), (1, 1), (0, 0, 1, 1)), (9, 4, 16, (3, 3), (3, 3), (1, 1), (1, 2, 1, 2))]
    shapes = [
        {"size": (h, w), "channels": c, "kernel": k, "stride": s, "dilation": d, "padding": p}
        for h, w, c, k, s, d, p in [*DEPTHWISE, *wider]
    ]
    plain = (int16.one_type(rng, i, depthwise=True, **shape) for i, shape in enumerate(shapes * 2))
    ends = int16.extremes(rng, depthwise=True, **(shapes[0] | {"channels": 11}))
    return int16.cases(depthwise_conv2d_s16_mve, chain(plain, ends), rng, CORE)


def elementwise_cases() -> list[Case]:
    """The sums and pools of the DSP kernels' tests."""
    return [*add_cases(add_s16_mve, CORE), *pool_cases(CORE, "mve")]


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

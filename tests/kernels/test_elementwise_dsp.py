"""The DSP kernels of sums, products and pools against the arithmetic contract."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from elementwise import (
    BOUNDS,
    Window,
    add_case,
    average_pool_case,
    max_pool_case,
    mul_case,
    pool_window,
    strides,
    variant_cases,
)
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.kernels import add_dsp
from mcugen.program import KernelCall
from mcugen.targets import load_target

TARGET = load_target("cortex-m4")
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33)


def add_cases() -> Iterator[Case]:
    rng = np.random.default_rng(1)
    weights = ((32767, 32767, 2**30), (-32768, 32767, -(2**30)), (16384, 3, 1 << 13), (0, 0, 0))
    for size, triple, bounds in itertools.product(SIZES, weights, BOUNDS):
        yield add_case(rng, size, triple, int(rng.integers(8, 17)), *bounds)


def mul_cases() -> Iterator[Case]:
    rng = np.random.default_rng(2)
    scales = ((2**22, 0, -128, 127), (2**30, 1, 127, -128), (2**31 - 1, 14, 0, 0), (0, 0, 3, -5))
    for size, (multiplier, shift, *points), bounds in itertools.product(SIZES, scales, BOUNDS):
        zero_points = (points[0], points[1], int(rng.integers(-128, 128)))
        yield mul_case(rng, size, (multiplier, shift), zero_points, *bounds)


def pool_windows() -> Iterator[Window]:
    sizes = (((4, 6), (2, 2)), ((5, 7), (3, 3)), ((4, 4), (4, 4)), ((1, 9), (1, 4)), ((6, 5), (2, 5)))
    channels = itertools.cycle((4, 5, 7, 8, 9, 12, 15, 16, 18))
    for (size, kernel), stride, pad, dilation in itertools.product(sizes, (1, 2), (0, 1), (1, 2)):
        pads = (min(pad, kernel[0] - 1), min(pad, kernel[1] - 1)) if dilation == 1 else (0, 0)
        window = pool_window(size, kernel, stride, pads, dilation, next(channels))
        if window is not None:
            yield window


def max_pool_cases() -> Iterator[Case]:
    rng = np.random.default_rng(3)
    return (max_pool_case(rng, window, flip) for window, flip in itertools.product(pool_windows(), (0, -1)))


def average_pool_cases() -> Iterator[Case]:
    rng = np.random.default_rng(4)
    return (average_pool_case(rng, window) for window in pool_windows())


CASES = pytest.mark.parametrize("cases", [add_cases, mul_cases, max_pool_cases, average_pool_cases])


@CASES
def test_c_twin_equals_reference(cases: Callable[[], Iterator[Case]], tmp_path: Path) -> None:
    run_on_host(list(variant_cases(cases(), "cortex-m4")), tmp_path)


@CASES
@pytest.mark.parametrize("compiler", device_compilers())
def test_device_equals_reference(cases: Callable[[], Iterator[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(list(variant_cases(cases(), "cortex-m4")), tmp_path, compiler=compiler)


def test_broadcast_operands_are_left_to_the_portable_kernel() -> None:
    fields = {"multiplier1": 1, "multiplier2": 1, "constant": 0, "shift": 1, "act_min": -128, "act_max": 127}
    call = KernelCall("mcugen_add_s8", ("add_s8.h",), fields | strides(8))
    assert list(add_dsp.candidates(call, TARGET))
    assert not list(add_dsp.candidates(call, load_target("cortex-m3")))
    for change in ({"stride2_3": 0}, {"size_1": 3, "stride1_1": 8}):
        broadcast = KernelCall("mcugen_add_s8", ("add_s8.h",), {**call.params, **change})
        assert not list(add_dsp.candidates(broadcast, TARGET)), change

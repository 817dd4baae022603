"""The DSP kernels of element-by-element operators and pools against the arithmetic contract."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.fixed_point import saturate
from mcugen.kernels import add_dsp
from mcugen.program import KernelCall
from mcugen.targets import load_target

TARGET = load_target("cortex-m4")
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33)
BOUNDS = ((-128, 127), (-17, 90))


def random_int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    ends = rng.choice([-128, 127], shape)
    return np.where(rng.random(shape) < 0.2, ends, rng.integers(-128, 128, shape)).astype(np.int8)


def strides(size: int) -> dict[str, int]:
    """The fields of a call over `size` elements, neither operand broadcast."""
    fields = {f"size_{i}": 1 for i in range(3)} | {"size_3": size}
    return fields | {f"stride{k}_{i}": int(i == 3) for k in (1, 2) for i in range(4)}


def add_cases() -> Iterator[Case]:
    rng = np.random.default_rng(1)
    weights = ((32767, 32767, 2**30), (-32768, 32767, -(2**30)), (16384, 3, 1 << 13), (0, 0, 0))
    for size, (first, second, constant), (low, high) in itertools.product(SIZES, weights, BOUNDS):
        shift = int(rng.integers(8, 17))
        fields = {"multiplier1": first, "multiplier2": second, "constant": constant, "shift": shift}
        call = KernelCall("mcugen_add_s8", ("add_s8.h",), fields | {"act_min": low, "act_max": high} | strides(size))
        x, y = random_int8(rng, size), random_int8(rng, size)
        total = (x.astype(np.int64) * first + y.astype(np.int64) * second + constant) >> shift
        for fast in add_dsp.candidates(call, TARGET):
            yield Case(fast, (x, y), saturate(total, low, high).astype(np.int8), distance=0)


CASES = pytest.mark.parametrize("cases", [add_cases])


@CASES
def test_c_twin_equals_reference(cases: Callable[[], Iterator[Case]], tmp_path: Path) -> None:
    run_on_host(cases(), tmp_path)


@CASES
@pytest.mark.parametrize("compiler", device_compilers())
def test_device_equals_reference(cases: Callable[[], Iterator[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(cases(), tmp_path, compiler=compiler)


def test_broadcast_operands_are_left_to_the_portable_kernel() -> None:
    fields = {"multiplier1": 1, "multiplier2": 1, "constant": 0, "shift": 1, "act_min": -128, "act_max": 127}
    call = KernelCall("mcugen_add_s8", ("add_s8.h",), fields | strides(8))
    assert list(add_dsp.candidates(call, TARGET))
    for change in ({"stride2_3": 0}, {"size_1": 3, "stride1_1": 8}):
        broadcast = KernelCall("mcugen_add_s8", ("add_s8.h",), {**call.params, **change})
        assert not list(add_dsp.candidates(broadcast, TARGET)), change

"""The DSP kernels of sums, products and pools against the arithmetic contract."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.fixed_point import requantize_s8, saturate
from mcugen.kernels import add_dsp, average_pool2d_dsp, max_pool2d_dsp, mul_dsp
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


def mul_cases() -> Iterator[Case]:
    rng = np.random.default_rng(2)
    scales = ((2**22, 0, -128, 127), (2**30, 1, 127, -128), (2**31 - 1, 14, 0, 0), (0, 0, 3, -5))
    for size, (multiplier, shift, first, second), (low, high) in itertools.product(SIZES, scales, BOUNDS):
        zero_point = int(rng.integers(-128, 128))
        fields = {"zero_point1": first, "zero_point2": second, "out_zero_point": zero_point, "multiplier": multiplier}
        fields |= {"shift": shift, "act_min": low, "act_max": high} | strides(size)
        x, y = random_int8(rng, size), random_int8(rng, size)
        product = (x.astype(np.int64) - first) * (y.astype(np.int64) - second)
        expected = requantize_s8(product, np.int32(multiplier), np.uint8(shift), zero_point, low, high)
        for fast in mul_dsp.candidates(KernelCall("mcugen_mul_s8", ("mul_s8.h",), fields), TARGET):
            yield Case(fast, (x, y), expected.astype(np.int8), distance=0)


def pool_shapes() -> Iterator[tuple[dict[str, int], np.ndarray]]:
    """The fields of pools, and `[out_h, out_w, taps]`: the pixel of every tap, -1 beside the image."""
    sizes = (((4, 6), (2, 2)), ((5, 7), (3, 3)), ((4, 4), (4, 4)), ((1, 9), (1, 4)), ((6, 5), (2, 5)))
    channels = itertools.cycle((4, 5, 7, 8, 9, 12, 15, 16, 18))
    for (size, kernel), stride, pad, dilation in itertools.product(sizes, (1, 2), (0, 1), (1, 2)):
        extent = [(k - 1) * dilation + 1 for k in kernel]
        # every window has a tap on the image
        pads = [min(pad, k - 1) for k in kernel] if dilation == 1 else [0, 0]
        out = [(s + 2 * p - e) // stride + 1 for s, p, e in zip(size, pads, extent, strict=True)]
        if min(out) < 1:
            continue
        fields = {"in_h": size[0], "in_w": size[1], "channels": next(channels), "out_h": out[0], "out_w": out[1]}
        fields |= {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride, "stride_w": stride}
        fields |= {"dilation_h": dilation, "dilation_w": dilation, "pad_top": pads[0], "pad_left": pads[1]}
        y, x = (np.arange(out[i])[:, None] * stride - pads[i] + np.arange(kernel[i]) * dilation for i in (0, 1))
        inside = ((y >= 0) & (y < size[0]))[:, None, :, None] & ((x >= 0) & (x < size[1]))[None, :, None, :]
        place = y[:, None, :, None] * size[1] + x[None, :, None, :]
        yield fields, np.where(inside, place, -1).reshape(*out, -1)


def max_pool_cases() -> Iterator[Case]:
    rng = np.random.default_rng(3)
    for (fields, places), flip in itertools.product(pool_shapes(), (0, -1)):
        x = random_int8(rng, fields["in_h"] * fields["in_w"], fields["channels"])
        taps = np.where(places[..., None] >= 0, x[places] ^ flip, -128)
        call = KernelCall("mcugen_max_pool2d_s8", ("max_pool2d_s8.h",), fields | {"flip": flip})
        for fast in max_pool2d_dsp.candidates(call, TARGET):
            yield Case(fast, (x,), (taps.max(axis=2) ^ flip).astype(np.int8), distance=fast.overlap[0])


def average_pool_cases() -> Iterator[Case]:
    rng = np.random.default_rng(4)
    for fields, places in pool_shapes():
        x = random_int8(rng, fields["in_h"] * fields["in_w"], fields["channels"])
        counts = (places >= 0).sum(axis=2)
        divisors, classes = np.unique(counts, return_inverse=True)
        shift = np.where(divisors == 1, 1, 0).astype(np.uint8)
        multiplier = np.where(divisors == 1, 2**31 - 1, 2**32 // divisors.clip(3)).astype(np.int32)
        in_zero_point, out_zero_point = (int(v) for v in rng.integers(-128, 128, 2))
        low, high = BOUNDS[int(rng.integers(0, 2))]
        total = np.where(places[..., None] >= 0, x[places].astype(np.int64) - in_zero_point, 0).sum(axis=2)
        classes = classes.reshape(counts.shape)[..., None]
        expected = requantize_s8(total, multiplier[classes], shift[classes], out_zero_point, low, high)
        quantization = {"in_zero_point": in_zero_point, "out_zero_point": out_zero_point}
        quantization |= {"act_min": low, "act_max": high}
        constants: dict[str, np.ndarray] = {"multiplier": multiplier}
        if len(divisors) > 1:
            constants |= {"divisor_class": classes.astype(np.uint8)}
        if shift.any():
            constants |= {"shift": shift}
        call = KernelCall("mcugen_average_pool2d_s8", ("average_pool2d_s8.h",), fields | quantization, constants)
        for fast in average_pool2d_dsp.candidates(call, TARGET):
            yield Case(fast, (x,), expected.astype(np.int8), distance=fast.overlap[0])


CASES = pytest.mark.parametrize("cases", [add_cases, mul_cases, max_pool_cases, average_pool_cases])


@CASES
def test_c_twin_equals_reference(cases: Callable[[], Iterator[Case]], tmp_path: Path) -> None:
    run_on_host(list(cases()), tmp_path)


@CASES
@pytest.mark.parametrize("compiler", device_compilers())
def test_device_equals_reference(cases: Callable[[], Iterator[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(list(cases()), tmp_path, compiler=compiler)


def test_broadcast_operands_are_left_to_the_portable_kernel() -> None:
    fields = {"multiplier1": 1, "multiplier2": 1, "constant": 0, "shift": 1, "act_min": -128, "act_max": 127}
    call = KernelCall("mcugen_add_s8", ("add_s8.h",), fields | strides(8))
    assert list(add_dsp.candidates(call, TARGET))
    assert not list(add_dsp.candidates(call, load_target("cortex-m3")))
    for change in ({"stride2_3": 0}, {"size_1": 3, "stride1_1": 8}):
        broadcast = KernelCall("mcugen_add_s8", ("add_s8.h",), {**call.params, **change})
        assert not list(add_dsp.candidates(broadcast, TARGET)), change

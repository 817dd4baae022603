"""Sums, products and pools as the portable kernels take them, with their exact results, and the variants that run them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from packed import Case

from mcugen.fixed_point import requantize_s8, saturate
from mcugen.kernels import variants
from mcugen.program import KernelCall
from mcugen.targets import load_target

BOUNDS = ((-128, 127), (-17, 90))
Window = tuple[dict[str, int], np.ndarray]


def random_int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    ends = rng.choice([-128, 127], shape)
    return np.where(rng.random(shape) < 0.2, ends, rng.integers(-128, 128, shape)).astype(np.int8)


def strides(size: int) -> dict[str, int]:
    """The fields of a call over `size` elements, neither operand broadcast."""
    fields = {f"size_{i}": 1 for i in range(3)} | {"size_3": size}
    return fields | {f"stride{k}_{i}": int(i == 3) for k in (1, 2) for i in range(4)}


def variant_cases(cases: Iterator[Case], target: str) -> Iterator[Case]:
    """The cases of portable calls as the variants of a target run them, over an input where they may."""
    core = load_target(target)
    for case in cases:
        for call in variants(case.call.function.removeprefix("mcugen_").removesuffix("_s8"), case.call, core):
            yield dataclasses.replace(case, call=call, distance=call.overlap.get(0))


def add_case(
    rng: np.random.Generator, size: int, weights: tuple[int, int, int], shift: int, low: int, high: int
) -> Case:
    """`(x * weights[0] + y * weights[1] + weights[2]) >> shift`, bounded."""
    first, second, constant = weights
    fields = {"multiplier1": first, "multiplier2": second, "constant": constant, "shift": shift}
    call = KernelCall("mcugen_add_s8", ("add_s8.h",), fields | {"act_min": low, "act_max": high} | strides(size))
    x, y = random_int8(rng, size), random_int8(rng, size)
    total = (x.astype(np.int64) * first + y.astype(np.int64) * second + constant) >> shift
    return Case(call, (x, y), saturate(total, low, high).astype(np.int8))


def mul_case(
    rng: np.random.Generator, size: int, scale: tuple[int, int], zero_points: tuple[int, int, int], low: int, high: int
) -> Case:
    """The product of `x - zero_points[0]` and `y - zero_points[1]`, scaled by (multiplier, shift), to zero_points[2]."""
    (multiplier, shift), (first, second, zero_point) = scale, zero_points
    fields = {"zero_point1": first, "zero_point2": second, "out_zero_point": zero_point, "multiplier": multiplier}
    fields |= {"shift": shift, "act_min": low, "act_max": high} | strides(size)
    x, y = random_int8(rng, size), random_int8(rng, size)
    product = (x.astype(np.int64) - first) * (y.astype(np.int64) - second)
    expected = requantize_s8(product, np.int32(multiplier), np.uint8(shift), zero_point, low, high)
    return Case(KernelCall("mcugen_mul_s8", ("mul_s8.h",), fields), (x, y), expected.astype(np.int8))


def pool_window(
    size: tuple[int, int], kernel: tuple[int, int], stride: int, pads: tuple[int, int], dilation: int, channels: int
) -> Window | None:
    """The fields of a pool, and `[out_h, out_w, taps]`: the pixel of every tap, -1 beside the image; None where a window
    does not fit or sees nothing."""
    extent = [(k - 1) * dilation + 1 for k in kernel]
    out = [(s + 2 * p - e) // stride + 1 for s, p, e in zip(size, pads, extent, strict=True)]
    if min(out) < 1:
        return None
    fields = {"in_h": size[0], "in_w": size[1], "channels": channels, "out_h": out[0], "out_w": out[1]}
    fields |= {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride, "stride_w": stride}
    fields |= {"dilation_h": dilation, "dilation_w": dilation, "pad_top": pads[0], "pad_left": pads[1]}
    y, x = (np.arange(out[i])[:, None] * stride - pads[i] + np.arange(kernel[i]) * dilation for i in (0, 1))
    inside = ((y >= 0) & (y < size[0]))[:, None, :, None] & ((x >= 0) & (x < size[1]))[None, :, None, :]
    place = y[:, None, :, None] * size[1] + x[None, :, None, :]
    places = np.where(inside, place, -1).reshape(*out, -1)
    return (fields, places) if (places >= 0).any(axis=2).all() else None


def max_pool_case(rng: np.random.Generator, window: Window, flip: int) -> Case:
    """The greatest tap, or the least where `flip` is -1."""
    fields, places = window
    x = random_int8(rng, fields["in_h"] * fields["in_w"], fields["channels"])
    taps = np.where(places[..., None] >= 0, x[places] ^ flip, -128)
    call = KernelCall("mcugen_max_pool2d_s8", ("max_pool2d_s8.h",), fields | {"flip": flip})
    return Case(call, (x,), (taps.max(axis=2) ^ flip).astype(np.int8))


def average_pool_case(rng: np.random.Generator, window: Window) -> Case:
    """The mean over the taps on the image, requantized."""
    fields, places = window
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
    fields = fields | {"in_zero_point": in_zero_point, "out_zero_point": out_zero_point}
    fields |= {"act_min": low, "act_max": high}
    constants: dict[str, np.ndarray] = {"multiplier": multiplier}
    if len(divisors) > 1:
        constants |= {"divisor_class": classes.astype(np.uint8)}
    if shift.any():
        constants |= {"shift": shift}
    call = KernelCall("mcugen_average_pool2d_s8", ("average_pool2d_s8.h",), fields, constants)
    return Case(call, (x,), expected.astype(np.int8))

"""Random layers that read or write int16, their reference, and cases of every candidate of a kernel variant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from depthwise import depthwise_layer
from reference import accumulators, patches, random_layer
from running import Case

from mcugen.fixed_point import quantize_multiplier, requantize
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

TYPES = (("int16", "int16"), ("int8", "int16"), ("int16", "int8"))
Integers = npt.NDArray[np.signedinteger[Any]]


def widened(rng: np.random.Generator, layer: ConvLayer, in_dtype: str, out_dtype: str, **changes: Any) -> ConvLayer:
    """The layer with other types, zero points that fit them, and multipliers that spread the outputs over their type."""
    low, high = (int(v) for v in (np.iinfo(out_dtype).min, np.iinfo(out_dtype).max))
    reach = -int(np.iinfo(in_dtype).min)
    weights = layer.weights.reshape(layer.out_c, -1).astype(np.float64)
    spread = np.sqrt(np.maximum(1, (weights**2).sum(axis=1))) * reach / 1.7
    scale = np.minimum(rng.uniform(0.4, 1.5, layer.out_c) * high / spread, 60 if in_dtype == "int8" else 0.49)
    multiplier, shift = quantize_multiplier(scale, coarse=in_dtype == "int8")
    layer = dataclasses.replace(
        layer, in_dtype=in_dtype, out_dtype=out_dtype, multiplier=multiplier, shift=shift,
        in_zero_point=layer.in_zero_point if in_dtype == "int8" else 0,
        out_zero_point=layer.out_zero_point if out_dtype == "int8" else 0,
        act_min=low, act_max=high, bias=rng.integers(-30 * reach, 30 * reach, layer.out_c).astype(np.int32),
    )  # fmt: skip
    return dataclasses.replace(layer, **changes)


def random_integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Integers:
    """Integers of the whole range, its two ends more often than the rest."""
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max + 1, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([info.min, info.max], shape), x).astype(dtype)


def expected(layer: ConvLayer, x: Integers) -> Integers:
    """`[out_h, out_w, out_c]`, by the arithmetic contract; depthwise where every channel is a group."""
    acc = depthwise_accumulators(layer, x) if layer.groups > 1 else accumulators(layer, x)
    value = requantize(acc, layer.multiplier, layer.shift, layer.out_zero_point)
    return np.clip(value, layer.act_min, layer.act_max).astype(layer.out_dtype)


def depthwise_accumulators(layer: ConvLayer, x: Integers) -> npt.NDArray[np.int64]:
    """`[out_h, out_w, channels]`."""
    taps = layer.weights.reshape(layer.out_c, layer.kernel_h, layer.kernel_w).astype(np.int64)
    return np.asarray(np.einsum("yxabc,cab->yxc", patches(layer, x), taps) + layer.bias.astype(np.int64))


def raw(x: Integers) -> npt.NDArray[np.int8]:
    """The bytes of a tensor."""
    return np.ascontiguousarray(x).reshape(-1).view(np.int8)


def cases(
    kernel: ModuleType, layers: Iterator[ConvLayer], rng: np.random.Generator, target: str = "cortex-m4"
) -> list[Case]:
    """A case for every candidate of every layer, and where one may write over its input, a second that does."""
    core, listed = load_target(target), []
    for layer in layers:
        x = random_integers(rng, (layer.in_h, layer.in_w, layer.in_c), layer.in_dtype)
        calls = list(kernel.candidates(layer, core))
        assert calls, layer
        for call in calls:
            case = Case(call=call, inputs=(raw(x),), expected=raw(expected(layer, x)))
            listed.append(case)
            if 0 in call.overlap:
                listed.append(dataclasses.replace(case, distance=call.overlap[0]))
    return listed


def one_type(rng: np.random.Generator, number: int, *, depthwise: bool = False, **shape: Any) -> ConvLayer:
    """A layer of that shape; its types and whether it ends in a relu take turns with `number`."""
    make = depthwise_layer if depthwise else random_layer
    in_dtype, out_dtype = (*TYPES, TYPES[0])[number % 4]
    layer = widened(rng, make(rng, **shape), in_dtype, out_dtype)
    return dataclasses.replace(layer, act_min=0) if number % 4 == 3 or number % 8 == 1 else layer


def extremes(rng: np.random.Generator, *, depthwise: bool = False, **shape: Any) -> Iterator[ConvLayer]:
    """Multipliers, weights, shifts and zero points at their ends, channels without weights, explicit bounds."""
    make = depthwise_layer if depthwise else random_layer
    for in_dtype, out_dtype in TYPES:
        layer = widened(rng, make(rng, **shape), in_dtype, out_dtype)
        channels = layer.out_c
        for multiplier in (0, 2**31 - 1):
            yield dataclasses.replace(layer, multiplier=np.full(channels, multiplier, np.int32), shift=layer.shift * 0)
        dead = layer.weights.copy()
        dead[::2] = 0
        yield dataclasses.replace(layer, weights=dead)
        yield dataclasses.replace(layer, weights=np.full_like(layer.weights, -128), bias=layer.bias * 0)
        yield dataclasses.replace(layer, act_min=-17, act_max=40)
        if in_dtype == "int8":
            shift = (np.arange(channels) % 4).astype(np.uint8)
            yield dataclasses.replace(layer, multiplier=np.full(channels, 256 * 12345, np.int32), shift=shift)
            for zero_point in (-128, 127):
                yield dataclasses.replace(layer, in_zero_point=zero_point)

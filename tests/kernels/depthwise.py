"""Depthwise layers to try kernels on, and their exact meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from reference import patches, random_layer

from mcugen.fixed_point import requantize_s8
from mcugen.kernels.layer import ConvLayer

Int8 = npt.NDArray[np.int8]


def depthwise_reference(layer: ConvLayer, x: Int8) -> Int8:
    """`[out_h, out_w, out_c]` int8, by the arithmetic contract."""
    taps = layer.weights.reshape(layer.out_c, layer.kernel_h, layer.kernel_w).astype(np.int64)
    read = np.repeat(patches(layer, x), layer.out_c // layer.in_c, axis=4)
    acc = np.einsum("yxabc,cab->yxc", read, taps) + layer.bias.astype(np.int64)
    return requantize_s8(
        acc, layer.multiplier, layer.shift, layer.out_zero_point, layer.act_min, layer.act_max
    ).astype(np.int8)


def depthwise_layer(rng: np.random.Generator, *, channels: int, channel_multiplier: int = 1, **shape: Any) -> ConvLayer:
    """A random depthwise layer; `shape` as in `random_layer`."""
    layer = random_layer(rng, channels=(1, channels * channel_multiplier), **shape)
    return dataclasses.replace(layer, in_c=channels, groups=channels)


def extreme_layers(rng: np.random.Generator, **shape: Any) -> Iterator[ConvLayer]:
    """Zero points, weights, biases, multipliers and shifts at their ends, outputs that saturate, explicit bounds."""
    for zero_point in (-128, 127):
        yield depthwise_layer(rng, **shape, in_zero_point=zero_point, out_zero_point=zero_point)
    layer = depthwise_layer(rng, **shape)
    channels = layer.out_c
    yield dataclasses.replace(layer, act_min=-17, act_max=40)
    for weight in (-128, -127, 127):
        yield dataclasses.replace(layer, weights=np.full_like(layer.weights, weight))
    for multiplier, shift in ((0, 0), (1, 0), (2**31 - 1, 0), (2**30, 3), (2**31 - 1, 7)):
        yield dataclasses.replace(
            layer, multiplier=np.full(channels, multiplier, np.int32), shift=np.full(channels, shift, np.uint8)
        )
    mixed = (np.arange(channels) % 4).astype(np.uint8)
    yield dataclasses.replace(layer, shift=mixed)
    limit = 2**31 - 1 - 128 * np.abs(layer.weights.astype(np.int64)).reshape(channels, -1).sum(axis=1)
    for sign in (-1, 1):
        yield dataclasses.replace(
            layer, bias=(sign * limit).astype(np.int32), shift=np.zeros(channels, np.uint8),
            multiplier=np.full(channels, 256, np.int32),
        )

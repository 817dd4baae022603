"""The exact meaning of convolutions in NumPy integers, and random layers to try kernels on."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import quantize_multiplier, requantize_s8
from mcugen.kernels.layer import ConvLayer

Int8 = npt.NDArray[np.int8]


def patches(layer: ConvLayer, x: Int8) -> npt.NDArray[np.int64]:
    """`[out_h, out_w, kernel_h, kernel_w, in_c]`: what every output pixel reads; padded taps are the zero point."""
    y = np.arange(layer.out_h)[:, None] * layer.stride_h - layer.pad_top + np.arange(layer.kernel_h) * layer.dilation_h
    z = np.arange(layer.out_w)[:, None] * layer.stride_w - layer.pad_left + np.arange(layer.kernel_w) * layer.dilation_w
    inside = ((y >= 0) & (y < layer.in_h))[:, None, :, None] & ((z >= 0) & (z < layer.in_w))[None, :, None, :]
    image = x.reshape(layer.in_h, layer.in_w, layer.in_c).astype(np.int64)
    read = image[y.clip(0, layer.in_h - 1)[:, None, :, None], z.clip(0, layer.in_w - 1)[None, :, None, :]]
    return np.where(inside[..., None], read, layer.in_zero_point)


def accumulators(layer: ConvLayer, x: Int8) -> npt.NDArray[np.int64]:
    """`[out_h, out_w, out_c]` = bias + sum(w * x)."""
    read = patches(layer, x)
    flat = read.reshape(layer.out_h, layer.out_w, -1)
    sums = flat @ layer.weights.reshape(layer.out_c, -1).astype(np.int64).T
    return np.asarray(sums + layer.bias.astype(np.int64))


def conv_reference(layer: ConvLayer, x: Int8) -> Int8:
    """`[out_h, out_w, out_c]` int8, by the arithmetic contract."""
    acc = accumulators(layer, x)
    return requantize_s8(
        acc, layer.multiplier, layer.shift, layer.out_zero_point, layer.act_min, layer.act_max
    ).astype(np.int8)


def random_layer(
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (1, 1),
    channels: tuple[int, int],
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    **changes: Any,
) -> ConvLayer:
    """A layer with random integers whose outputs spread over int8.

    `size` is the input's (height, width), `channels` (in, out), `padding` (top, left, bottom, right); `changes` replace
    fields of the layer.
    """
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    out_h = (size[0] + padding[0] + padding[2] - span[0]) // stride[0] + 1
    out_w = (size[1] + padding[1] + padding[3] - span[1]) // stride[1] + 1
    weights = rng.integers(-127, 128, (channels[1], *kernel, channels[0])).astype(np.int8)
    spread = 127.0 * np.sqrt(np.maximum(1, (weights.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))) / 1.7
    multiplier, shift = quantize_multiplier(rng.uniform(0.5, 1.5, channels[1]) * 80 / spread)
    layer = ConvLayer(
        in_h=size[0], in_w=size[1], in_c=channels[0], out_h=out_h, out_w=out_w, out_c=channels[1],
        kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1],
        dilation_h=dilation[0], dilation_w=dilation[1], pad_top=padding[0], pad_left=padding[1], groups=1,
        weights=weights, bias=rng.integers(-3000, 3000, channels[1]).astype(np.int32),
        multiplier=multiplier, shift=shift,
        in_zero_point=int(rng.integers(-128, 128)), out_zero_point=int(rng.integers(-100, 100)),
    )
    return dataclasses.replace(layer, **changes)


def random_input(rng: np.random.Generator, layer: ConvLayer) -> Int8:
    """Activations of the layer's input shape in [-128, 127], the two ends more often than the rest."""
    x = rng.integers(-128, 128, (layer.in_h, layer.in_w, layer.in_c))
    ends = rng.choice([-128, 127], x.shape)
    return np.where(rng.random(x.shape) < 0.2, ends, x).astype(np.int8)

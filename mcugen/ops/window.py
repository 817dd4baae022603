"""Windows over images: output sizes, paddings, and the patches that convolutions and pools read; channels-last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def output_size(size: int, kernel: int, stride: int, dilation: int, pad_begin: int, pad_end: int) -> int:
    """The number of window positions along one axis."""
    return (size + pad_begin + pad_end - (kernel - 1) * dilation - 1) // stride + 1


def same_pads(size: int, kernel: int, stride: int, dilation: int, *, upper: bool) -> tuple[int, int]:
    """ONNX auto_pad SAME_UPPER or SAME_LOWER along one axis: (begin, end)."""
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def pad_image(x: Array, pads: Sequence[int], value: Any) -> Array:
    """`x` [N, H, W, C] padded by (top, left, bottom, right)."""
    top, left, bottom, right = pads
    if not any(pads):
        return x
    return np.pad(
        x, ((0, 0), (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)), constant_values=value
    )


def windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """A view [N, out_h, out_w, kernel_h, kernel_w, C] of padded `x` [N, H, W, C]."""
    n, h, w, c = x.shape
    out_h = output_size(h, kernel[0], strides[0], dilations[0], 0, 0)
    out_w = output_size(w, kernel[1], strides[1], dilations[1], 0, 0)
    sn, sh, sw, sc = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (n, out_h, out_w, kernel[0], kernel[1], c),
        (sn, sh * strides[0], sw * strides[1], sh * dilations[0], sw * dilations[1], sc),
        writeable=False,
    )


def convolve(
    x: Array,
    weights: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    groups: int,
    pad_value: Any,
) -> Array:
    """Convolution of `x` [N, H, W, C] with `weights` [O, kh, kw, C / groups] in the dtype of `x`, by one GEMM a group."""
    padded = pad_image(x, pads, pad_value)
    out_c, kernel_h, kernel_w, depth = weights.shape
    view = windows(padded, (kernel_h, kernel_w), strides, dilations)
    shape = view.shape[:3]
    parts = []
    for g in range(groups):
        patch = view[..., g * depth : (g + 1) * depth].reshape(-1, kernel_h * kernel_w * depth)
        rows = weights[g * (out_c // groups) : (g + 1) * (out_c // groups)].reshape(-1, kernel_h * kernel_w * depth)
        parts.append(patch @ rows.T.astype(x.dtype))
    return np.concatenate(parts, axis=1).reshape(*shape, out_c)


def convolve_depthwise(
    x: Array, weights: Array, strides: Sequence[int], dilations: Sequence[int], pads: Sequence[int], pad_value: Any
) -> Array:
    """Depthwise convolution of `x` [N, H, W, C] with `weights` [O, kh, kw, 1]: output channel o reads channel o // (O / C)."""
    padded = pad_image(x, pads, pad_value)
    out_c, kernel_h, kernel_w, _ = weights.shape
    multiplier = out_c // padded.shape[3]
    if multiplier > 1:
        padded = np.repeat(padded, multiplier, axis=3)
    view = windows(padded, (kernel_h, kernel_w), strides, dilations)
    taps = weights[..., 0].astype(x.dtype)
    acc = np.zeros((*view.shape[:3], out_c), x.dtype)
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            acc += view[:, :, :, ky, kx, :] * taps[:, ky, kx]
    return acc

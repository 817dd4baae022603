"""3x3 stride-1 convolution by Winograd's F(2x2, 3x3) on cores with the DSP instructions, exact in integers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.overlap import access_distance
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"
TRANSFORM = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
"""2 G: sums come out 4 times those of the direct form."""
LEAST_CHANNELS = 8
FIELDS = (
    *("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "pad_top", "pad_left", "in_zero_point", "out_zero_point"),
    *("act_min", "act_max"),
)


def applies(layer: ConvLayer) -> bool:
    """Whether the kernel computes this layer at all: 3x3, stride 1, and 4 times its accumulators fit int32."""
    shape = (layer.kernel_h, layer.kernel_w, layer.stride_h, layer.stride_w, layer.dilation_h, layer.dilation_w)
    return (
        shape == (3, 3, 1, 1, 1, 1)
        and layer.groups == 1
        and layer.in_c % 4 == 0
        and min(layer.in_c, layer.out_c) >= LEAST_CHANNELS
        and 4 * layer.max_accumulator < 1 << 31
    )


def scaled_multiplier(layer: ConvLayer) -> npt.NDArray[np.int64] | None:
    """`multiplier * 2^shift / 4`, or None where that is no integer or too large for some channel."""
    multiplier = layer.multiplier.astype(np.int64) << layer.shift.astype(np.int64)
    return None if np.any(multiplier % 4) or np.any(multiplier >= 1 << 33) else multiplier // 4


def pack_weights(layer: ConvLayer) -> npt.NDArray[np.uint32]:
    """`[out_c / 4][16][in_c / 2][4]` words of two transformed weights; zeros up to 16 input and 4 output channels."""
    in_c, out_c = -(-layer.in_c // 16) * 16, -(-layer.out_c // 4) * 4
    padded = np.zeros((out_c, 3, 3, in_c), np.int64)
    padded[: layer.out_c, :, :, : layer.in_c] = layer.weights
    transformed = np.einsum("iy,jx,kyxc->ijkc", TRANSFORM, TRANSFORM, padded).reshape(16, out_c // 4, 4, in_c // 4, 4)
    halves = np.ascontiguousarray(transformed.transpose(1, 0, 3, 4, 2)) & 0xFFFF
    # channels 4q and 4q + 2 are a pair, 4q + 1 and 4q + 3 the next
    return (halves[:, :, :, :2] | halves[:, :, :, 2:] << 16).astype(np.uint32).reshape(-1)


def pack_requantization(layer: ConvLayer, multiplier: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """`[out_c / 4][2][4]`: 4 * bias and the multiplier of every channel."""
    table = np.zeros((2, -(-layer.out_c // 4) * 4), np.int64)
    table[0, : layer.out_c] = 4 * layer.bias.astype(np.int64)
    table[1, : layer.out_c] = multiplier
    return table.reshape(2, -1, 4).transpose(1, 0, 2).astype(np.int32).reshape(-1)


def tile_overlap(layer: ConvLayer) -> int:
    """How far before its input the output must begin: two tiles are read before 2 rows of 4 pixels are written."""
    y, x = (a.reshape(-1) for a in np.mgrid[: layer.out_h : 2, : layer.out_w : 4])
    top, left = y - layer.pad_top, x - layer.pad_left
    below, right = np.minimum(top + 4, layer.in_h), np.minimum(left + 6, layer.in_w)
    top, left = top.clip(0), left.clip(0)
    some = (top < below) & (left < right)
    y_end, x_end = np.minimum(y + 2, layer.out_h) - 1, np.minimum(x + 4, layer.out_w)
    return access_distance(
        np.where(some, (top * layer.in_w + left) * layer.in_c, 0),
        np.where(some, ((below - 1) * layer.in_w + right) * layer.in_c, 0),
        (y * layer.out_w + x) * layer.out_c * layer.out_bytes,
        (y_end * layer.out_w + x_end) * layer.out_c * layer.out_bytes,
        read_size=layer.in_h * layer.in_w * layer.in_c,
        buffered=True,
    )


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_winograd_s8_dsp` kernel: the fewest cycles, for 3.6 times the weight bytes."""
    multiplier = scaled_multiplier(layer)
    if "dsp" not in target.variants or not applies(layer) or multiplier is None:
        return
    yield KernelCall(
        function="mcugen_conv2d_winograd_s8_dsp",
        headers=("conv2d_winograd_s8_dsp.h",),
        params=layer.fields(*FIELDS),
        constants={"weights": pack_weights(layer), "requantization": pack_requantization(layer, multiplier)},
        scratch=64 * -(-layer.in_c // 16) * 16 + max(24 * layer.in_c, 512 + 8 * -(-layer.out_c // 4) * 4),
        overlap={0: tile_overlap(layer)},
        cycles=winograd_cycles(layer),
        code_bytes=428,
        shared_code=shared(
            *(f"mcugen_winograd_{part}_s8_dsp" for part in ("copy", "input", "output", "patch", "sums"))
        ),
        variant="dsp",
    )


def winograd_cycles(layer: ConvLayer) -> float:
    """Cortex-M4 cycles, from measurements of the parts; within 2 % of the layers measured."""
    groups = -(-layer.out_h // 2) * -(-layer.out_w // 4)
    blocks, positions = -(-layer.out_c // 4), -(-layer.in_c // 16)
    block = 2388 if positions == 1 else 293 + 2192 * positions
    group = 46 + 110 * layer.in_c + blocks * block + 152 * layer.out_c
    return groups * group + edge_groups(layer) * (400 + 22.5 * layer.in_c) + 1300 * positions


def edge_groups(layer: ConvLayer) -> int:
    """How many pairs of tiles read pixels beside the image."""
    y = np.arange(0, layer.out_h, 2) - layer.pad_top
    x = np.arange(0, layer.out_w, 4) - layer.pad_left
    inside = np.sum((y >= 0) & (y + 4 <= layer.in_h)) * np.sum((x >= 0) & (x + 6 <= layer.in_w))
    return len(y) * len(x) - int(inside)

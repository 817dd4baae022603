"""Importing ONNX operators with spatial axes: N, C, spatial... in; one channels-last image inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcugen.ops.operator import Importer
from mcugen.ops.window import same_pads

LONGEST_STEP = 1 << 15
"""A stride or dilation must be smaller: no image is as long."""


def image_input(importer: Importer, name: str) -> str:
    """[1, C, H, W] or [N, C, L] as a channels-last image [1, H, W, C]; L becomes the width, N the height."""
    shape = importer.shape(name)
    if len(shape) == 4:
        if shape[0] != 1:
            raise importer.unsupported(
                f"a batch of {shape[0]} images", "export the model with a batch of 1: one run is one image"
            )
        return importer.emit("transpose", [name], perm=(0, 2, 3, 1))
    last = importer.emit("transpose", [name], perm=(0, 2, 1))
    return importer.emit("reshape", [last], shape=(1, shape[0], shape[2], shape[1]))


def channels_first(importer: Importer, name: str, rank: int) -> str:
    """The inverse of `image_input`."""
    if rank == 4:
        return importer.emit("transpose", [name], perm=(0, 3, 1, 2))
    _, n, length, channels = importer.shape(name)
    flat = importer.emit("reshape", [name], shape=(n, length, channels))
    return importer.emit("transpose", [flat], perm=(0, 2, 1))


def window_attrs(importer: Importer, name: str, kernel: Sequence[int], *, ceil_mode: bool = False) -> dict[str, Any]:
    """strides, dilations and pads (top, left, bottom, right) of a window `kernel` (h, w) over ONNX tensor `name`.

    Resolves auto_pad; with `ceil_mode` the end pads are enlarged so that the last, partial window is counted.
    """
    spatial = importer.shape(name)[2:]
    rank = len(spatial)
    strides = _pair(importer, "strides", rank)
    dilations = _pair(importer, "dilations", rank)
    size = (1, *spatial) if rank == 1 else tuple(spatial)
    auto = importer.attr("auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = [same_pads(size[i], kernel[i], strides[i], dilations[i], upper=auto == "SAME_UPPER") for i in range(2)]
    elif auto == "VALID":
        pairs = [(0, 0), (0, 0)]
    else:
        pads = [int(p) for p in importer.attr("pads") or [0] * (2 * rank)]
        if len(pads) != 2 * rank:
            raise importer.unsupported(f"pads {pads} for {rank} axes")
        if any(p < 0 for p in pads):
            raise importer.unsupported(f"negative pads {pads}", "crop with Slice instead")
        pairs = [(0, 0)] * (2 - rank) + [(pads[i], pads[i + rank]) for i in range(rank)]
    if ceil_mode:
        pairs = [_ceil(size[i], kernel[i], strides[i], dilations[i], pairs[i]) for i in range(2)]
    for i in range(2):
        reach = (kernel[i] - 1) * dilations[i] + 1
        if size[i] + sum(pairs[i]) < reach:
            raise importer.unsupported(
                f"its window of {reach} is larger than the padded input of {size[i] + sum(pairs[i])}"
            )
    return {
        "strides": strides,
        "dilations": dilations,
        "pads": (pairs[0][0], pairs[1][0], pairs[0][1], pairs[1][1]),
    }


def _pair(importer: Importer, name: str, rank: int) -> tuple[int, int]:
    given = [int(v) for v in importer.attr(name) or [1] * rank]
    if len(given) != rank or not all(0 < v < LONGEST_STEP for v in given):
        raise importer.unsupported(f"{name} {given}")
    return (1, given[0]) if rank == 1 else (given[0], given[1])


def _ceil(size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> tuple[int, int]:
    """End padding that makes room for the partial window; a window that would begin in the padding is dropped (ONNX, PyTorch)."""
    span = size + sum(pads) - ((kernel - 1) * dilation + 1)
    count = -(-span // stride) + 1
    if (count - 1) * stride >= size + pads[0]:
        count -= 1
    needed = (count - 1) * stride + (kernel - 1) * dilation + 1 - size - pads[0]
    return (pads[0], max(pads[1], needed))

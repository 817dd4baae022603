"""ONNX operators that repeat or regroup elements, as slices with step 0, reshapes and transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.ops.importing import WHOLE_AXIS, argument, emit_gather, integers, onnx_type, reshaped
from mcugen.ops.operator import Importer

Array = npt.NDArray[Any]


def emit_repeat(importer: Importer, x: str, counts: Sequence[int]) -> str:
    """`x` with every axis that has a count above 1 (its size being 1) repeated so often."""
    if all(count == 1 for count in counts):
        return x
    shape = importer.shape(x)
    sizes = tuple(count if count > 1 else WHOLE_AXIS for count in counts)
    steps = tuple(0 if count > 1 else 1 for count in counts)
    return importer.emit("slice", [x], starts=(0,) * len(shape), steps=steps, sizes=sizes)


def import_expand(importer: Importer) -> Sequence[str]:
    inputs = importer.inputs()
    target = integers(importer, "shape", 1) or []
    rank = max(len(target), len(importer.shape(inputs[0])))
    shape = (1,) * (rank - len(importer.shape(inputs[0]))) + importer.shape(inputs[0])
    wanted = np.broadcast_shapes(shape, tuple(target))
    counts = [1 if have == want else want for have, want in zip(shape, wanted, strict=True)]
    return [emit_repeat(importer, reshaped(importer, inputs[0], shape), counts)]


def import_tile(importer: Importer) -> Sequence[str]:
    x = importer.inputs()[0]
    shape, repeats = importer.shape(x), integers(importer, "repeats", 1) or []
    split, counts = [], []
    for size, count in zip(shape, repeats, strict=True):
        split += [1, size]
        counts += [count, 1]
    y = emit_repeat(importer, reshaped(importer, x, split), counts)
    return [reshaped(importer, y, [size * count for size, count in zip(shape, repeats, strict=True)])]


def import_resize(importer: Importer) -> Sequence[str]:
    """Nearest-neighbour resizing: repetition for whole factors, an index table along each axis for others."""
    x = importer.inputs()[0]
    mode = importer.attr("mode", "nearest")
    if mode != "nearest":
        raise importer.unsupported(
            f"interpolation '{mode}'", "use nearest-neighbour upsampling, or resize in the application"
        )
    shape, counts = importer.shape(x), []
    for axis, factor in enumerate(resize_factors(importer, shape)):
        indices = nearest_indices(importer, shape[axis], factor)
        count = len(indices) // shape[axis]
        if indices == [i // count for i in range(shape[axis] * count)]:
            counts.append(count)
            continue
        counts.append(1)
        x = emit_gather(importer, x, axis, indices)
    if len(counts) == 4 and counts[:2] == [1, 1]:
        # channels last, as the layers around it are: their transposes meet and vanish
        last = importer.emit("transpose", [x], perm=(0, 2, 3, 1))
        y = _repeat_elements(importer, last, [counts[axis] for axis in (0, 2, 3, 1)])
        return [importer.emit("transpose", [y], perm=(0, 3, 1, 2))]
    return [_repeat_elements(importer, x, counts)]


def _repeat_elements(importer: Importer, x: str, counts: Sequence[int]) -> str:
    """Every element of `x` so often along each axis, one beside the other."""
    shape = importer.shape(x)
    split = [part for size in shape for part in (size, 1)]
    y = emit_repeat(importer, reshaped(importer, x, split), [part for count in counts for part in (1, count)])
    return reshaped(importer, y, [size * count for size, count in zip(shape, counts, strict=True)])


def nearest_indices(importer: Importer, size: int, factor: float) -> list[int]:
    """Which input element each output element along an axis of `size` takes (ONNX Resize)."""
    length = int(np.floor(size * factor + 1e-6))
    if length < 1:
        raise importer.unsupported(f"resizing {size} elements by {factor}")
    old = onnx_type(importer) == "Upsample" or importer.opset < 11
    mode = "asymmetric" if old else importer.attr("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if old else importer.attr("nearest_mode", "round_prefer_floor")
    i = np.arange(length, dtype=np.float64)
    if mode == "align_corners":
        at = i * (size - 1) / (length - 1) if length > 1 else np.zeros(1)
    elif mode == "asymmetric":
        at = i / factor
    elif mode == "half_pixel" or (mode == "pytorch_half_pixel" and length > 1):
        at = (i + 0.5) / factor - 0.5
    elif mode == "pytorch_half_pixel":
        at = np.zeros(1)
    else:
        raise importer.unsupported(f"coordinate_transformation_mode '{mode}'", "use half_pixel or asymmetric")
    at = np.round(at, 9)
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }[rounding]
    return [int(index) for index in np.clip(rounded, 0, size - 1)]


def resize_factors(importer: Importer, shape: Sequence[int]) -> list[float]:
    """Output size over input size of every axis."""
    upsample = onnx_type(importer) == "Upsample" or importer.opset < 11
    scales = argument(importer, "scales", 1 if upsample else 2)
    sizes = None if upsample else integers(importer, "sizes", 3)
    given = importer.attr("axes")
    axes = list(range(len(shape))) if given is None else [int(axis) % len(shape) for axis in given]
    factors = [1.0] * len(shape)
    if scales is not None and scales.size:
        found = [float(scale) for scale in scales.reshape(-1)]
    elif sizes:
        found = [size / shape[axis] for axis, size in zip(axes, sizes, strict=True)]
    else:
        raise importer.unsupported("it has neither scales nor sizes")
    for axis, factor in zip(axes, found, strict=True):
        factors[axis] = factor
    return factors


def import_depth_to_space(importer: Importer) -> Sequence[str]:
    x, b = importer.inputs()[0], int(importer.attr("blocksize"))
    n, c, h, w = importer.shape(x)
    if c % (b * b):
        raise importer.unsupported(f"{c} channels do not fill blocks of {b} x {b}")
    if importer.attr("mode", "DCR") == "CRD":
        split, perm = (n, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3)
    else:
        split, perm = (n, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
    y = importer.emit("transpose", [importer.emit("reshape", [x], shape=split)], perm=perm)
    return [importer.emit("reshape", [y], shape=(n, c // (b * b), h * b, w * b))]


def import_space_to_depth(importer: Importer) -> Sequence[str]:
    x, b = importer.inputs()[0], int(importer.attr("blocksize"))
    n, c, h, w = importer.shape(x)
    if h % b or w % b:
        raise importer.unsupported(f"{h} x {w} pixels do not fill blocks of {b} x {b}")
    split = importer.emit("reshape", [x], shape=(n, c, h // b, b, w // b, b))
    y = importer.emit("transpose", [split], perm=(0, 3, 5, 1, 2, 4))
    return [importer.emit("reshape", [y], shape=(n, c * b * b, h // b, w // b))]

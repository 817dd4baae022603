"""Reading the arguments of an ONNX node, wherever its opset keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from mcugen.ops.operator import Importer

Array = npt.NDArray[Any]

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}
"""ONNX types of real numbers: one type here, float32."""

WHOLE_AXIS = -1
"""A size of the slice operator: all of the axis."""


def onnx_type(importer: Importer) -> str:
    """The ONNX operator's name."""
    return importer.label.rsplit("(", 1)[-1].rstrip(")")


def argument(importer: Importer, name: str, index: int) -> Array | None:
    """A static argument: attribute `name` in old opsets, constant input `index` in new ones; None where omitted."""
    given = importer.attr(name)
    if given is not None:
        return np.asarray(given)
    inputs = importer.inputs()
    if index >= len(inputs) or not inputs[index]:
        return None
    value = importer.constant(inputs[index])
    if value is None:
        raise importer.unsupported(f"its {name} are computed from the data", "C needs every shape at compile time")
    return value


def integers(importer: Importer, name: str, index: int) -> list[int] | None:
    """`argument` as a list of integers."""
    value = argument(importer, name, index)
    return None if value is None else [int(v) for v in value.reshape(-1)]


def normal_axis(importer: Importer, axis: int, rank: int) -> int:
    """`axis` counted from the front; raises where there is none such."""
    if not -rank <= axis < rank:
        raise importer.unsupported(f"axis {axis} of a tensor of {rank} dimensions")
    return axis % rank


def normal_axes(importer: Importer, axes: Sequence[int], rank: int) -> list[int]:
    return sorted({normal_axis(importer, axis, rank) for axis in axes})


def reshaped(importer: Importer, name: str, shape: Sequence[int]) -> str:
    """`name` under another shape; no node where it has it already."""
    return name if importer.shape(name) == tuple(shape) else importer.emit("reshape", [name], shape=tuple(shape))


def emit_slice(importer: Importer, x: str, ranges: dict[int, range]) -> str:
    """A slice that takes `ranges[axis]`, everything along other axes; no node where that is all of `x`."""
    shape = importer.shape(x)
    full = [ranges.get(axis, range(size)) for axis, size in enumerate(shape)]
    if any(len(taken) == 0 for taken in full):
        raise importer.unsupported(f"it takes nothing of shape {list(shape)}")
    if all(taken == range(size) for taken, size in zip(full, shape, strict=True)):
        return x
    starts, steps = tuple(taken.start for taken in full), tuple(taken.step for taken in full)
    sizes = tuple(WHOLE_AXIS if taken == range(size) else len(taken) for taken, size in zip(full, shape, strict=True))
    return importer.emit("slice", [x], starts=starts, steps=steps, sizes=sizes)


def emit_gather(importer: Importer, x: str, axis: int, indices: Sequence[int]) -> str:
    """The elements `indices` (not negative) along `axis`; a slice where they are evenly spaced."""
    start, size = indices[0], len(indices)
    step = indices[1] - start if size > 1 else 1
    if step and all(index == start + i * step for i, index in enumerate(indices)):
        return emit_slice(importer, x, {axis: range(start, start + size * step, step)})
    return importer.emit("gather", [x], axis=axis, indices=tuple(indices))

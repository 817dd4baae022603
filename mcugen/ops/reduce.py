"""ONNX reductions over any axes, as pools over a view of the tensor as an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcugen.ops.importing import integers, normal_axes, reshaped
from mcugen.ops.operator import Importer
from mcugen.ops.pool import WHOLE


def import_reduction(importer: Importer, op: str, **attrs: Any) -> Sequence[str]:
    """Emit pool `op` so that it covers the reduced axes of the node's input."""
    x = importer.inputs()[0]
    shape = importer.shape(x)
    given = integers(importer, "axes", 1)
    if not given and importer.attr("noop_with_empty_axes", 0):
        return [x]
    axes = normal_axes(importer, given or range(len(shape)), len(shape))
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    reduced = [axis for axis in axes if shape[axis] > 1]
    y = _pooled(importer, op, x, reduced, attrs) if reduced else x
    if not importer.attr("keepdims", 1):
        kept = [size for axis, size in enumerate(kept) if axis not in axes]
    return [reshaped(importer, y, kept)]


def _pooled(importer: Importer, op: str, x: str, reduced: Sequence[int], attrs: dict[str, Any]) -> str:
    """One pool with a window over `reduced`; its output's elements lie in the order of the axes that are left."""
    shape = importer.shape(x)
    rank = len(shape)
    if rank == 4 and shape[0] == 1 and list(reduced) == [2, 3]:
        image = importer.emit("transpose", [x], perm=(0, 2, 3, 1))
        return importer.emit(op, [image], kernel=shape[2:], **(WHOLE | attrs))
    if list(reduced) != list(range(reduced[0], reduced[-1] + 1)):
        left = [axis for axis in range(rank) if axis not in reduced]
        perm = (*left[:1], *reduced, *left[1:])
        x = importer.emit("transpose", [x], perm=perm)
        shape = importer.shape(x)
        reduced = range(1 if left else 0, len(reduced) + (1 if left else 0))
    first, last = reduced[0], reduced[-1] + 1
    batch = 1 if first > 0 and shape[0] == 1 else 0
    outer, taps, inner = (
        int(np.prod(part, dtype=np.int64)) for part in (shape[batch:first], shape[first:last], shape[last:])
    )
    image = reshaped(importer, x, (1, outer, taps, inner))
    return importer.emit(op, [image], kernel=(1, taps), **(WHOLE | attrs))

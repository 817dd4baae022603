"""Copies whose source is read with a stride along each axis: what transposes, slices and repetitions have in common."""

from __future__ import annotations

from collections.abc import Sequence

from mcugen.graph import Node
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

KERNEL_AXES = 6


def contiguous_steps(shape: Sequence[int]) -> list[int]:
    """How far apart, in elements, the entries of each axis lie."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return steps[::-1]


def merged_steps(sizes: Sequence[int], steps: Sequence[int]) -> list[tuple[int, int]]:
    """(size, step) of each axis, axes of size 1 dropped and neighbours that form one run joined."""
    merged: list[tuple[int, int]] = []
    for size, step in zip(sizes, steps, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == size * step:
            merged[-1] = (merged[-1][0] * size, step)
        else:
            merged.append((size, step))
    return merged


def strided_call(
    node: Node, sizes: Sequence[int], steps: Sequence[int], offset: int, *, bytes_each: int = 1
) -> KernelCall:
    """Writes `sizes` elements of `bytes_each` in order; entry i of an axis is read at i * step, from `offset` on."""
    merged = merged_steps(sizes, steps)
    contiguous = not merged or (len(merged) == 1 and merged[0][1] == 1)
    if len(merged) > KERNEL_AXES:
        raise refusal(
            node,
            None,
            f"it moves {len(merged)} separate axes, at most {KERNEL_AXES}",
            hint="split it into two nodes",
        )
    merged = [(1, 0)] * (KERNEL_AXES - len(merged)) + merged
    params = {f"size_{i}": size for i, (size, _) in enumerate(merged)}
    params |= {f"step_{i}": step for i, (_, step) in enumerate(merged)}
    total = 1
    for size in sizes:
        total *= size
    suffix = "s16" if bytes_each == 2 else "s8"
    return KernelCall(
        f"mcugen_transpose_{suffix}",
        (f"transpose_{suffix}.h",),
        params,
        input_offsets=(offset * bytes_each,) if offset else (),
        cycles=total * 7.0,
        code_bytes=150,
        copies=contiguous,
    )

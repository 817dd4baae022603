"""What regions that run row by row take of the arena: sizes and lives of their tensors' buffers, and their part of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcugen.plan.regions import Region, region_operations
from mcugen.program import Place, RowRegion, Window

ROW_STATE = "@rows"
ROW_STATE_BYTES = 4
"""The position between two rows of the model's input, as long as the arena serves the model."""


@dataclass(frozen=True)
class Span:
    """A region with the numbers of its first and last step."""

    region: Region
    first: int
    last: int


def region_extents(
    regions: Sequence[Region], roots: Mapping[str, str], align: int
) -> tuple[dict[str, int], dict[str, int]]:
    """By buffer: the bytes before its tensors, for padding above them, and the bytes that the region wants in all."""
    insets: dict[str, int] = {}
    behind: dict[str, int] = {}
    for region in regions:
        capacities = region.schedule.capacities
        for name, tensor in region.schedule.tensors.items():
            if name in region.homes:
                continue
            buffer = roots.get(name, name)
            above = -(-tensor.pad_top * tensor.row_bytes // align) * align if tensor.whole else 0
            rows = tensor.height + tensor.pad_bottom if tensor.whole else capacities[name]
            insets[buffer] = max(insets.get(buffer, 0), above)
            behind[buffer] = max(behind.get(buffer, 0), rows * tensor.row_bytes)
    extents = {buffer: insets[buffer] + size for buffer, size in behind.items()}
    return {buffer: inset for buffer, inset in insets.items() if inset}, extents


def extend_lives(
    spans: Sequence[Span], roots: Mapping[str, str], first: dict[str, int], last: dict[str, int]
) -> dict[int, frozenset[str]]:
    """Let what stays between the calls of a region live all through it; returns these buffers for each of its steps.

    A tensor that passes from one node to the next has the life that its steps give it: all other calls come before or after.
    """
    staying: dict[int, frozenset[str]] = {}
    for span in spans:
        names: set[str] = set()
        for name, tensor in span.region.schedule.tensors.items():
            buffer = roots.get(name, name)
            if name in span.region.homes or span.region.passing(name):
                continue
            names.add(buffer)
            first[buffer] = -1 if tensor.pushed else min(first[buffer], span.first)
            last[buffer] = max(last[buffer], span.last)
        staying |= {step: frozenset(names) for step in range(span.first, span.last + 1)}
    return staying


def program_region(span: Span, roots: Mapping[str, str], insets: Mapping[str, int]) -> RowRegion:
    """The region as the emitter needs it."""
    region, schedule = span.region, span.region.schedule
    ops, events = region_operations(region, span.first, roots, insets)
    windows = tuple(
        Window(name, schedule.capacities[name], tensor.height, tensor.row_bytes, name in region.homes)
        for name, tensor in schedule.tensors.items()
    )
    state = None if region.pushed is None else Place(ROW_STATE, 0)
    return RowRegion(span.first, span.last, ops, events, windows, region.pushed, state)

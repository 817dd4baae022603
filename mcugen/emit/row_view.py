"""What the templates print of regions that run row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcugen.emit.numbers import c_numbers
from mcugen.program import Place, Program, RowOp, RowRegion


def region_views(program: Program) -> list[dict[str, Any]]:
    """The regions with their operations as C initializers and their events as numbers."""
    return [_region_view(program, region) for region in program.regions]


def _region_view(program: Program, region: RowRegion) -> dict[str, Any]:
    offsets = {buffer.name: buffer.offset for buffer in program.buffers}
    return {
        "first": region.first,
        "last": region.last,
        "ops": [_initializer(program.name, op, offsets) for op in region.ops],
        "ctype": "uint8_t" if len(region.ops) <= 256 else "uint16_t",
        "events": c_numbers(region.events),
        "count": len(region.events),
        "input": region.input is not None,
        "row_bytes": {op.step: op.size for op in region.ops if op.kind == "call"},
    }


def _initializer(name: str, op: RowOp, offsets: Mapping[str, int]) -> str:
    def at(place: Place) -> int:
        return offsets[place.buffer] + place.offset

    if op.kind == "call":
        reads = [*map(at, op.reads), 0]
        return f"{name}_step_{op.step}, {reads[0]}, {reads[1]}, {at(op.write)}"
    if op.kind == "move":
        return f"mcugen_row_move, {at(op.reads[0])}, {op.size}, {at(op.write)}"
    if op.kind == "fill":
        return f"mcugen_row_fill, {op.value}, {op.size}, {at(op.write)}"
    return f"NULL, 0, 0, {at(op.write)}"


def row_step_view(program: Program, step: Mapping[str, Any], region: Mapping[str, Any]) -> dict[str, Any]:
    """What is different in a step that is called for some rows: its operands lie where the operation says."""
    inputs = ("arena + op->in", "arena + op->more")[: len(program.steps[step["index"]].inputs)]
    return {
        "arguments": ", ".join(["&params", *inputs, "arena + op->out", step["scratch"]]),
        "rows": True,
        "row_bytes": region["row_bytes"][step["index"]],
        "region": region if step["index"] == region["first"] else None,
    }


def input_rows_view(program: Program) -> dict[str, Any] | None:
    """The model input that arrives row by row: its rows, the values of one, and where the position is kept."""
    region = program.input_rows
    if region is None:
        return None
    assert region.state is not None
    window = next(window for window in region.windows if window.tensor == region.input)
    state = next(buffer.offset for buffer in program.buffers if buffer.name == region.state.buffer)
    return {
        "count": window.height,
        "size": window.row_bytes,
        "state": state + region.state.offset,
        "region": region.first,
    }

"""NAME.json: all that a build knows of its result, the same bytes on every machine."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mcugen import __version__
from mcugen.graph import Graph
from mcugen.ops.packed_weights import stored_format
from mcugen.package import SCHEMA
from mcugen.program import Port, Program, RowRegion
from mcugen.streaming import Stream
from mcugen.targets import Target
from mcugen.weight_format import weight_bytes

if TYPE_CHECKING:
    from mcugen.pipeline import Quantized


def build_report(
    program: Program, graph: Graph, target: Target, options: Mapping[str, Any], quantized: Quantized
) -> dict[str, Any]:
    """The report as plain data; sizes in bytes, `cycles` by the cost model."""
    return {
        "generator": "mcugen",
        "schema": SCHEMA,
        "version": __version__,
        "name": program.name,
        "target": target.name,
        "options": dict(sorted(options.items())),
        "inputs": [_port(port) for port in program.inputs],
        "outputs": [_port(port) for port in program.outputs],
        "macs": sum(step.macs for step in program.steps),
        **row_records(program),
        "ram": {
            "arena": program.arena_size,
            "alignment": program.arena_align,
            "lower_bound": program.lower_bound,
            "plan": program.plan_method,
            "traded": list(program.notes),
        },
        "constants": sum(step.call.weight_bytes for step in program.steps),
        "calibration": {
            "samples": quantized.sample_count,
            "synthetic": quantized.synthetic,
        },
        "notes": list(quantized.notes),
        **quantized.facts,
        **({"stream": _stream(program, quantized.stream)} if quantized.stream else {}),
        "layers": [_layer(program, graph, index) for index in range(len(program.steps))],
        "buffers": [
            {"name": b.name, "offset": b.offset, "size": b.size, "tail": b.tail, "first": b.first, "last": b.last}
            for b in program.buffers
        ],
    }


MOVE_CYCLES, EVENT_CYCLES = 0.75, 20.0
"""Cortex-M4 cycles of a byte that moves within a window, and of an operation beside the kernels, as measured."""


def row_records(program: Program) -> dict[str, Any]:
    """What runs row by row, and how the input arrives; nothing where all layers run as a whole."""
    if not program.regions:
        return {}
    rows = next((w for r in program.regions for w in r.windows if w.tensor == r.input), None)
    return {
        "input_rows": None if rows is None else {"rows": rows.height, "row_bytes": rows.row_bytes},
        "row_regions": [
            {
                "first": region.first,
                "last": region.last,
                "operations": len(region.ops),
                "events": len(region.events),
                "bytes_moved": bytes_moved(region),
                "estimated_cycles": round(MOVE_CYCLES * bytes_moved(region) + EVENT_CYCLES * len(region.events)),
                "windows": [asdict(window) for window in region.windows],
            }
            for region in program.regions
        ],
    }


def _stream(program: Program, stream: Stream) -> dict[str, Any]:
    """What a stream keeps and computes; `window` is added where the whole window's program is planned, too."""
    kept = sum(state.operand.size for state in program.states)
    return {**stream.to_dict(), "kept": kept, "estimated_cycles": _estimated(program)}


def window_record(window: Program) -> dict[str, Any]:
    """What the program over the whole window would take, for comparison."""
    macs = sum(step.macs for step in window.steps)
    return {"macs": macs, "arena": window.arena_size, "estimated_cycles": _estimated(window)}


def _estimated(program: Program) -> int:
    return round(sum(step.call.cycles for step in program.steps))


def bytes_moved(region: RowRegion) -> int:
    return sum(op.size for op in (region.ops[i] for i in region.events) if op.kind == "move")


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "c_name": port.c_name,
        "shape": list(port.operand.shape),
        "dtype": port.operand.dtype,
        **({"dynamic": True} if port.dynamic else {"scale": port.scale, "zero_point": port.zero_point}),
    }


def _layer(program: Program, graph: Graph, index: int) -> dict[str, Any]:
    step = program.steps[index]
    return _weights(graph, step.name) | {
        "index": index,
        "name": "+".join(dict.fromkeys(step.origin)) or step.name,
        "op": step.op,
        "function": step.call.function,
        "variant": step.call.variant,
        "conditions": [branch.condition for branch in step.branches if branch.condition],
        "inline": step.call.inline,
        "macs": step.macs,
        "constants": step.call.weight_bytes,
        "scratch": step.call.scratch,
        "estimated_cycles": round(step.repeats * step.call.cycles),
        "in_shape": list(step.inputs[0].shape) if step.inputs else [],
        "out_shape": list(step.outputs[0].shape),
        "reads": [operand.tensor for operand in step.inputs],
        "writes": [operand.tensor for operand in step.outputs],
    }


def _weights(graph: Graph, name: str) -> dict[str, Any]:
    """How a layer's weights are stored, where that is not int8."""
    for node in graph.nodes:
        word = stored_format(node, graph) if node.name == name else None
        if word is not None:
            return {"weights": word, "weight_bytes": weight_bytes(graph.tensors[node.inputs[1]].shape, word)}
    return {}


def json_text(report: Mapping[str, Any]) -> str:
    return json.dumps(_finite(report), indent=1, ensure_ascii=True) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value

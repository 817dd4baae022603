"""What the templates print: the program's names and numbers as C spells them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen import __version__
from mcugen.emit.numbers import LINE, c_float, c_literal, c_numbers
from mcugen.emit.row_view import input_rows_view, region_views, row_step_view
from mcugen.program import KernelCall, Operand, Port, Program, State, Step, comment_text
from mcugen.resources import resource_folder

Array = npt.NDArray[Any]

CTYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
}
ALWAYS = ""
"""The condition that always holds."""
INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Constant:
    """A const array of the weights file."""

    name: str
    ctype: str
    size: int
    nbytes: int
    text: str
    comment: str
    conditions: set[str]


@dataclass
class ConstantPool:
    """Constants by content: equal arrays are written once."""

    prefix: str
    by_content: dict[tuple[str, str], Constant] = field(default_factory=dict)

    def name(self, array: Array, stem: str, comment: str, condition: str) -> str:
        flat = np.ascontiguousarray(array).reshape(-1)
        key = (str(flat.dtype), hashlib.sha256(flat.tobytes()).hexdigest())
        if key not in self.by_content:
            name = f"{self.prefix}_{stem}"
            constant = Constant(name, CTYPES[str(flat.dtype)], flat.size, flat.nbytes, c_numbers(flat), comment, set())
            self.by_content[key] = constant
        self.by_content[key].conditions.add(condition)
        return self.by_content[key].name


def model_view(program: Program, target_name: str) -> dict[str, Any]:
    """The dictionary that every template sees as `model`."""
    c = program.name
    pool = ConstantPool(c)
    headers: dict[str, set[str]] = {"mcugen.h": {ALWAYS}}
    steps = [_step_view(program, step, index, pool, headers) for index, step in enumerate(program.steps)]
    regions = region_views(program)
    if regions:
        headers["row_stream.h"] = {ALWAYS}
    for region in regions:
        for index in range(region["first"], region["last"] + 1):
            steps[index] |= row_step_view(program, steps[index], region)
    constants = list(pool.by_content.values())
    return {
        "name": c,
        "c": c,
        "upper": c.upper(),
        "target": target_name,
        "api": api_number(),
        "version": __version__,
        "arena_size": program.arena_size,
        "arena_align": program.arena_align,
        "weights_section": program.weights_section,
        "arena_section": program.arena_section,
        "states": [_state_view(program, state) for state in program.states],
        "inputs": _port_views(program, "input", program.inputs),
        "outputs": _port_views(program, "output", program.outputs),
        "steps": steps,
        "regions": regions,
        "input_rows": input_rows_view(program),
        "macs": sum(step.macs for step in program.steps),
        "headers": [{"name": name, "condition": _any(headers[name])} for name in sorted(headers)],
        "shared": _shared(program),
        "constants": [{"condition": _any(constant.conditions), **vars(constant)} for constant in constants],
        "constant_bytes": sum(constant.nbytes for constant in constants),
    }


def api_number() -> int:
    text = (resource_folder("runtime_c") / "mcugen.h").read_text(encoding="utf-8")
    found = re.search(r"#define MCUGEN_API (\d+)", text)
    assert found is not None
    return int(found.group(1))


def _state_view(program: Program, state: State) -> dict[str, int]:
    offsets = {buffer.name: buffer.offset for buffer in program.buffers}
    operand = state.operand
    return {"offset": offsets[operand.buffer] + operand.offset, "size": operand.size, "initial": state.initial}


def _port_views(program: Program, kind: str, ports: Sequence[Port]) -> list[dict[str, Any]]:
    c = program.name
    offsets = {buffer.name: buffer.offset for buffer in program.buffers}
    views = []
    for index, port in enumerate(ports):
        suffix = f"_{index}" if len(ports) > 1 else ""
        info = np.iinfo(port.operand.dtype)
        views.append(
            {
                "name": comment_text(port.name),
                "c_name": port.c_name,
                "kind": kind,
                "suffix": suffix,
                "macro": f"{c.upper()}_{kind.upper()}{suffix}",
                "ctype": CTYPES[port.operand.dtype],
                "cast": "" if port.operand.dtype == "int8" else f"({CTYPES[port.operand.dtype]} *)(void *)",
                "const_cast": ""
                if port.operand.dtype == "int8"
                else f"(const {CTYPES[port.operand.dtype]} *)(const void *)",
                "shape": str(list(port.operand.shape)),
                "size": int(np.prod(port.operand.shape, dtype=np.int64)),
                "bytes": port.operand.size,
                "dynamic": port.dynamic,
                "scale": c_float(port.scale),
                "zero_point": f"({port.zero_point})" if port.zero_point < 0 else str(port.zero_point),
                "low": info.min,
                "high": info.max,
                "offset": offsets[port.operand.buffer] + port.operand.offset,
            }
        )
    return views


def _step_view(
    program: Program, step: Step, index: int, pool: ConstantPool, headers: dict[str, set[str]]
) -> dict[str, Any]:
    offsets = {buffer.name: buffer.offset for buffer in program.buffers}
    pointers = [_pointer(operand, offsets) for operand in (*step.inputs, *step.outputs)]
    scratch = _pointer(step.scratch, offsets) if step.scratch else "NULL"
    begins = [*step.call.output_offsets, *(0 for _ in step.outputs)]
    branches: list[dict[str, Any]] = []
    for branch, (condition, call) in zip(step.branches, _conditioned(step), strict=True):
        for header in call.headers:
            headers.setdefault(header, set()).add(condition)
        branches.append(
            {
                "directive": f"#{'elif' if branches else 'if'} {branch.condition}" if branch.condition else "#else",
                "function": call.function,
                "call": call.function + ("" if call.inline else "_shared"),
                "params": _params(step, index, call, pool, condition),
            }
        )
    return {
        "index": index,
        "comment": step.comment,
        "branches": branches,
        "arguments": ", ".join(["&params", *pointers, scratch]),
        "scratch": scratch,
        "rows": False,
        "region": None,
        # the whole tensor, also where the call writes a part of it
        "outputs": [
            {"offset": offsets[o.buffer] + o.offset - begin, "size": o.size}
            for o, begin in zip(step.outputs, begins, strict=False)
        ],
    }


def _params(step: Step, index: int, call: KernelCall, pool: ConstantPool, condition: str) -> list[tuple[str, str]]:
    params = [(field_name, c_literal(value)) for field_name, value in call.params.items()]
    for field_name, array in call.constants.items():
        stem = f"{index}_{field_name}" if condition == ALWAYS else f"{index}_{call.variant}_{field_name}"
        params.append((field_name, pool.name(array, stem, comment_text(f"{step.name}: {field_name}")[:LINE], condition)))
    return params


def _any(conditions: set[str]) -> str:
    """One preprocessor expression; empty where the thing is always needed."""
    if ALWAYS in conditions:
        return ""
    return " || ".join(f"({condition})" for condition in sorted(conditions))


def _pointer(operand: Operand, offsets: Mapping[str, int]) -> str:
    return f"arena + {offsets[operand.buffer] + operand.offset}"


def _shared(program: Program) -> list[dict[str, str]]:
    """The kernels that several steps call, each under the conditions of the branches that call it."""
    shared: dict[str, dict[str, str]] = {}
    conditions: dict[str, set[str]] = {}
    for step in program.steps:
        for condition, call in _conditioned(step):
            if call.inline:
                continue
            ins = [f"in{i}" for i in range(len(step.inputs))]
            outs = [f"out{i}" for i in range(len(step.outputs))]
            parts = [
                f"const struct {call.struct} *p",
                *(f"const int8_t *{n}" for n in ins),
                *(f"int8_t *{n}" for n in outs),
            ]
            conditions.setdefault(call.function, set()).add(condition)
            shared[call.function] = {
                "function": call.function,
                "signature": ", ".join([*parts, "void *scratch"]),
                "arguments": ", ".join(["p", *ins, *outs, "scratch"]),
            }
    return [{**shared[name], "condition": _any(conditions[name])} for name in sorted(shared)]


def _conditioned(step: Step) -> Iterator[tuple[str, KernelCall]]:
    """The calls of a step, each with the whole condition under which it is the one that runs."""
    earlier: list[str] = []
    for branch in step.branches:
        terms = [*(f"!{condition}" for condition in earlier), *([branch.condition] if branch.condition else [])]
        yield " && ".join(terms) or ALWAYS, branch.call
        earlier.append(branch.condition)


def runtime_files(headers: Iterable[str], folder: Path | None = None) -> dict[str, str]:
    """The runtime files that these headers need, by name, with everything they include."""
    folder = folder or resource_folder("runtime_c")
    files: dict[str, str] = {}
    waiting = list(headers)
    while waiting:
        name = waiting.pop()
        if name not in files:
            files[name] = (folder / name).read_text(encoding="utf-8")
            waiting.extend(INCLUDE.findall(files[name]))
    return dict(sorted(files.items()))

"""Quantizes an operator's cases by minimum and maximum, and runs their kernels as C against the integer reference."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from strict import SANITIZERS, WARNINGS

from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.ops import operator
from mcugen.ops.operator import Case, Lowering, QuantContext
from mcugen.program import KernelCall
from mcugen.quantize.calibration import fixed_inputs
from mcugen.targets import load_target

Array = npt.NDArray[np.generic]

RUNTIME = Path(__file__).parents[2] / "runtime_c"
C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
}
SAMPLES = 8
WORDS = "__attribute__((aligned(4)))"


@dataclass(frozen=True)
class QuantizedCase:
    """An operator's case in integers: the graph, its tensors' values for one sample, and the float results for
    what those integers mean."""

    name: str
    graph: Graph
    values: dict[str, Array]
    wanted: dict[str, Array]


def evaluate(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    """Every tensor of a float graph."""
    values = {name: t.data for name, t in graph.tensors.items() if t.data is not None} | inputs
    for node in graph.nodes:
        results = operator(node.op).evaluate(node, [values[name] for name in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
    return values


def min_max(values: Array, dtype: str = "int8") -> QuantParams:
    """Parameters over the range of `values` and zero."""
    if dtype == "int16":
        return QuantParams.per_tensor(float(np.abs(values).max()) / 32767 or 1.0, 0, dtype)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255 or 1.0
    return QuantParams.per_tensor(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def quantized(case: Case, in_dtype: str = "int8", out_dtype: str = "int8") -> QuantizedCase:
    """The case with every activation ranged over a few random samples, and its reference on one of them; `in_dtype` of the graph's
    inputs, `out_dtype` of what nodes write."""
    graph = case.graph
    rng = np.random.default_rng(len(case.name))
    draw = [
        {name: rng.uniform(case.low, case.high, graph.tensors[name].shape).astype(np.float32) for name in graph.inputs}
        for _ in range(SAMPLES)
    ]
    runs = [evaluate(graph, inputs) for inputs in draw]
    activations: dict[str, QuantParams] = {}
    for name in graph.inputs:
        activations[name] = min_max(np.stack([run[name] for run in runs]), in_dtype)
    activations |= fixed_inputs(graph)
    integer = replace(graph, nodes=[], tensors=dict(graph.tensors))
    for node in graph.nodes:
        for output, demand in zip(node.outputs, operator(node.op).output_quants(node, graph), strict=True):
            if demand == "same":
                activations[output] = activations[node.inputs[0]]
            elif isinstance(demand, QuantParams):
                activations[output] = demand
            else:
                activations[output] = min_max(np.stack([run[output] for run in runs]), out_dtype)
        quantize_node(integer, node, graph, activations)
    for name, quant in activations.items():
        shape = quant.held_shape(graph.tensors[name].shape)
        integer.tensors[name] = Tensor(name, shape, quant.dtype, graph.tensors[name].data, quant)
    values = {name: activations[name].quantize(draw[0][name]) for name in graph.inputs}
    seen = {name: real(activations[name], q, graph.tensors[name].shape) for name, q in values.items()}
    return QuantizedCase(case.name, integer, reference(integer, values), evaluate(graph, seen))


def real(quant: QuantParams, integers: Array, shape: tuple[int, ...]) -> Array:
    """float32 values of one sample, in the shape that they have in the float graph."""
    return quant.dequantize(integers).astype(np.float32).reshape(shape)


def quantize_node(integer: Graph, node: Node, graph: Graph, activations: dict[str, QuantParams]) -> None:
    result, constants = operator(node.op).quantize(node, graph, QuantContext(activations))
    names = [integer.add_constant(f"{node.name}_{name}", data) for name, data in constants.items()]
    integer.nodes.append(replace(result, inputs=(*result.inputs, *names)))


def reference(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    """Every tensor of an integer graph."""
    values = {name: t.data for name, t in graph.tensors.items() if t.data is not None} | inputs
    for node in graph.nodes:
        results = operator(node.op).reference(node, [values[name] for name in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
    return values


def lowerings(case: QuantizedCase, target: str = "host") -> Iterator[tuple[Node, Lowering]]:
    """The plain way to run each node."""
    for node in case.graph.nodes:
        yield node, operator(node.op).lower(node, case.graph, load_target(target))[0]


def run_as_c(cases: list[QuantizedCase], folder: Path, target: str = "host") -> list[str]:
    """Compile and run every node's plain kernel calls under the sanitizers; returns one line for each difference."""
    writer = _Source()
    for case in cases:
        for node, lowering in lowerings(case, target):
            if not lowering.view:
                writer.add_node(case, node, lowering.calls)
                if len(lowering.calls) == 1 and lowering.calls[0].overlap.get(0) == 0:
                    writer.add_node(case, node, lowering.calls, in_place=True)
    source, program = folder / "cases.c", folder / "cases"
    source.write_text(writer.text())
    command = ["gcc", "-std=c99", "-O1", *WARNINGS, *SANITIZERS, f"-I{RUNTIME}", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    run = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line]


class _Source:
    """The C file: a function for each node that runs its calls and compares every output with the reference."""

    def __init__(self) -> None:
        self.headers: set[str] = set()
        self.lines: list[str] = []
        self.count = 0

    def add_node(
        self, case: QuantizedCase, node: Node, calls: tuple[KernelCall, ...], *, in_place: bool = False
    ) -> None:
        number = self.count
        self.count += 1
        activations = [name for name in node.inputs if not case.graph.is_constant(name)]
        for i, name in enumerate(activations):
            room = max((call.over_read.get(i, 0) for call in calls), default=0)
            self._array(f"in{number}_{i}", as_bytes(case.values[name]), room=room, constant=not in_place)
        for i, name in enumerate(node.outputs):
            self._array(f"want{number}_{i}", as_bytes(case.values[name]))
            if not in_place:
                self.lines.append(f"static int8_t out{number}_{i}[{case.values[name].nbytes}] {WORDS};")
        sources = [f"in{number}_{i}" for i in range(len(activations))]
        targets = sources[:1] if in_place else [f"out{number}_{i}" for i in range(len(node.outputs))]
        body = [self._call(f"{number}_{k}", call, sources, targets) for k, call in enumerate(calls)]
        if operator(node.op).stateful:
            body.insert(0, f"memset({targets[0]}, {node.attrs['initial']}, sizeof {targets[0]});")
        for i, name in enumerate(node.outputs):
            got = targets[i]
            label = f"{case.graph.name} {node.name}{' in place' if in_place else ''}"
            body.append(f'compare("{label}", {got}, want{number}_{i}, {case.values[name].nbytes});')
        self.lines.append(f"static void run{number}(void)\n{{\n    " + "\n    ".join(body) + "\n}")

    def _call(self, tag: str, call: KernelCall, sources: list[str], targets: list[str]) -> str:
        self.headers.update(call.headers)
        fields = [f".{name} = {value}" for name, value in call.params.items()]
        for name, data in call.constants.items():
            self._array(f"c{tag}_{name}", data)
            fields.append(f".{name} = c{tag}_{name}")
        self.lines.append(f"static const struct {call.struct} p{tag} = {{{', '.join(fields)}}};")
        self.lines.append(f"static uint32_t scratch{tag}[{(call.scratch + 3) // 4 + 1}];")
        reads = sources if call.reads is None else [sources[i] for i in call.reads]
        operands = [_offset(name, call.input_offsets, i) for i, name in enumerate(reads)]
        operands += [_offset(name, call.output_offsets, i) for i, name in enumerate(targets)]
        return f"{call.function}(&p{tag}, {', '.join(operands)}, scratch{tag});"

    def _array(self, name: str, data: Array, *, room: int = 0, constant: bool = True) -> None:
        suffix = "u" if data.dtype.kind == "u" else ""
        texts = ", ".join(f"{v}{suffix}" if v != -(2**31) else "(-2147483647 - 1)" for v in data.reshape(-1).tolist())
        kind = "static const" if constant else "static"
        self.lines.append(f"{kind} {C_TYPES[str(data.dtype)]} {name}[{data.size + room}] {WORDS} = {{{texts}}};")

    def text(self) -> str:
        head = "".join(f'#include "{header}"\n' for header in sorted(self.headers))
        compare = (
            "static void compare(const char *label, const int8_t *got, const int8_t *want, int size)\n{\n"
            "    for (int i = 0; i < size; ++i) {\n        if (got[i] != want[i]) {\n"
            '            printf("%s: element %d is %d, not %d\\n", label, i, got[i], want[i]);\n            return;\n'
            "        }\n    }\n}\n"
        )
        runs = "".join(f"    run{i}();\n" for i in range(self.count))
        return (
            f"#include <stdio.h>\n#include <string.h>\n{head}{compare}"
            + "\n".join(self.lines)
            + f"\nint main(void)\n{{\n{runs}    return 0;\n}}\n"
        )


def as_bytes(integers: Array) -> Array:
    """What kernels are given: the bytes of the integers, whatever their type."""
    return np.ascontiguousarray(integers).reshape(-1).view(np.int8)


def _offset(name: str, offsets: tuple[int, ...], index: int) -> str:
    return f"{name} + {offsets[index]}" if index < len(offsets) and offsets[index] else name

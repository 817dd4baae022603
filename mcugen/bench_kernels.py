"""The micro-benchmark: every kind of layer alone on an emulated core, cycles per MAC or per element."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mcugen import pipeline
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.plan.schedule import Goal
from mcugen.quantize.precision import INT8, choose_precision
from mcugen.simulation import core_of, simulate_package

Progress = Callable[[str, int, int], None]

SAMPLES = 8
FIRST_LAYERS = 4.4
DEPTHWISE = 8.4
MATRIX = 2.9
"""Cycles per MAC of CMSIS-NN on Cortex-M4, the best it shows for the kind of layer within the MLPerf Tiny models (arm-none-eabi-gcc
12.2, zero wait states)."""
NARROW_POINTWISE = 8.0
FULLY_CONNECTED = 2.74
ADD = 98.0
CMSIS_NN_CPU = "cortex-m4"
"""The core of these figures; on others there are none to compare with."""


@dataclass(frozen=True)
class KernelRow:
    """One layer on one core; `per_unit` is cycles (instructions where cycles are not modelled) per MAC, or per output element
    where there are no MACs; `cmsis_nn` is CMSIS-NN's figure for that kind of layer, None where none was measured."""

    layer: str
    kernel: str
    macs: int
    elements: int
    cycles: int
    unit: str
    per_unit: float
    cmsis_nn: float | None


@dataclass(frozen=True)
class _Layer:
    name: str
    graph: Graph
    cmsis_nn: float | None
    precision: str | None = None
    """Words of its own for its precision; None: those asked for."""


def bench_kernels(
    target: str,
    *,
    compiler: str | None = None,
    optimize: str = "speed",
    precision: str = INT8,
    progress: Progress | None = None,
) -> list[KernelRow]:
    """The table of all layers below for one target, each verified bit for bit on the emulated core first.

    In int8 some layers follow in other precisions; with another `precision` all are in that.
    """
    core = core_of(target, None)
    layers = [*_layers(), *(_precisions() if precision == INT8 else ())]
    rows = []
    for done, layer in enumerate(layers):
        graph = layer.graph
        rng = np.random.default_rng(3)
        samples = {n: rng.normal(size=(SAMPLES, *graph.tensors[n].shape[1:])).astype(np.float32) for n in graph.inputs}
        chosen = choose_precision(graph, layer.precision or precision)
        effort = "default" if layer.precision is None else "fast"
        quantized = pipeline.quantize(graph, samples, observer="minmax", effort=effort, precision=chosen)
        compiled = pipeline.compile_model(quantized, target=core, goal=Goal(optimize))
        with tempfile.TemporaryDirectory(prefix="mcugen-") as folder:
            package = compiled.stage(Path(folder) / "layer")
            run = simulate_package(package, core, vectors=3, compiler=compiler)
        cycles = run.cycles if run.cycles is not None else run.instructions
        elements = sum(int(np.prod(graph.tensors[name].shape)) for name in graph.outputs)
        unit = run.macs or elements
        kernel = "+".join(dict.fromkeys(step["function"].removeprefix("mcugen_") for step in package.report["layers"]))
        rows.append(
            KernelRow(
                layer.name,
                kernel,
                run.macs,
                elements,
                cycles,
                "MAC" if run.macs else "element",
                cycles / unit,
                layer.cmsis_nn if core.cpu == CMSIS_NN_CPU else None,
            )
        )
        if progress is not None:
            progress("bench", done + 1, len(layers))
    return rows


def _layers() -> Iterator[_Layer]:
    for depth in (8, 16, 64, 256):
        cmsis_nn = NARROW_POINTWISE if depth == 8 else MATRIX
        yield _convolution(f"pointwise K={depth}", (12, 12, depth), 32, (1, 1), (1, 1), cmsis_nn)
    for kernel in ((3, 3), (5, 5)):
        for channels in (1, 3, 16, 64):
            for stride in (1, 2):
                name = f"conv {kernel[0]}x{kernel[1]} C={channels} stride {stride}"
                reference = (FIRST_LAYERS if channels <= 3 else MATRIX) if kernel == (3, 3) else None
                yield _convolution(name, (16, 16, channels), 32, kernel, (stride, stride), reference)
    for channels in (1, 3, 16, 64):
        for stride in (1, 2):
            name = f"conv 1x5 C={channels} stride {stride}"
            yield _convolution(name, (1, 64, channels), 32, (1, 5), (1, stride), None)
    for kernel in ((3, 3), (5, 5), (1, 5), (5, 1)):
        for stride in (1, 2):
            name = f"depthwise {kernel[0]}x{kernel[1]} stride {stride}"
            shape = (16, 16, 32) if kernel[0] == kernel[1] else ((1, 128, 32) if kernel[0] == 1 else (128, 1, 32))
            yield _depthwise(name, shape, kernel, (stride if shape[0] > 1 else 1, stride if shape[1] > 1 else 1))
    for depth, rows in ((64, 10), (128, 128), (640, 128)):
        yield _fully_connected(depth, rows)
    yield from _elementwise()


def _precisions() -> Iterator[_Layer]:
    """What int16 and weights in fewer bits cost beside int8."""
    for word in ("int4", "int16+int4"):
        convolution = _convolution(f"conv 3x3 C=16, 8x8, {word}", (8, 8, 16), 32, (3, 3), (1, 1), None)
        yield replace(convolution, precision=word)
    for word in ("int16", "int4", "int16+int4"):
        yield replace(_fully_connected(128, 128), name=f"fully connected 128x128 {word}", cmsis_nn=None, precision=word)
    depthwise = _depthwise("depthwise 3x3, 8x8, int16", (8, 8, 32), (3, 3), (1, 1))
    yield replace(depthwise, cmsis_nn=None, precision="int16")


def _same(kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    return ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2, kernel[0] // 2, kernel[1] // 2)


def _convolution(
    name: str,
    shape: tuple[int, int, int],
    filters: int,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    cmsis_nn: float | None,
) -> _Layer:
    attrs = {"strides": strides, "dilations": (1, 1), "pads": _same(kernel), "groups": 1, "clip_min": 0.0}
    return _weighted(name, "conv2d", (1, *shape), (filters, *kernel, shape[2]), attrs, cmsis_nn)


def _depthwise(name: str, shape: tuple[int, int, int], kernel: tuple[int, int], strides: tuple[int, int]) -> _Layer:
    attrs = {"strides": strides, "dilations": (1, 1), "pads": _same(kernel), "clip_min": 0.0}
    cmsis_nn = DEPTHWISE if kernel == (3, 3) else None
    return _weighted(name, "depthwise_conv2d", (1, *shape), (shape[2], *kernel, 1), attrs, cmsis_nn)


def _fully_connected(depth: int, rows: int) -> _Layer:
    return _weighted(
        f"fully connected {depth}x{rows}", "fully_connected", (1, depth), (rows, depth), {}, FULLY_CONNECTED
    )


def _weighted(
    name: str,
    op: str,
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    attrs: Mapping[str, Any],
    cmsis_nn: float | None,
) -> _Layer:
    rng = np.random.default_rng(1)
    builder = GraphBuilder("layer")
    x = builder.input("x", shape)
    weights = builder.constant(rng.normal(size=weight_shape), "w")
    bias = builder.constant(rng.normal(size=weight_shape[0]), "b")
    return _Layer(name, builder.output(builder.emit(op, [x, weights, bias], **attrs)), cmsis_nn)


def _elementwise() -> Iterator[_Layer]:
    shape = (1, 16, 16, 32)
    for op, cmsis_nn in (("add", ADD), ("mul", None)):
        builder = GraphBuilder("layer")
        operands = [builder.input("a", shape), builder.input("b", shape)]
        extra = {"subtract": False} if op == "add" else {}
        yield _Layer(op, builder.output(builder.emit(op, operands, **extra)), cmsis_nn)
    pool: dict[str, Any] = {"kernel": (2, 2), "strides": (2, 2), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    whole: dict[str, Any] = {"kernel": (16, 16), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    average: dict[str, Any] = {"count_pads": (0, 0, 0, 0), "divide": True}
    unary: list[tuple[str, str, dict[str, Any]]] = [
        ("max pool 2x2", "max_pool2d", pool | {"minimum": False}),
        ("average pool 2x2", "average_pool2d", pool | average),
        ("global average pool", "average_pool2d", whole | average),
        ("table (sigmoid)", "table", {"function": "Sigmoid"}),
        ("softmax of 32", "softmax", {}),
    ]
    for name, op, attrs in unary:
        builder = GraphBuilder("layer")
        yield _Layer(name, builder.output(builder.emit(op, [builder.input("x", shape)], **attrs)), None)
    builder = GraphBuilder("layer")
    parts = [builder.input("a", shape), builder.emit("table", [builder.input("b", shape)], function="Tanh")]
    yield _Layer("table, concat with rescale", builder.output(builder.emit("concat", parts, axis=3)), None)

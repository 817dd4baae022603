"""The cost models of the int16 kernels against the emulated Cortex-M4 and Cortex-M55."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_m55 import needs_qemu

from mcugen import verbs
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.conv2d import conv_case
from mcugen.pipeline import compile_model, quantize
from mcugen.plan.schedule import Goal
from mcugen.quantize.precision import Precision

SAME: dict[str, Any] = {"pads": (1, 1, 1, 1)}
CLOSE = 0.08


def convolution(op: str, shape: tuple[int, int, int], out: int, kernel: tuple[int, int], **attrs: Any) -> Graph:
    depth = shape[2] if op == "conv2d" else 1
    return conv_case(op, "cost", (1, *shape), (out, *kernel, depth), attrs)


def dense(depth: int, channels: int) -> Graph:
    rng = np.random.default_rng(1)
    builder = GraphBuilder("dense")
    weights = builder.constant(rng.normal(size=(channels, depth)), "w")
    return builder.output(builder.emit("fully_connected", [builder.input("x", (1, depth)), weights]))


LAYERS = [
    (convolution("conv2d", (10, 10, 16), 16, (3, 3), **SAME), "int16", "int16", "mcugen_conv2d_s16_dsp"),
    (convolution("conv2d", (9, 9, 32), 12, (1, 1)), "int16", "int8", "mcugen_conv2d_s16_dsp"),
    (convolution("conv2d", (16, 16, 3), 16, (3, 3), **SAME), "int8", "int16", "mcugen_conv2d_s16_dsp"),
    (convolution("conv2d", (12, 12, 16), 16, (3, 3), **SAME), "int8", "int16", "mcugen_conv2d_winograd_s16_dsp"),
    (convolution("depthwise_conv2d", (12, 9, 16), 16, (3, 3), **SAME), "int16", "int16", "mcugen_depthwise_conv2d_3x3_s16_dsp"),
]  # fmt: skip
PACKED_LAYERS = [
    (convolution("conv2d", (10, 10, 16), 16, (3, 3), **SAME), "int4", "int16", "int16", "mcugen_conv2d_int4_s16_dsp"),
    (convolution("conv2d", (9, 9, 32), 12, (1, 1)), "codebook", "int8", "int16", "mcugen_conv2d_codes_s16_dsp"),
    (dense(200, 50), "int4", "int16", "int8", "mcugen_fully_connected_int4_s16_dsp"),
    (dense(90, 30), "int4x32", "int16", "int16", "mcugen_fully_connected_codes_s16_dsp"),
]
VECTOR_LAYERS = [
    (convolution("conv2d", (10, 10, 16), 16, (3, 3), **SAME), "int16", "int16", "mcugen_conv2d_s16_mve"),
    (convolution("conv2d", (9, 9, 32), 12, (1, 1)), "int16", "int8", "mcugen_conv2d_1x1_s16_mve"),
    (convolution("conv2d", (12, 12, 16), 16, (3, 3), **SAME), "int8", "int16", "mcugen_conv2d_s16_mve"),
    (convolution("depthwise_conv2d", (12, 9, 16), 16, (3, 3), **SAME), "int16", "int16", "mcugen_depthwise_conv2d_3x3_s16_mve"),
    (convolution("depthwise_conv2d", (12, 9, 16), 16, (5, 5), pads=(2, 2, 2, 2)), "int16", "int16", "mcugen_depthwise_conv2d_s16_mve"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "reads", "writes", "function"), LAYERS)
def test_cycles_are_as_modelled(graph: Graph, reads: str, writes: str, function: str, tmp_path: Path) -> None:
    estimated, measured = cycles("cortex-m4", graph, reads, writes, function, tmp_path)
    assert abs(estimated / measured - 1) < CLOSE


@pytest.mark.parametrize(("graph", "word", "reads", "writes", "function"), PACKED_LAYERS)
def test_cycles_of_packed_weights(
    graph: Graph, word: str, reads: str, writes: str, function: str, tmp_path: Path
) -> None:
    estimated, measured = cycles("cortex-m4", graph, reads, writes, function, tmp_path, word)
    assert abs(estimated / measured - 1) < CLOSE


@needs_qemu
@pytest.mark.parametrize(("graph", "reads", "writes", "function"), VECTOR_LAYERS)
def test_instructions_are_as_modelled(graph: Graph, reads: str, writes: str, function: str, tmp_path: Path) -> None:
    estimated, measured = cycles("cortex-m55", graph, reads, writes, function, tmp_path)
    assert abs(estimated / measured - 1) < CLOSE


def cycles(
    target: str, graph: Graph, reads: str, writes: str, function: str, folder: Path, word: str = "int8"
) -> tuple[float, float]:
    """As modelled and as measured; instructions where the target counts those."""
    names = [*(graph.inputs if reads == "int16" else []), *(graph.outputs if writes == "int16" else [])]
    rng = np.random.default_rng(0)
    samples = {n: rng.uniform(-1, 1, (4, *graph.tensors[n].shape[1:])).astype(np.float32) for n in graph.inputs}
    weights = {} if word == "int8" else {graph.nodes[0].name: word}
    model = quantize(graph, samples, effort="fast", precision=Precision(dict.fromkeys(names, "int16"), weights))
    package = compile_model(model, target=target, goal=Goal("speed"), name="cost").write(folder / "cost")
    layer = package.report["layers"][0]
    measured = verbs.simulate(package, vectors=1).layers[0]
    assert layer["function"] == function
    return layer["estimated_cycles"], measured.cycles or measured.instructions

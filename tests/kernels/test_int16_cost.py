"""The cost models of the int16 kernels against the emulated Cortex-M4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcugen import verbs
from mcugen.graph import Graph
from mcugen.ops.conv2d import conv_case
from mcugen.pipeline import compile_model, quantize
from mcugen.plan.schedule import Goal
from mcugen.quantize.precision import Precision

SAME: dict[str, Any] = {"pads": (1, 1, 1, 1)}
CLOSE = 0.08


def convolution(op: str, shape: tuple[int, int, int], out: int, kernel: tuple[int, int], **attrs: Any) -> Graph:
    depth = shape[2] if op == "conv2d" else 1
    return conv_case(op, "cost", (1, *shape), (out, *kernel, depth), attrs)


LAYERS = [
    (convolution("conv2d", (10, 10, 16), 16, (3, 3), **SAME), "int16", "int16", "mcugen_conv2d_s16_dsp"),
    (convolution("conv2d", (9, 9, 32), 12, (1, 1)), "int16", "int8", "mcugen_conv2d_s16_dsp"),
    (convolution("conv2d", (16, 16, 3), 16, (3, 3), **SAME), "int8", "int16", "mcugen_conv2d_s16_dsp"),
    (convolution("conv2d", (12, 12, 16), 16, (3, 3), **SAME), "int8", "int16", "mcugen_conv2d_winograd_s16_dsp"),
    (convolution("depthwise_conv2d", (12, 9, 16), 16, (3, 3), **SAME), "int16", "int16", "mcugen_depthwise_conv2d_3x3_s16_dsp"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "reads", "writes", "function"), LAYERS)
def test_cycles_are_as_modelled(graph: Graph, reads: str, writes: str, function: str, tmp_path: Path) -> None:
    names = [*(graph.inputs if reads == "int16" else []), *(graph.outputs if writes == "int16" else [])]
    rng = np.random.default_rng(0)
    samples = {n: rng.uniform(-1, 1, (4, *graph.tensors[n].shape[1:])).astype(np.float32) for n in graph.inputs}
    model = quantize(graph, samples, effort="fast", precision=Precision(dict.fromkeys(names, "int16")))
    package = compile_model(model, target="cortex-m4", goal=Goal("speed"), name="cost").write(tmp_path / "cost")
    layer = package.report["layers"][0]
    measured = verbs.simulate(package, vectors=1).layers[0].cycles
    assert layer["function"] == function and measured is not None
    assert abs(layer["estimated_cycles"] / measured - 1) < CLOSE

"""The generic target: kernels for cores beyond the one that stands for it, in an arena that is no larger for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mcugen.errors import ToolchainError
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import Quantized, compile_model, quantize
from mcugen.plan.schedule import Goal, build_program
from mcugen.program import Program
from mcugen.run.toolchain import find_cross_compiler
from mcugen.simulation import core_of, simulate_package
from mcugen.targets import load_target

MVE, DSP = "MCUGEN_USE_MVE", "MCUGEN_USE_DSP"
SHAPE = (1, 8, 8, 8)


def network() -> Graph:
    """A convolution, a depthwise one, a sum with its input, an average and a fully connected layer."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder("beyond")
    x = builder.input("x", SHAPE)
    window = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1), "clip_min": 0.0}
    weights = [
        builder.constant(rng.normal(size=shape), f"w{i}")
        for i, shape in enumerate([(8, 3, 3, 8), (8, 3, 3, 1), (5, 8)])
    ]
    biases = [builder.constant(rng.normal(size=count), f"b{i}") for i, count in enumerate([8, 8, 5])]
    y = builder.emit("conv2d", [x, weights[0], biases[0]], groups=1, **window)
    y = builder.emit("depthwise_conv2d", [y, weights[1], biases[1]], **window)
    y = builder.emit("add", [y, x], subtract=False)
    pool = {"kernel": (8, 8), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    y = builder.emit("average_pool2d", [y], **pool, count_pads=(0, 0, 0, 0), divide=True)
    y = builder.emit("reshape", [y], shape=(1, 8))
    return builder.output(builder.emit("fully_connected", [y, weights[2], biases[2]]))


@pytest.fixture(scope="module")
def model() -> Quantized:
    graph = network()
    samples = np.random.default_rng(2).normal(size=(8, *SHAPE[1:])).astype(np.float32)
    return quantize(graph, {"x": samples}, observer="minmax", effort="fast")


def programs(model: Quantized, optimize: str) -> tuple[Program, Program]:
    """Of the generic target, and of one that knows nothing beyond its core."""
    target = load_target("cortex-m")
    plain = dataclasses.replace(target, beyond=())
    with_beyond, without = (build_program(model.graph, t, Goal(optimize), name="net") for t in (target, plain))
    return with_beyond, without


@pytest.mark.parametrize("optimize", ["balanced", "speed", "size", "ram"])
def test_branches_for_better_cores_need_no_more_ram(model: Quantized, optimize: str) -> None:
    program, plain = programs(model, optimize)
    assert program.arena_size <= plain.arena_size
    found = [[branch.condition for branch in step.branches] for step in program.steps]
    assert sum(conditions[0] == MVE for conditions in found) >= 2
    assert all(conditions == sorted(conditions, key=[MVE, DSP, ""].index) for conditions in found)
    for step, same in zip(program.steps, plain.steps, strict=True):
        rest = [branch for branch in step.branches if branch.condition != MVE]
        assert [b.call.function for b in rest] == [b.call.function for b in same.branches]
        assert {b.call.variant for b in step.branches if b.condition == MVE} <= {"mve"}


def test_a_core_of_its_own_has_no_branches(model: Quantized) -> None:
    program = build_program(model.graph, load_target("cortex-m4"), Goal(), name="net")
    assert all(len(step.branches) == 1 for step in program.steps)


@pytest.mark.parametrize("choice", ["gcc", "zig"])
def test_one_folder_is_exact_on_every_core_and_faster_with_mve(model: Quantized, choice: str, tmp_path: Path) -> None:
    package = compile_model(model, target="cortex-m", name="net").write(tmp_path / "net")
    counts = {}
    for cpu in ("cortex-m0plus", "cortex-m4", "cortex-m55"):
        core = core_of("cortex-m", cpu)
        try:
            find_cross_compiler(core, choice)
            run = simulate_package(package, core, vectors=4, compiler=choice)
        except ToolchainError as error:
            pytest.skip(error.message)
        counts[cpu] = run.instructions
    assert counts["cortex-m55"] < 0.6 * counts["cortex-m4"] < counts["cortex-m0plus"]

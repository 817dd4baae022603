"""Every declared overlap proved by running: the C with its output at the declared distance before the input it reads.

Outputs begin at the nearest word below, where a plan puts them; the buffer is exact, the sanitizers watch its ends. The
plan's checker refuses the same buffers one byte closer.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from depthwise import depthwise_layer, depthwise_reference
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reference import conv_reference, random_input, random_layer
from running import Case, run_on_host

from mcugen.kernels import variants
from mcugen.kernels.layer import ConvLayer
from mcugen.ops import operator, operators
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.operator import Case as OperatorCase
from mcugen.plan.checker import check_plan
from mcugen.plan.model import Buffer, Overlap, PlanError
from mcugen.program import KernelCall
from mcugen.targets import load_target

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from harness import quantized

TARGETS = ("cortex-m4", "cortex-m0", "cortex-m", "host")
LAYERS_AN_EXAMPLE = 12
COMPILED = settings(
    max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def placed(call: KernelCall, inputs: tuple[Any, ...], expected: Any) -> Iterator[Case]:
    """A case for each input that the output may slide over or take the place of."""
    distances = dict(call.overlap)
    if call.in_place is not None:
        distances.setdefault(call.in_place, 0)
    for reader, distance in distances.items():
        if reader < len(inputs):
            yield Case(call, inputs, expected, distance=distance, reader=reader)


def operator_cases(cases: list[OperatorCase]) -> list[Case]:
    """Every way that any target runs a single-call node of these graphs, over each input where it may."""
    listed: dict[str, Case] = {}
    for case in map(quantized, cases):
        for node in case.graph.nodes:
            inputs = tuple(case.values[name] for name in node.inputs if not case.graph.is_constant(name))
            for target in TARGETS:
                for lowering in operator(node.op).lower(node, case.graph, load_target(target)):
                    if len(lowering.calls) == 1:
                        expected = case.values[node.outputs[0]]
                        for one in placed(lowering.calls[0], inputs, expected):
                            listed[f"{case.name} {node.name} {one.call} {one.reader}"] = one
    return list(listed.values())


@pytest.mark.parametrize("name", operators())
def test_operators_over_their_inputs(name: str, tmp_path: Path) -> None:
    cases = operator_cases(list(operators()[name].cases()))
    if cases:
        run_on_host(cases, tmp_path)
    for case in cases:
        refuses_one_byte_closer(case)


def refuses_one_byte_closer(case: Case) -> None:
    assert case.distance is not None
    writer = Buffer("out", case.expected.size, 0, 1, align=1)
    reader = Buffer("in", case.inputs[case.reader].size, -1, 0, align=1)
    rules = [Overlap("out", "in", case.distance)]
    start = max(0, -case.distance)
    check_plan([writer, reader], rules, [], {"out": start, "in": start + case.distance})
    closer = {"out": start + 1, "in": start + case.distance}
    if closer["in"] + reader.size > closer["out"]:
        with pytest.raises(PlanError, match="1 bytes too close"):
            check_plan([writer, reader], rules, [], closer)


def random_shape(rng: np.random.Generator) -> dict[str, Any]:
    """Images of one row or column, windows larger than what they see, strides beyond the window, holes, uneven padding."""
    while True:
        height, width = (int(n) for n in rng.choice([1, 1, 2, 3, 4, 5, 7, 9, 13], 2))
        kernel = tuple(int(n) for n in rng.choice([1, 1, 2, 3, 3, 3, 4, 5], 2))
        stride = tuple(int(n) for n in rng.choice([1, 1, 1, 2, 2, 3, 5], 2))
        dilation = tuple(int(n) for n in rng.choice([1, 1, 1, 2, 3], 2))
        padding = tuple(int(n) for n in rng.choice([0, 0, 1, 1, 2, 3], 4))
        span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        if height + padding[0] + padding[2] >= span[0] and width + padding[1] + padding[3] >= span[1]:
            return {
                "size": (height, width), "kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding
            }  # fmt: skip


def fast_shape(rng: np.random.Generator) -> dict[str, Any]:
    """3x3 windows of stride 1 or 2, which most depthwise kernels are made for."""
    size = tuple(int(n) for n in rng.integers(3, 15, 2))
    padding = (1, 1, 1, 1) if rng.random() < 0.6 else tuple(int(n) for n in rng.integers(0, 2, 4))
    return {"size": size, "kernel": (3, 3), "stride": (1, 1) if rng.random() < 0.5 else (2, 2), "padding": padding}


def layer_cases(op: str, rng: np.random.Generator) -> list[Case]:
    """Random layers by every kernel variant of every target that may overlap them."""
    listed: list[Case] = []
    for number in range(LAYERS_AN_EXAMPLE):
        shape = fast_shape(rng) if number % 2 else random_shape(rng)
        channels = (int(rng.integers(1, 14)), int(rng.integers(1, 14)))
        if op == "fully_connected":
            shape = {}
        elif op == "conv2d" and number % 4 == 0:
            shape |= {"kernel": (1, 1), "dilation": (1, 1)}
        layer: ConvLayer
        if op == "depthwise_conv2d":
            layer = depthwise_layer(rng, channels=channels[0], channel_multiplier=int(rng.choice([1, 1, 2])), **shape)
        else:
            layer = random_layer(rng, channels=channels, **shape)
        x = random_input(rng, layer)
        expected = depthwise_reference(layer, x) if op == "depthwise_conv2d" else conv_reference(layer, x)
        for target in ("cortex-m4", "cortex-m0"):
            for call in variants(op, layer, load_target(target)):
                listed += placed(call, (x,), expected)
    return [case for number, case in enumerate(listed) if case.call.inline or number % 2]


@pytest.mark.parametrize("op", ["conv2d", "depthwise_conv2d", "fully_connected"])
@given(seed=st.integers(0, 2**32 - 1))
@COMPILED
def test_random_layers_over_their_inputs(tmp_path_factory: pytest.TempPathFactory, op: str, seed: int) -> None:
    cases = layer_cases(op, np.random.default_rng(seed))
    assert cases
    run_on_host(cases, tmp_path_factory.mktemp("overlap"))
    for case in cases:
        refuses_one_byte_closer(case)


def pool_graph(op: str, shape: dict[str, Any], channels: int) -> OperatorCase:
    builder = GraphBuilder(f"{op}_over")
    x = builder.input("x", (1, *shape["size"], channels))
    window = {
        "kernel": shape["kernel"], "strides": shape["stride"], "dilations": shape.get("dilation", (1, 1)),
        "pads": shape["padding"],
    }  # fmt: skip
    if op == "average_pool2d":
        window |= {"count_pads": (0, 0, 0, 0), "divide": True}
    else:
        window |= {"minimum": False}
    return OperatorCase("pool", builder.output(builder.emit(op, [x], **window)))


def sees_something(shape: dict[str, Any]) -> bool:
    """Whether every window holds a pixel of the image."""
    for axis in (0, 1):
        dilation = shape.get("dilation", (1, 1))[axis]
        taps = np.arange(shape["kernel"][axis]) * dilation
        span, size = taps[-1] + 1, shape["size"][axis]
        count = (size + shape["padding"][axis] + shape["padding"][axis + 2] - span) // shape["stride"][axis] + 1
        rows = np.arange(count)[:, None] * shape["stride"][axis] - shape["padding"][axis] + taps
        if not np.any((rows >= 0) & (rows < size), axis=1).all():
            return False
    return True


@pytest.mark.parametrize("op", ["average_pool2d", "max_pool2d"])
@given(seed=st.integers(0, 2**32 - 1))
@COMPILED
def test_random_pools_over_their_inputs(tmp_path_factory: pytest.TempPathFactory, op: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [shape for shape in (random_shape(rng) for _ in range(4 * LAYERS_AN_EXAMPLE)) if sees_something(shape)]
    cases = operator_cases([pool_graph(op, shape, int(rng.integers(1, 20))) for shape in shapes[:LAYERS_AN_EXAMPLE]])
    assert cases
    run_on_host(cases, tmp_path_factory.mktemp("overlap"))
    for case in cases:
        refuses_one_byte_closer(case)


def test_a_distance_one_word_too_small_is_noticed(tmp_path: Path) -> None:
    """The proof itself can fail: a convolution that grows overwrites its input when it begins a word too late."""
    rng = np.random.default_rng(1)
    layer = random_layer(rng, size=(6, 6), channels=(4, 8))
    x = random_input(rng, layer)
    case = next(
        one
        for call in variants("conv2d", layer, load_target("cortex-m4"))
        for one in placed(call, (x,), conv_reference(layer, x))
    )
    assert case.distance is not None
    with pytest.raises(AssertionError, match="differs"):
        run_on_host([dataclasses.replace(case, distance=case.distance - 4)], tmp_path)

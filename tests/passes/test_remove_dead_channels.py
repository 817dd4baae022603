"""Dead channels: every byte stays, what should go goes, and bounds hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import PLAIN, SAME, Layers

from mcugen.execute import reference
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.passes.propagate_constants import propagate_constants
from mcugen.passes.remove_dead_channels import dead_channel_report, remove_dead_channels
from mcugen.quantize.calibration import choose_activations, observe
from mcugen.quantize.integer_graph import integer_graph
from mcugen.value_bounds import constant_channels, value_bounds

Array = npt.NDArray[Any]


def quantized(graph: Graph) -> Graph:
    rng = np.random.default_rng(0)
    samples = {n: rng.normal(size=(4, *graph.tensors[n].shape[1:])).astype(np.float32) for n in graph.inputs}
    return integer_graph(graph, choose_activations(graph, observe(graph, samples), observer_name="minmax"))


def integer_samples(graph: Graph) -> dict[str, Array]:
    """Random bytes, random extremes, and the two extreme constants."""
    rng = np.random.default_rng(1)
    found = {}
    for name in graph.inputs:
        shape = graph.tensors[name].shape[1:]
        low, high = (np.full((1, *shape), end) for end in (-128, 127))
        draws = [rng.integers(-128, 128, (6, *shape)), rng.choice([-128, 127], (4, *shape)), low, high]
        found[name] = np.concatenate(draws).astype(np.int8)
    return found


def assert_equal_bytes(before: Graph, after: Graph) -> None:
    assert before.inputs == after.inputs and before.outputs == after.outputs
    samples = integer_samples(before)
    wanted, got = reference(before, samples), reference(after, samples)
    for name in before.outputs:
        np.testing.assert_array_equal(wanted[name], got[name])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 6))
def test_random_networks_keep_every_byte(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    graph = quantized(Layers(rng, (1, 5, 4, 3)).graph(depth))
    after = remove_dead_channels(graph)
    assert_equal_bytes(graph, after)
    report = dead_channel_report(graph, after)
    assert report.macs_after <= report.macs_before
    assert all(node.channels_after <= node.channels_before for node in report.nodes)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 5))
def test_bounds_hold_and_constants_are_reached(seed: int, depth: int) -> None:
    graph = quantized(Layers(np.random.default_rng(seed), (1, 4, 4, 3)).graph(depth))
    bounds = value_bounds(graph)
    names = graph.activations()
    values = reference(graph, integer_samples(graph), keep=names)
    for name in names:
        low, high = bounds[name]
        assert low.dtype == values[name].dtype and low.shape == graph.tensors[name].shape
        assert np.all(values[name] >= low) and np.all(values[name] <= high)


def test_one_layer_bounds_are_tight() -> None:
    rng = np.random.default_rng(3)
    builder = GraphBuilder("one")
    x = builder.input("x", (1, 3, 3, 2))
    constants = [builder.constant(rng.normal(size=shape)) for shape in ((4, 3, 3, 2), (4,))]
    graph = quantized(builder.output(builder.emit("conv2d", [x, *constants], groups=1, **SAME)))
    weights = graph.constant(graph.nodes[0].inputs[1])
    low, high = value_bounds(graph)[graph.outputs[0]]
    for o in range(4):
        worst = np.where(weights[o] > 0, 127, -128).astype(np.int8)[None]
        y = reference(graph, {"x": np.concatenate([worst, -1 - worst])})[graph.outputs[0]]
        assert (y[1, 1, 1, o], y[0, 1, 1, o]) == (low[0, 1, 1, o], high[0, 1, 1, o])


def two_layers(bias: float, *, pads: int, second_op: str = "conv2d", relu: bool = True) -> Graph:
    """A pointwise layer with one live channel and one of weights 0 and this bias; a 3x3 layer and a pointwise one."""
    builder = GraphBuilder("two")
    x = builder.input("x", (1, 5, 5, 1))
    clip = {"clip_min": 0.0} if relu else {}
    first = [x, builder.constant(np.array([1.0, 0.0]).reshape(2, 1, 1, 1)), builder.constant(np.array([0.1, bias]))]
    y = builder.emit("conv2d", first, groups=1, **PLAIN, **clip)
    window = PLAIN | {"pads": (pads,) * 4}
    depth = 1 if second_op == "depthwise_conv2d" else 2
    weights = np.random.default_rng(0).uniform(0.5, 1, (2, 3, 3, depth))
    attrs = {} if depth == 1 else {"groups": 1}
    z = builder.emit(second_op, [y, builder.constant(weights), builder.constant(np.zeros(2))], **attrs, **window)
    last = [z, builder.constant(np.array([[1.0, 0.5]]).reshape(1, 1, 1, 2))]
    return quantized(builder.output(builder.emit("conv2d", last, groups=1, **PLAIN)))


@pytest.mark.parametrize(
    ("bias", "pads", "second_op", "channels"),
    [
        (-1.0, 1, "conv2d", [1, 2, 1]),
        (0.7, 0, "conv2d", [1, 2, 1]),
        (0.7, 1, "conv2d", [2, 2, 1]),
        (-1.0, 1, "depthwise_conv2d", [1, 1, 1]),
        (0.7, 0, "depthwise_conv2d", [1, 1, 1]),
        (0.7, 1, "depthwise_conv2d", [2, 2, 1]),
    ],
)
def test_constants_behind_padding(bias: float, pads: int, second_op: str, channels: list[int]) -> None:
    """A constant goes where it is the zero point or meets no padding, and stays where the border differs."""
    graph = two_layers(bias, pads=pads, second_op=second_op)
    after = remove_dead_channels(graph)
    assert [after.tensors[node.outputs[0]].shape[-1] for node in after.nodes] == channels
    assert_equal_bytes(graph, after)


@pytest.mark.parametrize(
    ("pads", "stride", "kept"),
    [((0, 0, 1, 0), 1, 2), ((0, 0, 0, 1), 1, 2), ((1, 0, 0, 0), 1, 2), ((0, 1, 0, 0), 1, 2), ((0, 0, 1, 1), 2, 1)],
)
def test_every_side_of_the_border_counts_if_a_window_reaches_it(pads: tuple[int, ...], stride: int, kept: int) -> None:
    builder = GraphBuilder("sides")
    x = builder.input("x", (1, 5, 5, 1))
    first = [x, builder.constant(np.array([1.0, 0.0]).reshape(2, 1, 1, 1)), builder.constant(np.array([0.1, 0.7]))]
    y = builder.emit("conv2d", first, groups=1, **PLAIN)
    window = PLAIN | {"pads": pads, "strides": (stride, stride)}
    last = [y, builder.constant(np.ones((1, 3, 3, 2)))]
    graph = quantized(builder.output(builder.emit("conv2d", last, groups=1, **window)))
    after = remove_dead_channels(graph)
    assert after.tensors[y].shape == (1, 5, 5, kept)
    assert_equal_bytes(graph, after)


def test_padding_that_only_zero_weights_read_does_not_keep_a_constant() -> None:
    builder = GraphBuilder("corner")
    x = builder.input("x", (1, 5, 5, 1))
    first = [x, builder.constant(np.array([1.0, 0.0]).reshape(2, 1, 1, 1)), builder.constant(np.array([0.1, 0.7]))]
    y = builder.emit("conv2d", first, groups=1, **PLAIN)
    weights = np.ones((1, 3, 3, 2))
    weights[0, 0, :, 1] = weights[0, :, 0, 1] = 0
    z = builder.emit("conv2d", [y, builder.constant(weights)], groups=1, **PLAIN | {"pads": (1, 1, 0, 0)})
    graph = quantized(builder.output(z))
    after = remove_dead_channels(graph)
    assert after.tensors[y].shape == (1, 5, 5, 1)
    assert_equal_bytes(graph, after)


def test_unread_channels_go_with_what_feeds_only_them() -> None:
    rng = np.random.default_rng(5)
    builder = GraphBuilder("unread")
    x = builder.input("x", (1, 4, 4, 2))
    a = builder.emit("conv2d", [x, builder.constant(rng.normal(size=(6, 1, 1, 2)))], groups=1, **PLAIN)
    b = builder.emit("depthwise_conv2d", [a, builder.constant(rng.normal(size=(6, 3, 3, 1)))], **SAME)
    c = builder.emit("add", [a, b], subtract=False)
    pooled = builder.emit("max_pool2d", [c], kernel=(4, 4), minimum=False, **PLAIN)
    flat = builder.emit("reshape", [pooled], shape=(1, 6))
    weights = rng.normal(size=(3, 6))
    weights[:, [1, 4]] = 0
    graph = quantized(builder.output(builder.emit("fully_connected", [flat, builder.constant(weights)])))
    after = remove_dead_channels(graph)
    assert {after.tensors[name].shape[-1] for name in (a, b, c, flat)} == {4}
    assert_equal_bytes(graph, after)
    report = dead_channel_report(graph, after)
    assert report.macs_before == 16 * 6 * 2 + 16 * 6 * 9 + 3 * 6
    assert report.macs_after == 16 * 4 * 2 + 16 * 4 * 9 + 3 * 4
    assert report.channels_removed == 5 * 2
    assert report.to_dict()["macs_after"] == report.macs_after


def test_flattened_channels_go_only_with_all_their_positions() -> None:
    rng = np.random.default_rng(6)
    builder = GraphBuilder("flat")
    x = builder.input("x", (1, 2, 2, 2))
    a = builder.emit("conv2d", [x, builder.constant(rng.normal(size=(3, 1, 1, 2)))], groups=1, **PLAIN)
    flat = builder.emit("reshape", [a], shape=(1, 12))
    weights = rng.normal(size=(2, 12))
    weights[:, 0::3] = 0
    weights[:, [1, 4, 7]] = 0
    graph = quantized(builder.output(builder.emit("fully_connected", [flat, builder.constant(weights)])))
    after = remove_dead_channels(graph)
    assert (after.tensors[a].shape, after.tensors[flat].shape) == ((1, 2, 2, 2), (1, 8))
    assert_equal_bytes(graph, after)


def test_a_wholly_constant_branch_becomes_an_operand() -> None:
    builder = GraphBuilder("branch")
    x = builder.input("x", (1, 3, 3, 2))
    zeros, bias = np.zeros((2, 3, 3, 2)), np.array([0.5, -0.25])
    dead = builder.emit("conv2d", [x, builder.constant(zeros), builder.constant(bias)], groups=1, **SAME)
    graph = quantized(builder.output(builder.emit("add", [dead, x], subtract=True)))
    after = propagate_constants(graph)
    assert [node.op for node in after.nodes] == ["add"]
    assert after.tensors[after.nodes[0].inputs[1]].shape == (1, 1, 1, 2)
    assert_equal_bytes(graph, after)


@pytest.mark.parametrize("op", ["add", "mul"])
def test_a_constant_operand_keeps_the_axes_that_its_partner_repeats(op: str) -> None:
    builder = GraphBuilder("broadcast")
    x = builder.input("x", (1, 3, 3, 2))
    weights, bias = builder.constant(np.zeros((2, 3, 3, 2))), builder.constant(np.array([0.5, 0.5]))
    dead = builder.emit("conv2d", [x, weights, bias], groups=1, **SAME)
    pooled = builder.emit("max_pool2d", [x], kernel=(3, 3), minimum=False, **PLAIN)
    attrs = {"subtract": False} if op == "add" else {}
    graph = quantized(builder.output(builder.emit(op, [dead, pooled], **attrs)))
    after = propagate_constants(graph)
    assert [node.op for node in after.nodes] == ["max_pool2d", op]
    assert after.tensors[after.nodes[1].inputs[1]].shape == (1, 3, 3, 1)
    assert_equal_bytes(graph, after)


def test_an_attribute_that_is_not_known_keeps_a_layer_as_it_is() -> None:
    graph = two_layers(-1.0, pads=0)
    graph.nodes[0] = graph.nodes[0].with_attrs(weight_zero_point=3)
    after = remove_dead_channels(graph)
    assert after.tensors[graph.nodes[0].outputs[0]].shape[-1] == 2


def test_saturated_channels_count_as_constant() -> None:
    rng = np.random.default_rng(8)
    builder = GraphBuilder("saturated")
    x = builder.input("x", (1, 8))
    constants = [builder.constant(rng.normal(size=(4, 8))), builder.constant(np.array([0.0, -900.0, 0.5, -900.0]))]
    a = builder.emit("fully_connected", [x, *constants], clip_min=0.0)
    graph = quantized(builder.output(builder.emit("fully_connected", [a, builder.constant(rng.normal(size=(3, 4)))])))
    constant, value = constant_channels(value_bounds(graph)[a])
    assert constant.tolist() == [False, True, False, True] and set(value[constant]) == {-128}
    after = remove_dead_channels(graph)
    assert after.tensors[a].shape == (1, 2)
    assert_equal_bytes(graph, after)


def test_a_constant_network_keeps_its_interface() -> None:
    builder = GraphBuilder("constant")
    x = builder.input("x", (1, 4))
    constants = [builder.constant(np.zeros((5, 4))), builder.constant(np.linspace(-1, 1, 5))]
    a = builder.emit("fully_connected", [x, *constants])
    graph = quantized(builder.output(builder.emit("fully_connected", [a, builder.constant(np.ones((2, 5)))])))
    after = remove_dead_channels(graph)
    assert after.tensors[after.outputs[0]].shape == (1, 2) and after.tensors["x"].shape == (1, 4)
    assert_equal_bytes(graph, after)


def test_an_operator_that_is_not_known_pins_its_channels() -> None:
    rng = np.random.default_rng(9)
    builder = GraphBuilder("pinned")
    x = builder.input("x", (1, 3, 2))
    weights = rng.normal(size=(4, 2))
    weights[1] = 0
    a = builder.emit("fully_connected", [x, builder.constant(weights)])
    graph = quantized(builder.output(builder.emit("transpose", [a], perm=(0, 2, 1))))
    after = remove_dead_channels(graph)
    assert after.tensors[a].shape == (1, 3, 4)
    assert_equal_bytes(graph, after)


def test_a_second_run_finds_nothing() -> None:
    for pads in (0, 1):
        once = remove_dead_channels(two_layers(0.7, pads=pads))
        assert remove_dead_channels(once).to_text() == once.to_text()

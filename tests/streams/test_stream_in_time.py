"""The streaming form of an integer graph: at every call what the whole window gives, whatever the layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from time_networks import PLAIN, drawn, quantized

from mcugen.errors import McugenError, UnsupportedModel
from mcugen.execute import reference
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import quantize
from mcugen.streaming import Stream, stream_graph, window_outputs, windows_of

QUIET = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def noise(stream: Stream, graph: Graph, calls: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.integers(-128, 128, (calls, *graph.tensors[name].shape[1:]), np.int8) for name in graph.inputs}


def assert_equal_to_windows(window: Graph, graph: Graph, stream: Stream, calls: int = 5) -> None:
    """Every call after the first window, on noise."""
    inputs = noise(stream, graph, stream.calls + calls)
    got = reference(graph, inputs)
    windows, first = windows_of(stream, window, inputs)
    for name, expected in window_outputs(stream, window, windows).items():
        np.testing.assert_array_equal(got[name][first:].reshape(expected.shape), expected)


@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 6))
@settings(QUIET, max_examples=60)
def test_every_call_equals_the_window(seed: int, depth: int) -> None:
    model, axis = drawn(seed, depth)
    try:
        graph, stream = stream_graph(model.graph, {"x": axis})
    except UnsupportedModel:
        assume(False)
    assert_equal_to_windows(model.graph, graph, stream)


@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 6))
@settings(QUIET, max_examples=20)
def test_unpadded_layers_compute_only_what_is_new(seed: int, depth: int) -> None:
    model, axis = drawn(seed, depth, padded=False)
    try:
        graph, stream = stream_graph(model.graph, {"x": axis})
    except UnsupportedModel:
        assume(False)
    assert_equal_to_windows(model.graph, graph, stream)
    assert all(done == total or stream.frames % done == 0 for done, total in stream.rows.values())


def conv1d(pads: tuple[int, int], *, strides: tuple[int, ...] = (1, 1), kernel: int = 3, frames: int = 24) -> Graph:
    """[1, T, 4] through 1-D convolutions, its output along time."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder("conv1d")
    x = builder.emit("reshape", [builder.input("x", (1, frames, 4))], shape=(1, 1, frames, 4))
    for stride in strides:
        weights = builder.constant(rng.normal(size=(4, 1, kernel, 4)), "w")
        attrs = PLAIN | {"strides": (1, stride), "pads": (0, pads[0], 0, pads[1])}
        x = builder.emit("conv2d", [x, weights], groups=1, **attrs)
    return builder.output(x)


def test_an_unpadded_stack_computes_one_row_a_layer() -> None:
    model = quantized(conv1d((0, 0), strides=(2, 1, 2)))
    graph, stream = stream_graph(model.graph, {"x": 1})
    assert stream.frames == 4
    assert stream.calls == 6
    assert [rows[0] for rows in stream.rows.values()] == [4, 2, 2, 1]
    assert graph.tensors["conv2d_2"].shape == (1, 1, 1, 4)


def test_padding_costs_rows_at_both_ends_and_is_exact() -> None:
    model = quantized(conv1d((1, 1), strides=(1, 1)))
    graph, stream = stream_graph(model.graph, {"x": 1})
    assert stream.rows["conv2d_1"] == (2 + 1 + 2, 24)
    assert stream.rows["conv2d"] == (3 + 1 + 1, 24)
    assert_equal_to_windows(model.graph, graph, stream)


def test_a_causal_model_pays_for_its_padding_only_where_somebody_looks_at_it() -> None:
    """Of a model whose answer is the newest row, nothing at the window's beginning is computed."""
    builder = GraphBuilder("causal")
    x = builder.emit("reshape", [builder.input("x", (1, 24, 4))], shape=(1, 1, 24, 4))
    rng = np.random.default_rng(0)
    for dilation in (1, 2, 4):
        attrs = PLAIN | {"pads": (0, 2 * dilation, 0, 0), "dilations": (1, dilation)}
        x = builder.emit("conv2d", [x, builder.constant(rng.normal(size=(4, 1, 3, 4)))], groups=1, **attrs)
    last = builder.emit("slice", [x], starts=(0, 0, 23, 0), steps=(1, 1, 1, 1), sizes=(-1, -1, 1, -1))
    model = quantized(builder.output(last))
    graph, stream = stream_graph(model.graph, {"x": 1})
    assert {rows[0] for rows in stream.rows.values()} == {1}
    assert_equal_to_windows(model.graph, graph, stream)


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (1, 2, 2)])
def test_causal_padding_means_one_endless_window(strides: tuple[int, ...]) -> None:
    """A stream from its reset on is the model over one long window with all padding before it."""
    model = quantized(conv1d((1, 1), strides=strides))
    graph, stream = stream_graph(model.graph, {"x": 1}, padding="causal")
    assert {rows[0] for rows in stream.rows.values()} == {
        stream.frames // step for step in np.cumprod((1, *strides)).tolist()
    }
    calls = noise(stream, graph, 3 * stream.calls)
    got = reference(graph, calls)["conv2d" if len(strides) == 1 else f"conv2d_{len(strides) - 1}"]
    frames = len(calls["x"]) * stream.frames
    endless = quantized(conv1d((2, 0), strides=strides, frames=frames)).graph
    long = Graph("long", [], dict(endless.tensors), endless.inputs, endless.outputs)
    for ours, theirs in zip(model.graph.nodes, endless.nodes, strict=True):
        attrs = dict(ours.attrs)
        attrs |= {key: theirs.attrs[key] for key in ("pads", "shape") if key in attrs}
        long.nodes.append(ours.with_attrs(**attrs))
    long.tensors |= {n: t for n, t in model.graph.tensors.items() if t.data is not None}
    expected = reference(long, {"x": calls["x"].reshape(1, frames, 4)})[long.outputs[0]]
    np.testing.assert_array_equal(got.reshape(-1, 4), expected.reshape(-1, 4))


def test_what_cannot_be_streamed_is_refused_with_a_reason() -> None:
    builder = GraphBuilder("dense")
    flat = builder.emit("reshape", [builder.input("x", (1, 8, 3))], shape=(1, 24))
    weights = builder.constant(np.random.default_rng(0).normal(size=(3, 24)))
    model = quantized(builder.output(builder.emit("fully_connected", [flat, weights])))
    with pytest.raises(UnsupportedModel, match="nothing can be streamed along axis 1 of 'x'") as caught:
        stream_graph(model.graph, {"x": 1})
    assert "axis of time" in str(caught.value.hint)


def test_padding_that_reaches_everywhere_is_refused() -> None:
    model = quantized(conv1d((4, 4), kernel=9, frames=9))
    with pytest.raises(UnsupportedModel, match="no layer's rows stay the same"):
        stream_graph(model.graph, {"x": 1})


@pytest.mark.parametrize(
    ("axes", "words"), [({"x": 7}, "no axis 7"), ({"x": 0}, "no axis 0"), ({"y": 1}, "no input 'y'")]
)
def test_inputs_and_axes_that_are_not_there(axes: dict[str, int], words: str) -> None:
    model = quantized(conv1d((0, 0)))
    with pytest.raises(McugenError, match=words):
        stream_graph(model.graph, axes)


def test_scales_of_each_window_are_refused() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("dynamic")
    weights = builder.constant(rng.normal(size=(3, 24)).astype(np.float32))
    graph = builder.output(builder.emit("fully_connected", [builder.input("x", (1, 24)), weights]))
    samples = {"x": rng.normal(size=(4, 24)).astype(np.float32)}
    model = quantize(graph, samples, effort="fast", activations="dynamic")
    with pytest.raises(UnsupportedModel, match="scales of its own"):
        stream_graph(model.graph, {"x": 1})

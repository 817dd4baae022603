"""Channel pruning: the graph without channels computes what the whole graph computes with these channels at zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import PLAIN, SAME, Layers, chain

from mcugen.errors import McugenError
from mcugen.execute import evaluate
from mcugen.graph import Graph
from mcugen.ops import operator
from mcugen.ops.builder import GraphBuilder
from mcugen.prune.channels import choose_channels, prune_channels, remove_channels
from mcugen.prune.groups import channel_groups

Array = npt.NDArray[Any]


def samples_of(graph: Graph, count: int = 6, seed: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=(count, *graph.tensors[n].shape[1:])).astype(np.float32) for n in graph.inputs}


def masked(graph: Graph, keep: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[Array]:
    """The outputs in float64, with every channel that is not kept set to zero as soon as it is written."""
    values: dict[str, Array] = {n: t.data for n, t in graph.tensors.items() if t.data is not None}
    values |= {name: array.astype(np.float64) for name, array in inputs.items()}
    for node in graph.nodes:
        outputs = operator(node.op).evaluate(node, [values[name] for name in node.inputs])
        values |= {name: array * keep[name] for name, array in zip(node.outputs, outputs, strict=True)}
    return [values[name] for name in graph.outputs]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 6), fraction=st.sampled_from([0.1, 0.3, 0.6, 0.9]))
def test_removed_channels_are_channels_at_zero(seed: int, depth: int, fraction: float) -> None:
    rng = np.random.default_rng(seed)
    graph = Layers(rng, (1, 5, 4, 3), dead=False).graph(depth)
    samples = samples_of(graph)
    criterion = str(rng.choice(["l1", "l2", "activation"]))
    keep = choose_channels(graph, fraction, samples, criterion=criterion, scope=str(rng.choice(["global", "layer"])))
    removed = remove_channels(graph, keep)
    inputs = {name: array.astype(np.float64) for name, array in samples.items()}
    got = evaluate(removed, inputs)
    for wanted, name in zip(masked(graph, keep, samples), graph.outputs, strict=True):
        np.testing.assert_allclose(got[name], wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    for name in removed.activations():
        assert removed.tensors[name].shape[-1] == np.count_nonzero(keep[name]) > 0
    assert all(keep[name].all() for name in (*graph.inputs, *graph.outputs))


def test_layer_scope_takes_the_fraction_of_every_layer() -> None:
    graph = chain((3, 8, 20))
    pruned = prune_channels(graph, 0.5, scope="layer")
    shapes = [pruned.tensors[name].shape for name in ("conv2d", "conv2d_1", "reshape")]
    assert shapes == [(1, 2, 2, 4), (1, 2, 2, 10), (1, 40)]


def test_global_scope_takes_the_fraction_of_all() -> None:
    graph = chain((3, 8, 20))
    keep = choose_channels(graph, 0.5)
    assert np.count_nonzero(~keep["conv2d"]) + np.count_nonzero(~keep["conv2d_1"]) == 14


def test_align_rounds_up_what_stays() -> None:
    graph = chain((3, 8, 20))
    for fraction, wanted in ((0.3, (8, 16)), (0.6, (4, 8))):
        keep = choose_channels(graph, fraction, scope="layer", align=4)
        assert (np.count_nonzero(keep["conv2d"]), np.count_nonzero(keep["conv2d_1"])) == wanted


def test_skipped_layers_keep_their_channels() -> None:
    graph = chain((3, 8, 20))
    keep = choose_channels(graph, 0.5, skip=["conv2d_1"])
    assert keep["conv2d_1"].all() and np.count_nonzero(keep["conv2d"]) == 4


def test_every_tensor_keeps_a_channel() -> None:
    pruned = prune_channels(chain((3, 4, 5)), 0.999)
    assert [pruned.tensors[name].shape[-1] for name in ("conv2d", "conv2d_1")] == [1, 1]


def test_norms_choose_the_smallest_rows() -> None:
    graph = chain((3, 6, 6))
    weights = graph.constant(graph.nodes[0].inputs[1])
    weights[[1, 4]] *= 1e-3
    for criterion in ("l1", "l2"):
        keep = choose_channels(graph, 0.34, scope="layer", criterion=criterion)
        assert np.flatnonzero(~keep["conv2d"]).tolist() == [1, 4]


def test_norms_count_relative_to_their_layer() -> None:
    builder = GraphBuilder("scales")
    x = builder.input("x", (1, 2, 2, 1))
    scales = ([0.1, 1.0, 1.0], [100.0, 90.0, 120.0])
    weights = [builder.constant(np.array(scale).reshape(3, 1, 1, 1)) for scale in scales]
    parts = [builder.emit("conv2d", [x, name], groups=1, **PLAIN) for name in weights]
    total = builder.emit("add", parts, subtract=False)
    last = [total, builder.constant(np.ones((2, 1, 1, 3)))]
    graph = builder.output(builder.emit("conv2d", last, groups=1, **PLAIN))
    assert choose_channels(graph, 0.34, criterion="l2")[total].tolist() == [False, True, True]


def test_activation_chooses_what_its_readers_hardly_use_or_that_hardly_varies() -> None:
    graph = chain((3, 6, 6))
    graph.constant(graph.nodes[1].inputs[1])[..., 2] *= 1e-4
    graph.constant(graph.nodes[0].inputs[1])[3] *= 1e-4
    graph.constant(graph.nodes[0].inputs[2])[3] = 50.0
    keep = choose_channels(graph, 0.34, samples_of(graph), scope="layer")
    assert np.flatnonzero(~keep["conv2d"]).tolist() == [2, 3]
    keep = choose_channels(graph, 0.17, samples_of(graph), scope="layer", centred=False)
    assert keep["conv2d"][3]


def test_a_constant_channel_costs_nothing_when_compensated() -> None:
    graph = chain((3, 6, 6))
    graph.constant(graph.nodes[0].inputs[1])[3] = 0
    graph.constant(graph.nodes[0].inputs[2])[3] = 5.0
    samples = samples_of(graph)
    keep = {name: np.ones(graph.tensors[name].shape[-1], bool) for name in graph.activations()}
    keep["conv2d"][3] = False
    wanted = evaluate(graph, samples)[graph.outputs[0]]
    repaired = evaluate(remove_channels(graph, keep, samples, reconstruct=False), samples)[graph.outputs[0]]
    plain = evaluate(remove_channels(graph, keep, samples, compensate=False), samples)[graph.outputs[0]]
    np.testing.assert_allclose(repaired, wanted, rtol=1e-4, atol=1e-4)
    assert np.abs(plain - wanted).max() > 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 5))
def test_compensation_keeps_the_mean_of_the_last_layer(seed: int, depth: int) -> None:
    builder = Layers(np.random.default_rng(seed), (1, 5, 4, 3), dead=False)
    graph = builder.graph(depth)
    last = next(node for node in graph.nodes if node.op == "fully_connected")
    graph.nodes[graph.nodes.index(last)] = type(last)(last.op, last.name, last.inputs, last.outputs)
    samples = samples_of(graph, 20)
    pruned = prune_channels(graph, 0.4, samples)
    wanted, got = (evaluate(g, samples, keep=last.outputs)[last.outputs[0]].mean(axis=0) for g in (graph, pruned))
    scale = np.abs(evaluate(graph, samples, keep=last.outputs)[last.outputs[0]]).max()
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * scale)


def test_reconstruction_recovers_channels_that_others_can_stand_for() -> None:
    """Two of six channels are copies of others: least squares gives the output back, the mean does not."""
    graph = chain((5, 6, 4))
    for number in (1, 2):
        constant = graph.constant(graph.nodes[0].inputs[number])
        constant[[4, 5]] = constant[[0, 1]]
    samples = samples_of(graph, 100)
    keep = {name: np.ones(graph.tensors[name].shape[-1], bool) for name in graph.activations()}
    keep["conv2d"][[4, 5]] = False
    wanted = evaluate(graph, samples)[graph.outputs[0]]
    noise = []
    for reconstruct in (False, True):
        got = evaluate(remove_channels(graph, keep, samples, reconstruct=reconstruct), samples)[graph.outputs[0]]
        noise.append(float(np.square(got - wanted).mean()))
    assert noise[1] < 0.1 * noise[0]


def test_summands_go_together() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("residual")
    x = builder.input("x", (1, 4, 4, 3))
    a = builder.emit("conv2d", [x, builder.constant(rng.normal(size=(6, 3, 3, 3)))], groups=1, **SAME)
    b = builder.emit("conv2d", [a, builder.constant(rng.normal(size=(6, 3, 3, 6)))], groups=1, **SAME)
    total = builder.emit("add", [a, b], subtract=False)
    c = builder.emit("depthwise_conv2d", [total, builder.constant(rng.normal(size=(12, 3, 3, 1)))], **SAME)
    joined = builder.emit("concat", [c, x], axis=3)
    last = [joined, builder.constant(rng.normal(size=(2, 1, 1, 15)))]
    graph = builder.output(builder.emit("conv2d", last, groups=1, **PLAIN))
    groups = channel_groups(graph)
    np.testing.assert_array_equal(groups.of[a], groups.of[b])
    np.testing.assert_array_equal(groups.of[a], groups.of[total])
    np.testing.assert_array_equal(groups.of[c], np.repeat(groups.of[a], 2))
    np.testing.assert_array_equal(groups.of[joined], np.concatenate([groups.of[c], groups.of[x]]))
    assert groups.pinned[groups.of[x]].all() and not groups.pinned[groups.of[a]].any()
    pruned = prune_channels(graph, 0.5)
    assert [pruned.tensors[name].shape[-1] for name in (a, b, total, c, joined)] == [3, 3, 3, 6, 9]


def test_mistakes_are_named() -> None:
    graph = chain((3, 4, 5))
    for fraction in (1.0, -0.1):
        with pytest.raises(McugenError, match="prune: the fraction"):
            prune_channels(graph, fraction)
    with pytest.raises(McugenError, match="no scope 'all'"):
        prune_channels(graph, 0.5, scope="all")
    with pytest.raises(McugenError, match="no criterion 'luck'"):
        prune_channels(graph, 0.5, criterion="luck")
    with pytest.raises(McugenError, match="needs calibration data"):
        prune_channels(graph, 0.5, criterion="activation")


def test_equal_inputs_give_equal_graphs() -> None:
    graph = chain((3, 8, 20))
    first, second = (prune_channels(graph, 0.4, samples_of(graph), reconstruct=True) for _ in range(2))
    assert first.to_text() == second.to_text()
    for name, tensor in first.tensors.items():
        if tensor.data is not None:
            np.testing.assert_array_equal(tensor.data, second.constant(name))

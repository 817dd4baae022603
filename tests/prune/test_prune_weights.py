"""Magnitude pruning, and the report of what pruning took and cost, recomputed here by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from random_networks import SAME, chain

from mcugen.errors import McugenError
from mcugen.execute import evaluate
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.prune.channels import choose_channels, remove_channels
from mcugen.prune.magnitude import adaptive_score, prune_weights
from mcugen.prune.report import prune_report

Array = npt.NDArray[Any]


def network() -> Graph:
    rng = np.random.default_rng(4)
    builder = GraphBuilder("network")
    x = builder.input("x", (1, 6, 6, 3))
    w0 = builder.constant(rng.normal(size=(8, 3, 3, 3)), "w0")
    w1 = builder.constant(100 * rng.normal(size=(8, 3, 3, 1)), "w1")
    a = builder.emit("conv2d", [x, w0], groups=1, clip_min=0.0, **SAME)
    b = builder.emit("depthwise_conv2d", [a, w1], **SAME)
    flat = builder.emit("reshape", [b], shape=(1, 288))
    w2 = builder.constant(0.01 * rng.normal(size=(5, 288)), "w2")
    return builder.output(builder.emit("fully_connected", [flat, w2, builder.constant(rng.normal(size=5), "b2")]))


def samples(count: int = 20) -> dict[str, Array]:
    return {"x": np.random.default_rng(5).normal(size=(count, 6, 6, 3)).astype(np.float32)}


def zeros(graph: Graph, name: str) -> int:
    return int(np.count_nonzero(graph.constant(name) == 0))


def test_layer_scope_takes_the_smallest_of_every_layer() -> None:
    graph = network()
    pruned = prune_weights(graph, 0.25, scope="layer")
    for name in ("w0", "w1", "w2"):
        before, after = graph.constant(name), pruned.constant(name)
        gone = after == 0
        assert zeros(pruned, name) == before.size // 4
        assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
        np.testing.assert_array_equal(before[~gone], after[~gone])


def test_global_scope_takes_the_fraction_of_all_whatever_the_scale() -> None:
    graph = network()
    pruned = prune_weights(graph, 0.5)
    sizes = {name: graph.tensors[name].size for name in ("w0", "w1", "w2")}
    found = {name: zeros(pruned, name) for name in sizes}
    assert sum(found.values()) == sum(sizes.values()) // 2
    scaled = network()
    scaled.constant("w0")[...] *= 1000
    assert {name: zeros(prune_weights(scaled, 0.5), name) for name in sizes} == found


def test_no_layer_loses_its_last_weight() -> None:
    pruned = prune_weights(network(), 0.99)
    assert all(np.any(pruned.constant(name)) for name in ("w0", "w1", "w2"))


def test_the_score_is_the_share_of_what_is_left() -> None:
    energy = np.array([4.0, 1.0, 0.0, 5.0])
    np.testing.assert_allclose(adaptive_score(energy), [4 / 9, 1 / 10, 0, 1])


def test_what_is_skipped_and_what_is_given_stay_as_they_are() -> None:
    graph = network()
    before = {name: graph.constant(name).copy() for name in ("w0", "w1", "w2")}
    pruned = prune_weights(graph, 0.5, skip=["conv2d"])
    np.testing.assert_array_equal(pruned.constant("w0"), before["w0"])
    assert zeros(pruned, "w1") > 0
    for name, data in before.items():
        np.testing.assert_array_equal(graph.constant(name), data)


def test_zero_fraction_changes_nothing() -> None:
    graph = network()
    wanted, got = (evaluate(g, samples())[graph.outputs[0]] for g in (graph, prune_weights(graph, 0.0)))
    np.testing.assert_array_equal(got, wanted)


def test_samples_keep_the_mean_of_every_layer() -> None:
    graph = network()
    names = [node.outputs[0] for node in graph.nodes if node.op != "reshape"]
    wanted, plain, repaired = (
        evaluate(g, samples(), keep=names)
        for g in (graph, prune_weights(graph, 0.6), prune_weights(graph, 0.6, samples=samples()))
    )
    output = graph.outputs[0]
    np.testing.assert_allclose(repaired[output].mean(axis=0), wanted[output].mean(axis=0), rtol=1e-3, atol=1e-3)
    assert np.square(repaired[output] - wanted[output]).mean() < np.square(plain[output] - wanted[output]).mean()


def test_mistakes_are_named() -> None:
    for fraction, scope in ((1.0, "global"), (-0.5, "layer"), (float("nan"), "layer"), (0.5, "some")):
        with pytest.raises(McugenError, match="prune"):
            prune_weights(network(), fraction, scope=scope)


def test_report_of_weights() -> None:
    graph = network()
    pruned = prune_weights(graph, 0.4)
    report = prune_report(graph, pruned, samples())
    conv, depthwise, full = report.layers
    assert [layer.op for layer in report.layers] == ["conv2d", "depthwise_conv2d", "fully_connected"]
    assert (conv.macs_before, depthwise.macs_before, full.macs_before) == (36 * 8 * 27, 36 * 8 * 9, 5 * 288)
    assert report.macs_after == report.macs_before == 36 * 8 * 27 + 36 * 8 * 9 + 5 * 288
    assert conv.weights_after == 8 * 27 - zeros(pruned, "w0") and full.weights_after == 5 * 288 - zeros(pruned, "w2")
    for layer in report.layers:
        wanted, got = (evaluate(g, samples(), keep=[layer.name])[layer.name] for g in (graph, pruned))
        assert layer.sqnr == pytest.approx(10 * np.log10(np.sum(wanted**2) / np.sum((wanted - got) ** 2)), abs=1e-3)
    assert report.outputs[graph.outputs[0]] == full.sqnr
    assert json.loads(json.dumps(report.to_dict()))["weights_after"] == report.weights_after


def test_report_of_channels() -> None:
    graph = network()
    keep = choose_channels(graph, 0.5, samples())
    pruned = remove_channels(graph, keep, samples())
    report = prune_report(graph, pruned, samples(), keep=keep)
    conv, depthwise, full = report.layers
    for layer in (conv, depthwise):
        assert (layer.channels_before, layer.channels_after) == (8, 4)
    assert (conv.macs_after, depthwise.macs_after, full.macs_after) == (36 * 4 * 27, 36 * 4 * 9, 5 * 144)
    assert report.weights_after == 4 * 27 + 4 * 9 + 5 * 144


def test_report_compares_the_channels_that_are_left() -> None:
    graph = chain((3, 8, 8))
    data = {"x": np.random.default_rng(6).normal(size=(20, 2, 2, 3)).astype(np.float32)}
    keep = choose_channels(graph, 0.5, data, scope="layer")
    pruned = remove_channels(graph, keep, data)
    report = prune_report(graph, pruned, data, keep=keep)
    middle = report.layers[1]
    wanted, got = (evaluate(g, data, keep=[middle.name])[middle.name] for g in (graph, pruned))
    wanted = wanted[..., keep[middle.name]]
    assert middle.sqnr == pytest.approx(10 * np.log10(np.sum(wanted**2) / np.sum((wanted - got) ** 2)), abs=1e-3)
    unknown = prune_report(graph, pruned, data)
    assert unknown.layers[1].sqnr is None and unknown.outputs == report.outputs
    assert all(layer.sqnr is None for layer in prune_report(graph, pruned).layers)

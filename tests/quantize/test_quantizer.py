"""The whole quantizer on small networks: fidelity, bounds of the integers, determinism, methods that can be switched off."""

from __future__ import annotations

import numpy as np
import pytest

from mcugen.graph import Graph
from mcugen.graph_file import graph_bytes
from mcugen.ops.builder import GraphBuilder
from mcugen.quantize.ablation import ablation, measure
from mcugen.quantize.quantizer import DEFAULT_METHODS, EFFORTS, METHODS, quantize_graph, spread_samples
from tests.quantize.test_methods import separable_network


@pytest.fixture(scope="module")
def network() -> Graph:
    return separable_network(np.random.default_rng(20))


def inputs(seed: int, count: int = 40) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(count, 8, 8, 3)).astype(np.float32)}


def classifier() -> Graph:
    rng = np.random.default_rng(21)
    builder = GraphBuilder("classifier")
    x = builder.input("x", (1, 12))
    h = builder.emit("fully_connected", [x, builder.constant(rng.normal(size=(16, 12)), "w")], clip_min=0.0)
    logits = builder.emit("fully_connected", [h, builder.constant(rng.normal(size=(5, 16)) / 2, "v")])
    return builder.output(builder.emit("softmax", [logits]))


def autoencoder() -> tuple[Graph, dict[str, np.ndarray]]:
    """Layers of correlated values, and samples that lie near a plane of few dimensions."""
    rng = np.random.default_rng(24)
    builder = GraphBuilder("autoencoder")
    name = builder.input("x", (1, 64))
    for width in (64, 64, 64):
        weights = builder.constant(rng.normal(size=(width, 64)) / 8, "w")
        name = builder.emit("fully_connected", [name, weights], clip_min=0.0)
    graph = builder.output(builder.emit("fully_connected", [name, builder.constant(rng.normal(size=(64, 64)), "v")]))
    samples = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 64))
    return graph, {"x": samples.astype(np.float32)}


def test_methods_gain_on_unseen_samples() -> None:
    graph, samples = autoencoder()
    seen, unseen = ({"x": part} for part in (samples["x"][:150], samples["x"][150:]))
    with_all, with_none = (
        measure(graph, quantize_graph(graph, seen, methods=methods).graph, unseen).output_db
        for methods in (DEFAULT_METHODS, ())
    )
    assert with_all > with_none + 1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_switched_off(network: Graph, method: str) -> None:
    model = quantize_graph(network, inputs(1), methods=[name for name in METHODS if name != method])
    assert measure(network, model.graph, inputs(2)).output_db > 20


@pytest.mark.parametrize("effort", EFFORTS)
def test_same_bytes_every_time(network: Graph, effort: str) -> None:
    first, second = (graph_bytes(quantize_graph(network, inputs(1), effort=effort).graph) for _ in range(2))
    assert first == second


def test_weights_and_accumulators_stay_in_bounds(network: Graph) -> None:
    model = quantize_graph(network, inputs(1), effort="max")
    layers = [node for node in model.graph.nodes if node.op in ("conv2d", "depthwise_conv2d", "fully_connected")]
    assert len(layers) == 4
    for node in layers:
        weights, bias = (model.graph.constant(name).astype(np.int64) for name in node.inputs[1:3])
        assert np.abs(weights).max() <= 127
        reach = np.abs(weights).reshape(len(weights), -1).sum(axis=1) * 128 + np.abs(bias)
        assert reach.max() < 2**23


def test_a_dead_channel_stays_exactly_zero() -> None:
    rng = np.random.default_rng(22)
    builder = GraphBuilder("dead")
    x = builder.input("x", (1, 6))
    weights = rng.normal(size=(5, 6))
    weights[2] = 1e-32
    h = builder.emit("fully_connected", [x, builder.constant(weights, "w")], clip_min=0.0)
    graph = builder.output(builder.emit("fully_connected", [h, builder.constant(rng.normal(size=(3, 5)), "v")]))
    model = quantize_graph(graph, {"x": rng.normal(size=(50, 6)).astype(np.float32)})
    assert not np.any(model.graph.constant(model.graph.nodes[0].inputs[1])[2])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_samples_suffice(network: Graph, count: int) -> None:
    model = quantize_graph(network, inputs(1, count))
    assert np.isfinite(measure(network, model.graph, inputs(1, count)).output_db)


def test_constant_samples_suffice(network: Graph) -> None:
    zeros = {"x": np.zeros((4, 8, 8, 3), np.float32)}
    assert quantize_graph(network, zeros).graph.outputs == network.outputs


def test_notes_tell_of_every_layer_and_progress_ends_at_hundred(network: Graph) -> None:
    seen: list[tuple[int, int]] = []
    model = quantize_graph(network, inputs(1), progress=lambda done, total: seen.append((done, total)))
    assert len(model.notes) == 4
    assert all(note.signal_to_noise > 20 for note in model.notes)
    assert seen[-1] == (100, 100)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_unknown_names_are_refused(network: Graph) -> None:
    with pytest.raises(ValueError, match="no method magic"):
        quantize_graph(network, inputs(1), methods=["magic"])
    with pytest.raises(ValueError, match="no effort 'huge'"):
        quantize_graph(network, inputs(1), effort="huge")


def test_samples_are_spread_over_all_that_are_given() -> None:
    chosen = spread_samples({"x": np.arange(100)[:, None]}, 5)["x"][:, 0]
    assert list(chosen) == [0, 24, 49, 74, 99]


def test_ablation_has_a_row_for_every_method() -> None:
    rng = np.random.default_rng(23)
    samples = {"x": rng.normal(size=(40, 12)).astype(np.float32)}
    labels = rng.integers(-1, 5, 40)
    rows = list(ablation(classifier(), samples, samples, labels=labels))
    assert [row.name for row in rows] == [
        "default",
        *(f"{'without' if name in DEFAULT_METHODS else 'with'} {name}" for name in METHODS),
        "none",
    ]
    for row in rows:
        f = row.fidelity
        assert f.logits_db is not None and f.top1 is not None
        assert f.interval_db[0] <= f.output_db <= f.interval_db[1]

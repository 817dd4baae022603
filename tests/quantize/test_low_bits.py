"""Weights in fewer bits: grids, what rounding makes of them, and whole networks in every format."""

from __future__ import annotations

import numpy as np
import pytest

from mcugen.errors import McugenError
from mcugen.fixed_point import INT32_LIMIT
from mcugen.graph import Graph
from mcugen.graph_file import graph_bytes
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.weighted import accumulator_bound
from mcugen.quantize import rounding
from mcugen.quantize.ablation import measure
from mcugen.quantize.grid import Grid
from mcugen.quantize.low_bits import integer_dtype, layer_grid, round_to_format, weighted_kmeans
from mcugen.quantize.precision import Precision, choose_precision
from mcugen.quantize.quantizer import quantize_graph
from mcugen.weight_format import WEIGHT_FORMATS, group_factors, pack_weights, weight_bytes
from tests.quantize.test_methods import separable_network

FORMATS = tuple(WEIGHT_FORMATS)


def problem(seed: int = 0, depth: int = 70) -> tuple[np.ndarray, np.ndarray]:
    """Weights [1, 6, depth] and the Hessian of correlated inputs."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(300, depth // 2)) @ rng.normal(size=(depth // 2, depth)) + rng.normal(size=(300, depth))
    return rng.normal(size=(1, 6, depth)) * rng.uniform(0.3, 2, (1, 6, 1)), (inputs.T @ inputs / 300)[None]


@pytest.mark.parametrize("word", FORMATS)
def test_rounding_keeps_to_the_grid_and_beats_the_nearest_integers(word: str) -> None:
    weights, hessian = problem()
    none = np.zeros(weights.shape[:2])
    q, scales = round_to_format(weights, hessian, word, smallest_scales=none)
    assert pack_weights(q[0].astype(integer_dtype(word)), word) is not None
    grid, plain_scales = layer_grid(weights, hessian, word, np.zeros(weights.shape[:2]))
    plain = rounding.plain_rounding(weights, plain_scales, grid)
    reached = rounding.quadratic_error(q, scales, weights, hessian)
    nearest = rounding.quadratic_error(plain, plain_scales, weights, hessian)
    assert np.all(reached <= nearest)
    assert reached.sum() < 0.6 * nearest.sum()


@pytest.mark.parametrize("word", FORMATS)
def test_scales_are_never_below_the_smallest_allowed(word: str) -> None:
    weights, hessian = problem(1)
    smallest = np.full(weights.shape[:2], 0.9)
    q, scales = round_to_format(weights, hessian, word, smallest_scales=smallest)
    assert np.all(scales >= 0.9)
    assert pack_weights(q[0].astype(integer_dtype(word)), word) is not None


def test_descent_along_a_grid_lowers_the_error_and_stays_on_it() -> None:
    weights, hessian = problem(2)
    grid = Grid(levels=np.array([-60.0, -20.0, -3.0, 0.0, 2.0, 30.0]))
    scales = np.abs(weights).max(axis=2) / 40
    start = rounding.plain_rounding(weights, scales, grid)
    end = rounding.descend(start, scales, weights, hessian, sweeps=2.0, grid=grid)
    before, after = (rounding.quadratic_error(q, scales, weights, hessian) for q in (start, end))
    assert np.all(after <= before) and after.sum() < before.sum()
    assert np.isin(end, grid.levels).all()


def test_gaps_are_the_distances_to_the_next_integers() -> None:
    up, down = Grid(levels=np.array([-4.0, 0.0, 1.0])).gaps(np.array([[[-4.0, 0.0, 1.0]]]))
    assert up.tolist() == [[[4, 1, 0]]] and down.tolist() == [[[0, 4, 1]]]
    factors = np.array([[[3.0, 3.0, 5.0]]])
    up, down = Grid(limit=7, factors=factors).gaps(np.array([[[21.0, -21.0, 10.0]]]))
    assert up.tolist() == [[[0, 3, 5]]] and down.tolist() == [[[3, 0, 5]]]


def test_kmeans_finds_clusters_and_keeps_zero() -> None:
    rng = np.random.default_rng(3)
    centres = np.array([-90, -31, 0, 12, 55])
    values = np.concatenate([c + rng.normal(size=200) * 0.1 for c in centres])
    found = weighted_kmeans(values, np.ones(len(values)), 5)
    assert found.tolist() == centres.tolist()
    assert 0 in weighted_kmeans(rng.uniform(5, 100, 500), np.ones(500), 16)
    assert weighted_kmeans(np.zeros(9), np.zeros(9), 16).tolist() == [0]


@pytest.mark.parametrize("word", FORMATS)
def test_packed_weights_stand_for_the_integers(word: str) -> None:
    rng = np.random.default_rng(4)
    form = WEIGHT_FORMATS[word]
    shape = (5, 3, 3, 7)
    if form.group:
        factors = np.repeat(rng.integers(1, 19, (5, 2)), 32, axis=1)[:, :63]
        weights = (rng.integers(-7, 8, (5, 63)) * factors).reshape(shape).astype(np.int8)
    elif form.values is None:
        limit, dtype = (127, np.int8) if form.bits == 4 else (1023, np.int16)
        weights = rng.choice(rng.integers(-limit, limit + 1, 1 << form.bits), shape).astype(dtype)
    else:
        weights = rng.choice(np.array(form.values), shape).astype(np.int8)
    packed = pack_weights(weights, word)
    assert packed is not None
    codes = packed.codes if form.bits == 8 else np.stack([packed.codes & 15, packed.codes >> 4], 1).reshape(-1)
    restored = packed.table.astype(np.int64)[codes[: weights.size]].reshape(5, -1)
    if packed.factors is not None:
        restored = restored * np.repeat(packed.factors, 32, axis=1)[:, : restored.shape[1]]
    assert np.array_equal(restored.reshape(shape), weights)
    assert packed.nbytes == weight_bytes(shape, word) + (len(packed.table) if form.values is not None else 0)


def test_weights_off_their_grid_are_not_packed() -> None:
    rng = np.random.default_rng(5)
    weights = rng.integers(-127, 128, (4, 200)).astype(np.int8)
    assert all(pack_weights(weights, word) is None for word in FORMATS if WEIGHT_FORMATS[word].bits == 4)
    assert group_factors(np.full((1, 3), 127), 32) is None
    assert pack_weights(np.arange(300, dtype=np.int16)[None], "codebook256") is None


@pytest.fixture(scope="module")
def network() -> Graph:
    return separable_network(np.random.default_rng(20))


def inputs(seed: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(40, 8, 8, 3)).astype(np.float32)}


@pytest.mark.parametrize("word", FORMATS)
def test_network_in_every_format(network: Graph, word: str) -> None:
    model = quantize_graph(network, inputs(1), precision=choose_precision(network, word))
    stored = [node for node in model.graph.nodes if "weight_format" in node.attrs]
    assert [node.op for node in stored] == [n.op for n in network.nodes if n.op in ("conv2d", "fully_connected")]
    for node in stored:
        assert node.attrs["weight_format"] == word
        assert pack_weights(model.graph.constant(node.inputs[1]), word) is not None
    plain = quantize_graph(network, inputs(1), precision=choose_precision(network, word), methods=())
    assert measure(network, model.graph, inputs(2)).output_db > max(
        12, measure(network, plain.graph, inputs(2)).output_db
    )


def test_formats_are_reproducible_and_follow_the_layer(network: Graph) -> None:
    depthwise = next(node.name for node in network.nodes if node.op == "depthwise_conv2d")
    precision = choose_precision(network, "int8", {depthwise: "pow2"})
    assert precision == Precision(weights={depthwise: "pow2"})
    first, second = (graph_bytes(quantize_graph(network, inputs(1), precision=precision).graph) for _ in range(2))
    assert first == second


def test_a_graph_without_a_batch_axis_is_rounded_plainly() -> None:
    rng = np.random.default_rng(6)
    builder = GraphBuilder("turned")
    x = builder.input("x", (6, 8))
    y = builder.emit("fully_connected", [x, builder.constant(rng.normal(size=(5, 8)), "w")])
    graph = builder.output(builder.emit("transpose", [y], perm=(1, 0)))
    for word in FORMATS:
        model = quantize_graph(
            graph, {"x": rng.normal(size=(6, 6, 8)).astype(np.float32)}, precision=choose_precision(graph, word)
        )
        assert pack_weights(model.graph.constant(model.graph.nodes[0].inputs[1]), word) is not None


def test_formats_are_for_layers_with_weights(network: Graph) -> None:
    with pytest.raises(McugenError, match="int4 for 'x', which has no weights"):
        choose_precision(network, "int8", {"x": "int4"})


@pytest.mark.parametrize("word", FORMATS)
def test_formats_go_with_int16_activations(network: Graph, word: str) -> None:
    given = inputs(1)
    wide = quantize_graph(network, given, precision=choose_precision(network, f"int16+{word}"))
    plain = quantize_graph(network, given, precision=choose_precision(network, word))
    stored = [node for node in wide.graph.nodes if "weight_format" in node.attrs]
    assert {wide.graph.tensors[node.inputs[0]].dtype for node in stored} == {"int16"}
    assert all(pack_weights(wide.graph.constant(n.inputs[1]), word) is not None for n in stored)
    assert measure(network, wide.graph, given).output_db > measure(network, plain.graph, given).output_db


LONG_ROWS = [(word, 1200, False) for word in ("int8", *FORMATS)] + [("codebook", 560, True), ("int4x32", 560, True)]


@pytest.mark.parametrize(("word", "depth", "batched"), LONG_ROWS)
def test_sums_of_int16_stay_in_32_bits_in_every_format(word: str, depth: int, batched: bool) -> None:
    """A row of equal weights, which most formats' largest integers would take past 32 bits; pow2 rounds some of them up first."""
    rng = np.random.default_rng(7)
    builder = GraphBuilder("long")
    x = builder.input("x", (1 if batched else 2, depth))
    y = builder.emit("fully_connected", [x, builder.constant(np.full((2, depth), 0.5), "w")])
    graph = builder.output(y if batched else builder.emit("transpose", [y], perm=(1, 0)))
    shape = (8, depth) if batched else (8, 2, depth)
    samples = {"x": rng.normal(size=shape).astype(np.float32)}
    precision = choose_precision(graph, "int16" if word == "int8" else f"int16+{word}")
    model = quantize_graph(graph, samples, effort="fast", precision=precision)
    node = model.graph.nodes[0]
    weights, bias = (model.graph.constant(name) for name in node.inputs[1:3])
    quant = model.graph.tensors[node.inputs[0]].quant
    assert quant is not None and quant.dtype == "int16"
    bound = accumulator_bound(weights, bias, quant)
    assert 2**28 < bound.max() < INT32_LIMIT

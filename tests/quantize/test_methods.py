"""Each quantization method on small layers: it does what it says, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mcugen.execute import evaluate
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.quantize.bias_correction import correct_bias
from mcugen.quantize.equalization import channel_groups, channel_statistics, equalize
from mcugen.quantize.goals import goal_tensors
from mcugen.quantize.headroom import Tails, observe_tails, range_with_headroom
from mcugen.quantize.layer_data import input_rows, sample_positions, weight_matrix
from mcugen.quantize.range_search import search_ranges
from mcugen.quantize.ranges import Histogram, observer, observer_names, quant_params
from mcugen.quantize.reconstruction import covariance, damped, fit_weights, moments, shrunk
from mcugen.quantize.rounding import descend, error_feedback, plain_rounding, quadratic_error, search_scales
from mcugen.quantize.saturation import saturation_weights

Array = npt.NDArray[Any]

INFINITY = (-np.inf, np.inf)


def correlated_inputs(rng: np.random.Generator, rows: int, depth: int) -> Array:
    return (rng.normal(size=(1, rows, depth)) @ rng.normal(size=(depth, depth))) + 1.0


def separable_network(rng: np.random.Generator, channels: int = 6) -> Graph:
    """Convolution, depthwise and pointwise layers with a sum and a pool, channels of very different size."""
    sizes = 2.0 ** rng.uniform(-4, 2, channels)
    builder = GraphBuilder("separable")
    x = builder.input("x", (1, 8, 8, 3))
    window = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1)}
    first = rng.normal(size=(channels, 3, 3, 3)) * sizes[:, None, None, None]
    a = builder.emit("conv2d", [x, builder.constant(first, "w0")], groups=1, clip_min=0.0, **window)
    taps = builder.constant(rng.normal(size=(channels, 3, 3, 1)), "w1")
    offset = builder.constant(rng.normal(size=channels), "b1")
    b = builder.emit("depthwise_conv2d", [a, taps, offset], clip_min=0.0, **window)
    mix = builder.constant(rng.normal(size=(channels, 1, 1, channels)), "w2")
    pointwise = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    c = builder.emit("conv2d", [b, mix], groups=1, **pointwise)
    d = builder.emit("add", [b, c], subtract=False, clip_min=0.0)
    e = builder.emit(
        "max_pool2d", [d], kernel=(8, 8), strides=(8, 8), dilations=(1, 1), pads=(0, 0, 0, 0), minimum=False
    )
    f = builder.emit("reshape", [e], shape=(1, channels))
    last = builder.constant(rng.normal(size=(4, channels)), "w3")
    return builder.output(builder.emit("fully_connected", [f, last]))


def test_error_feedback_beats_plain_rounding_where_inputs_are_correlated() -> None:
    rng = np.random.default_rng(1)
    x = correlated_inputs(rng, 400, 40)
    hessian = damped(covariance(moments(x, np.zeros((1, 400, 1)), np.zeros(400, int))), 0.01)
    weights = rng.normal(size=(1, 8, 40))
    scales = np.abs(weights).max(axis=2) / 15
    plain = quadratic_error(plain_rounding(weights, scales), scales, weights, hessian)
    feedback = quadratic_error(error_feedback(weights, scales, hessian), scales, weights, hessian)
    assert feedback.sum() < 0.5 * plain.sum()


def test_error_feedback_without_correlation_is_plain_rounding() -> None:
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(2, 3, 9))
    scales = np.abs(weights).max(axis=2) / 127
    hessian = np.stack([np.diag(rng.uniform(1, 5, 9)) for _ in range(2)])
    assert np.array_equal(error_feedback(weights, scales, hessian), plain_rounding(weights, scales))


@pytest.mark.parametrize("depth", [1, 9, 33, 64, 70])
def test_coordinate_descent_never_raises_the_error_and_stays_in_range(depth: int) -> None:
    rng = np.random.default_rng(depth)
    x = correlated_inputs(rng, 200, depth)
    hessian = damped(covariance(moments(x, np.zeros((1, 200, 1)), np.zeros(200, int))), 0.01)
    weights = rng.normal(size=(1, 5, depth))
    scales = np.abs(weights).max(axis=2) / 127
    start = plain_rounding(weights, scales)
    better = descend(start, scales, weights, hessian, sweeps=2.0)
    before, after = (quadratic_error(q, scales, weights, hessian) for q in (start, better))
    assert np.all(after <= before * (1 + 1e-9))
    assert np.abs(better).max() <= 127


def test_scale_search_clips_a_lone_large_weight_that_hardly_counts() -> None:
    weights = np.full((1, 1, 50), 0.03)
    weights[0, 0, 0] = 1.0
    hessian = np.eye(50)[None] * 1.0
    hessian[0, 0, 0] = 1e-6
    scales = np.array([[1.0 / 127]])
    assert search_scales(weights, scales, hessian)[0, 0] < scales[0, 0]


def test_scale_search_keeps_the_scale_where_nothing_is_gained() -> None:
    weights = np.arange(-127, 128, dtype=float)[None, None] / 127
    scales = np.array([[1.0 / 127]])
    assert search_scales(weights, scales, np.eye(255)[None])[0, 0] == scales[0, 0]


def test_fit_recovers_weights_that_undo_a_linear_error_of_the_inputs() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 600, 5))
    weights = rng.normal(size=(1, 2, 5))
    given = x * 0.8
    residual = x @ weights.transpose(0, 2, 1) - given @ weights.transpose(0, 2, 1)
    fitted, damping = fit_weights(weights, moments(given, residual, np.arange(600) % 4))
    assert damping is not None
    assert np.allclose(fitted, weights / 0.8, rtol=0.02)


def test_fit_leaves_weights_alone_when_errors_are_noise() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1, 200, 20))
    weights = rng.normal(size=(1, 3, 20))
    fitted, damping = fit_weights(weights, moments(x, rng.normal(size=(1, 200, 3)), np.arange(200) % 4))
    assert damping is None and fitted is weights


def test_shrinking_keeps_the_diagonal_and_damps_chance_correlations() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1, 24, 12))
    m = moments(x, np.zeros((1, 24, 1)), np.arange(24) % 4)
    full, less = covariance(m)[0], shrunk(m)[0]
    assert np.allclose(np.diag(full), np.diag(less))
    off = ~np.eye(12, dtype=bool)
    assert np.abs(less[off]).sum() < 0.6 * np.abs(full[off]).sum()


def test_bias_correction_makes_the_mean_right_behind_a_relu() -> None:
    rng = np.random.default_rng(6)
    wanted = rng.normal(size=(1, 4000, 3))
    given = wanted - np.array([0.3, -0.2, 0.0])
    change = correct_bias(wanted, given, (0.0, np.inf), np.arange(4000) // 40)
    assert np.allclose(change[0], [0.3, -0.2, 0.0], atol=0.02)


def test_bias_correction_is_not_led_by_one_strange_sample() -> None:
    rng = np.random.default_rng(7)
    wanted = rng.normal(size=(1, 1000, 1))
    given = wanted + 0.1 + 0.01 * rng.normal(size=wanted.shape)
    given[:, 500:510] += 50.0
    change = correct_bias(wanted, given, INFINITY, np.arange(1000) // 10)
    assert abs(change[0, 0] + 0.1) < 0.01


def test_equalization_keeps_the_function_and_evens_out_channels() -> None:
    rng = np.random.default_rng(8)
    graph = separable_network(rng)
    samples = {"x": rng.normal(size=(20, 8, 8, 3)).astype(np.float32)}
    before = channel_statistics(graph, samples)
    equal = equalize(graph, before)[0].check()
    output = graph.outputs[0]
    assert np.allclose(evaluate(graph, samples)[output], evaluate(equal, samples)[output], rtol=1e-3, atol=1e-3)
    after = channel_statistics(equal, samples)
    tensor = graph.nodes[0].outputs[0]
    unevenness = [np.ptp(np.log(s.ranges[tensor])) for s in (before, after)]
    assert unevenness[1] < 0.7 * unevenness[0]


def test_equalization_groups_hold_all_tensors_that_share_channels() -> None:
    graph = separable_network(np.random.default_rng(9))
    groups = {len(group.tensors): group for group in channel_groups(graph)}
    assert set(groups) == {1, 5}
    assert [node.op for node in groups[5].writers] == ["depthwise_conv2d", "conv2d"]
    assert [node.op for node in groups[5].readers] == ["conv2d", "fully_connected"]


def test_equalization_leaves_bounded_activations_alone() -> None:
    rng = np.random.default_rng(10)
    builder = GraphBuilder("bounded")
    x = builder.input("x", (1, 4))
    h = builder.emit("fully_connected", [x, builder.constant(rng.normal(size=(5, 4)), "w")], clip_min=0.0, clip_max=6.0)
    graph = builder.output(builder.emit("fully_connected", [h, builder.constant(rng.normal(size=(3, 5)), "v")]))
    assert channel_groups(graph) == []


def test_headroom_grows_with_the_tail_and_not_without_one() -> None:
    def tails(values: Array) -> Tails:
        ordered = np.sort(values)
        return Tails(ordered[::-1][:21], ordered[:21], 200, 10)

    rng = np.random.default_rng(11)
    heavy = rng.exponential(size=2000) * rng.choice([-1, 1], 2000)
    low, high = range_with_headroom(tails(heavy))
    assert high > np.sort(heavy)[-5] and low < np.sort(heavy)[4]
    piled = np.clip(rng.normal(size=2000), 0, 1)
    assert range_with_headroom(tails(piled)) == (0.0, 1.0)
    wide_low, wide_high = range_with_headroom(tails(heavy), saturation=30.0)
    assert wide_high > high and wide_low < low
    assert range_with_headroom(tails(piled), saturation=30.0) == (0.0, 1.0)


def test_saturation_counts_for_more_where_rounding_averages_out() -> None:
    rng = np.random.default_rng(14)
    builder = GraphBuilder("pooled")
    x = builder.input("x", (1, 16, 16, 4))
    window = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    weights = builder.constant(rng.normal(size=(4, 1, 1, 4)), "w")
    a = builder.emit("conv2d", [x, weights], groups=1, clip_min=0.0, **window)
    pooled = builder.emit(
        "average_pool2d", [a], kernel=(16, 16), count_pads=(0, 0, 0, 0), divide=True, **{**window, "strides": (16, 16)}
    )
    graph = builder.output(builder.emit("reshape", [pooled], shape=(1, 4)))
    loud = rng.uniform(0.5, 2.0, size=(64, 1, 1, 1))
    samples = {"x": (loud * (1 + 0.01 * rng.normal(size=(64, 16, 16, 4)))).astype(np.float32)}
    weigh = saturation_weights(graph, samples, [a, pooled])
    assert weigh[a] > 3 * weigh[pooled] >= 3


def test_tails_over_batches_are_the_extreme_values() -> None:
    rng = np.random.default_rng(12)
    graph = separable_network(rng)
    samples = {"x": rng.normal(size=(60, 8, 8, 3)).astype(np.float32)}
    output = graph.outputs[0]
    tails = observe_tails(graph, samples, [output])[output]
    ordered = np.sort(evaluate(graph, samples)[output].reshape(-1).astype(np.float64))
    assert np.allclose(tails.high, ordered[::-1][: len(tails.high)])
    assert np.allclose(tails.low, ordered[: len(tails.low)])


def test_range_search_takes_a_finer_step_where_the_end_of_the_range_does_not_matter() -> None:
    builder = GraphBuilder("clipped")
    x = builder.input("x", (1, 8))
    graph = builder.output(builder.emit("fully_connected", [x, builder.constant(np.eye(8), "w")], clip_max=0.8))
    rng = np.random.default_rng(13)
    samples = {"x": rng.uniform(-1.0, 2.0, size=(300, 8)).astype(np.float32)}
    start = quant_params(-1.0, 2.0)
    found = search_ranges(graph, samples, {"x": start}, ["x"])["x"]
    assert float(found.scale) < float(start.scale)
    assert float(found.scale) >= 0.9 * float(start.scale) - 1e-12


def test_range_search_judges_a_softmax_by_its_logits() -> None:
    builder = GraphBuilder("classes")
    x = builder.input("x", (1, 4))
    logits = builder.emit("fully_connected", [x, builder.constant(np.eye(4), "w")])
    graph = builder.output(builder.emit("reshape", [builder.emit("softmax", [logits])], shape=(1, 2, 2)))
    assert goal_tensors(graph) == [logits]


@pytest.mark.parametrize(("op", "groups"), [("conv2d", 1), ("conv2d", 2), ("depthwise_conv2d", 4)])
def test_input_rows_times_weights_are_the_layer(op: str, groups: int) -> None:
    rng = np.random.default_rng(14)
    builder = GraphBuilder("layer")
    x = builder.input("x", (1, 7, 6, 4))
    weights = rng.normal(size=(8, 3, 3, 4 // groups)).astype(np.float32)
    attrs: dict[str, Any] = {"strides": (2, 1), "dilations": (1, 2), "pads": (1, 2, 1, 2)}
    attrs |= {"groups": groups} if op == "conv2d" else {}
    graph = builder.output(builder.emit(op, [x, builder.constant(weights, "w")], **attrs))
    values = rng.normal(size=(3, 7, 6, 4)).astype(np.float32)
    wanted = evaluate(graph, {"x": values})[graph.outputs[0]]
    positions = sample_positions(wanted.size // 8, 9, limit=10**6, seed=0)
    node = graph.nodes[0]
    rows = input_rows(node, values, weights, positions).astype(np.float64)
    products = rows @ weight_matrix(node, weights).transpose(0, 2, 1)
    assert np.allclose(products.transpose(1, 0, 2).reshape(wanted.shape), wanted, atol=1e-4)


def test_sampled_positions_are_sorted_distinct_and_repeatable() -> None:
    first, second = (sample_positions(100_000, 100, limit=300_000, seed=3) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(first) == 3000 and np.all(np.diff(first) > 0)


@pytest.mark.parametrize("name", observer_names())
def test_observers_stay_within_what_was_seen(name: str) -> None:
    rng = np.random.default_rng(15)
    values = rng.normal(size=20_000)
    counts, edges = np.histogram(values, bins=2048)
    low, high = observer(name)(Histogram(float(edges[0]), float(edges[-1]), counts))
    assert edges[0] <= low < -1.5 and 1.5 < high <= edges[-1]


def test_percentile_and_mse_cut_an_outlier_that_minmax_keeps() -> None:
    values = np.concatenate([np.random.default_rng(16).normal(size=100_000), [1000.0]])
    counts, edges = np.histogram(values, bins=2048)
    histogram = Histogram(float(edges[0]), float(edges[-1]), counts)
    highs = {name: observer(name)(histogram)[1] for name in ("minmax", "percentile", "mse")}
    assert highs["minmax"] == 1000.0
    assert highs["percentile"] < 20 and highs["mse"] < 1000


def test_unknown_observer_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="entropy, minmax, mse, percentile"):
        observer("best")

"""What quantization did to every layer: against values computed by hand, through equalization, pruning, and imported models."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import mcugen
from mcugen.channel_map import ChannelMap, channel_maps_text, read_channel_maps
from mcugen.errors import UnsupportedModel
from mcugen.execute import evaluate, reference
from mcugen.graph import Graph
from mcugen.layer_fidelity import LayerStudy, study_layers
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import Quantized, quantize
from mcugen.sqnr import sqnr_db
from tests.quantize.test_methods import separable_network

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "quantized"))


def images(seed: int, count: int = 70) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(count, 8, 8, 3)).astype(np.float32)}


def study(quantized: Quantized, samples: dict[str, np.ndarray]) -> LayerStudy:
    return study_layers(quantized.float_graph, quantized.graph, quantized.channels, samples)


def test_equalized_channels_are_compared_in_the_models_units() -> None:
    graph, samples = separable_network(np.random.default_rng(20)), images(2)
    quantized = quantize(graph, images(1))
    assert any(found.exponents.any() for found in quantized.channels.values())
    result = study(quantized, samples)
    assert [layer.op for layer in result.layers] == [
        "input", "conv2d", "depthwise_conv2d", "conv2d", "add", "max_pool2d", "fully_connected"
    ]  # fmt: skip
    for layer in result.layers[1:]:
        assert layer.alone_db > 25 and layer.accumulated_db > 25
        assert len(layer.worst) == 3 and 0 < layer.worst[0].noise_share <= 1
        assert layer.worst[0].noise_share >= layer.worst[1].noise_share
        assert 0.5 < layer.range_use <= 1 and layer.saturated < 0.02
    wanted = evaluate(graph, samples)[graph.outputs[0]]
    integers = {"x": quantized.graph.tensors["x"].quant.quantize(samples["x"])}
    given = reference(quantized.graph, integers)[graph.outputs[0]]
    real = quantized.graph.tensors[graph.outputs[0]].quant.dequantize(given)
    assert result.layers[-1].accumulated_db == pytest.approx(sqnr_db(wanted, real), abs=1e-6)
    assert result.output_db == pytest.approx(sqnr_db(wanted, real), abs=1e-6)


def test_without_the_record_of_channels_equalized_layers_look_wrong() -> None:
    quantized = quantize(separable_network(np.random.default_rng(20)), images(1))
    blind = study_layers(quantized.float_graph, quantized.graph, {}, images(2))
    assert min(layer.accumulated_db for layer in blind.layers) < 15


def narrow() -> Graph:
    """A layer whose third output hardly ever is as large as on one sample, read by a sum of all."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder("narrow")
    x = builder.input("x", (1, 8))
    h = builder.emit("fully_connected", [x, builder.constant(rng.normal(size=(6, 8)), "w")], clip_min=0.0)
    return builder.output(builder.emit("fully_connected", [h, builder.constant(rng.normal(size=(3, 6)), "v")]))


def test_saturation_range_and_the_layer_that_needs_more_bits() -> None:
    graph = narrow()
    rng = np.random.default_rng(4)
    calibration = {"x": rng.normal(size=(200, 8)).astype(np.float32)}
    far = {"x": 3 * rng.normal(size=(50, 8)).astype(np.float32)}
    near = {"x": 0.1 * rng.normal(size=(50, 8)).astype(np.float32)}
    quantized = quantize(graph, calibration)
    beyond, within = study(quantized, far), study(quantized, near)
    assert all(layer.saturated > 0.005 for layer in beyond.layers)
    assert all(layer.range_use > 0.9 for layer in beyond.layers)
    assert all(layer.saturated == 0 and layer.range_use < 0.4 for layer in within.layers)
    assert beyond.most_sensitive is not None
    worst = min(beyond.layers, key=lambda layer: layer.output_db)
    assert worst.name.startswith(beyond.most_sensitive)
    assert beyond.output_db + 0.5 < beyond.expected_db


def test_removed_channels_are_left_out() -> None:
    rng = np.random.default_rng(5)
    builder = GraphBuilder("dead")
    x = builder.input("x", (1, 6))
    weights = rng.normal(size=(5, 6))
    weights[2] = 0
    h = builder.emit("fully_connected", [x, builder.constant(weights, "w")], clip_min=0.0)
    graph = builder.output(builder.emit("fully_connected", [h, builder.constant(rng.normal(size=(3, 5)), "v")]))
    samples = {"x": rng.normal(size=(60, 6)).astype(np.float32)}
    quantized = quantize(graph, samples)
    kept = quantized.channels[graph.nodes[0].outputs[0]].index
    assert list(kept) == [0, 1, 3, 4]
    layer = study(quantized, samples).layers[1]
    assert layer.accumulated_db > 30 and all(worst.channel in kept for worst in layer.worst)


def test_pruned_channels_are_compared_with_the_model_as_it_was() -> None:
    graph = separable_network(np.random.default_rng(20))
    samples = images(1)
    pruned = mcugen.prune(graph, samples, channels=0.5)
    quantized = mcugen.quantize(pruned, samples)
    result = study(quantized, samples)
    assert len(result.layers) == 7
    assert all(len(found.index) < 6 for name, found in quantized.channels.items() if name != graph.outputs[0])
    assert result.layers[-1].accumulated_db < study(quantize(graph, samples), samples).layers[-1].accumulated_db


def test_a_graph_that_takes_one_sample_at_a_time() -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("moved")
    turned = builder.emit("transpose", [builder.input("x", (1, 4, 6))], perm=(1, 0, 2))
    y = builder.emit("fully_connected", [turned, builder.constant(rng.normal(size=(5, 6)), "w")])
    graph = builder.output(builder.emit("transpose", [y], perm=(1, 0, 2)))
    samples = {"x": rng.normal(size=(12, 4, 6)).astype(np.float32)}
    result = study(quantize(graph, samples), samples)
    assert [layer.op for layer in result.layers] == ["input", "fully_connected"]
    assert result.layers[1].accumulated_db > 30


def test_imported_models_keep_their_tensors(tmp_path: Path) -> None:
    from onnx_models import load
    from test_qdq import conv_relu

    model = conv_relu("uint8", 3, channels=True, output_zero=0)
    graph = load(model.save(tmp_path / "model.onnx"))
    quantized = quantize(graph)
    result = study(quantized, dict(quantized.samples))
    assert quantized.channels == {}
    assert [layer.op for layer in result.layers] == ["input", "conv2d", "max_pool2d"]
    given, layer, _ = result.layers
    assert given.alone_db > 100
    assert layer.saturated > 0.2, "the model's scale is far too small for its values"
    assert layer.accumulated_db == pytest.approx(layer.alone_db, abs=1e-3) and layer.range_use == 1


def test_the_record_of_channels_survives_its_file() -> None:
    maps = {"h": ChannelMap(np.array([0, 2, 3]), np.array([0, -5, 33]))}
    read = read_channel_maps(channel_maps_text(maps), "channels.json")["h"]
    assert list(read.index) == [0, 2, 3] and list(read.exponents) == [0, -5, 33]
    values = np.arange(8.0).reshape(2, 4)
    assert np.allclose(read.back(read.forth(values), -values), [[0, -1, 2, 3], [4, -5, 6, 7]])
    with pytest.raises(UnsupportedModel, match="build the folder again"):
        read_channel_maps('{"schema": 1}', "channels.json")
    with pytest.raises(UnsupportedModel, match="another version"):
        read_channel_maps(json.dumps({"schema": 99}), "channels.json")

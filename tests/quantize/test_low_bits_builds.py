"""Small models with weights in fewer bits, built whole: verified on the host, run on emulated cores, smaller than in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugen
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.fully_connected import fully_connected_layer
from mcugen.ops.packed_weights import packed_lowerings, stored_format
from mcugen.package import Package
from mcugen.pipeline import Quantized, compile_model
from mcugen.pipeline import quantize as quantize_with
from mcugen.quantize.ablation import measure
from mcugen.quantize.precision import choose_precision
from mcugen.targets import load_target
from mcugen.weight_format import WEIGHT_FORMATS, weight_bytes
from tests.quantize.test_methods import separable_network


def autoencoder() -> tuple[Graph, dict[str, np.ndarray]]:
    """A dense autoencoder over correlated values."""
    rng = np.random.default_rng(50)
    builder = GraphBuilder("autoencoder")
    name = builder.input("x", (1, 96))
    for width, depth in ((48, 96), (8, 48), (48, 8)):
        weights = rng.normal(size=(width, depth)) * np.sqrt(2 / depth)
        name = builder.emit("fully_connected", [name, builder.constant(weights, "w")], clip_min=0.0)
    graph = builder.output(
        builder.emit("fully_connected", [name, builder.constant(rng.normal(size=(96, 48)) / 5, "v")])
    )
    return graph, {"x": (rng.normal(size=(300, 5)) @ rng.normal(size=(5, 96))).astype(np.float32)}


def network() -> tuple[Graph, dict[str, np.ndarray]]:
    """Convolutions, plain, depthwise and pointwise, and a classifier."""
    rng = np.random.default_rng(20)
    return separable_network(rng), {"x": rng.normal(size=(40, 8, 8, 3)).astype(np.float32)}


BUILDS = [(make, word) for make in (autoencoder, network) for word in WEIGHT_FORMATS]
BUILDS += [(autoencoder, "int16+int4"), (network, "int16+codebook"), (network, "int16+codebook256")]


def quantized(made: tuple[Graph, dict[str, np.ndarray]], word: str, **layers: str) -> Quantized:
    graph, samples = made
    return quantize_with(graph, samples, precision=choose_precision(graph, word, layers))


def built(quantized: Quantized, folder: Path, **options: Any) -> Package:
    return compile_model(quantized, **options).write(folder)


@pytest.mark.parametrize(("make", "word"), BUILDS)
def test_builds_are_bit_exact_on_every_core(make: Any, word: str, tmp_path: Path) -> None:
    package = built(quantized(make(), word), tmp_path / "package")
    assert mcugen.verify(package).outputs_compared > 0
    for core in ("cortex-m4", "cortex-m0"):
        assert mcugen.simulate(package, core, vectors=2).vectors == 2
    stored = [layer for layer in package.report["layers"] if "weights" in layer]
    assert stored and {layer["weights"] for layer in stored} == {word.removeprefix("int16+")}
    for layer in stored:
        assert layer["weight_bytes"] <= layer["constants"]


def test_four_bits_halve_the_weights_and_keep_the_signal(tmp_path: Path) -> None:
    made = autoencoder()
    sizes, fidelity = {}, {}
    for word in ("int8", "int4", "codebook"):
        model = quantized(made, word)
        package = built(model, tmp_path / word, target="cortex-m4")
        sizes[word] = sum(layer["constants"] for layer in package.report["layers"])
        fidelity[word] = measure(made[0], model.graph, made[1]).output_db
    assert sizes["int4"] < 0.62 * sizes["int8"]
    assert sizes["codebook"] < 0.66 * sizes["int8"]
    assert fidelity["codebook"] > fidelity["int4"] > 20


def test_layers_may_differ(tmp_path: Path) -> None:
    made = autoencoder()
    first, second = (node.name for node in made[0].nodes[:2])
    package = built(quantized(made, "int4", **{first: "pow2", second: "int8"}), tmp_path / "package")
    assert [layer.get("weights") for layer in package.report["layers"]] == ["pow2", None, "int4", "int4"]
    assert package.report["precision"]


def test_weights_that_left_their_groups_are_stored_in_int8() -> None:
    model = quantized(autoencoder(), "int4x32")
    node = model.graph.nodes[0]
    graph = model.graph.copy()
    weights = graph.constant(node.inputs[1]).copy()
    assert stored_format(node, graph) == "int4x32"
    weights[:, ::2], weights[:, 1::2] = weights[:, 48:], weights[:, :48].copy()
    name = graph.add_constant("moved", weights)
    graph.nodes[0] = moved = node.__class__(
        node.op, node.name, (node.inputs[0], name, *node.inputs[2:]), node.outputs, node.attrs
    )
    layer = fully_connected_layer(moved, graph)
    target = load_target("cortex-m4")
    assert stored_format(moved, graph) is None
    plain = quantized(autoencoder(), "int8")
    call = compile_model(plain, target=target).program.steps[0].call
    assert packed_lowerings("fully_connected", layer, call, target) == []


def test_weight_bytes_tell_what_a_format_takes() -> None:
    assert weight_bytes((10, 100), "int8") == 1000
    assert weight_bytes((10, 100), "int4") == 500
    assert weight_bytes((10, 100), "int4x32") == 500 + 40
    assert weight_bytes((10, 100), "codebook") == 500 + 16
    assert weight_bytes((10, 100), "codebook256") == 1000 + 512
    assert weight_bytes((3, 3), "pow2") == 5

"""Whole models in mixed precision: random networks with random int16 tensors, C against the reference, and its API."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strict import WARNINGS

from mcugen import verbs
from mcugen.execute import evaluate, reference
from mcugen.fixed_point import INT32_LIMIT
from mcugen.graph import Graph
from mcugen.ops.weighted import accumulator_bound
from mcugen.passes.remove_dead_channels import dead_channel_report, remove_dead_channels
from mcugen.pipeline import Quantized, compile_model, quantize
from mcugen.plan.schedule import Goal
from mcugen.quantize.precision import Precision, choose_precision, int16_tensors
from mcugen.quantize.quantizer import quantize_graph
from mcugen.verification import prove, verification_vectors

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))
from random_graphs import Web
from random_networks import SAME, Layers

SHAPE = (1, 6, 5, 3)
STRICT = ("-std=c99", *WARNINGS)


def samples(seed: int, shape: tuple[int, ...] = SHAPE) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(8, *shape[1:])).astype(np.float32)}


def network() -> Graph:
    """Convolutions, a residual sum, a depthwise layer, a pool, a table, a fully connected layer and a softmax."""
    layers = Layers(np.random.default_rng(1), (1, 8, 8, 4), dead=False)
    first = layers.weighted("conv2d", layers.x, (8, 3, 3, 4), groups=1, **SAME)
    second = layers.weighted("conv2d", first, (8, 3, 3, 8), groups=1, **SAME)
    total = layers.builder.emit("add", [first, second], subtract=False)
    deep = layers.weighted("depthwise_conv2d", total, (8, 3, 3, 1), **(SAME | {"strides": (2, 2)}))
    tanh = layers.builder.emit("table", [deep], function="Tanh")
    wave = layers.builder.emit("table", [tanh], function="ThresholdedRelu", alpha=0.05)
    pool = layers.builder.emit("max_pool2d", [wave], kernel=(2, 2), minimum=False, **(SAME | {"pads": (0, 0, 0, 0)}))
    flat = layers.builder.emit("reshape", [pool], shape=(1, 72))
    weights = layers.builder.constant(layers.rng.normal(size=(6, 72)) / 8, "dense")
    logits = layers.builder.emit("fully_connected", [flat, weights])
    return layers.builder.output(layers.builder.emit("softmax", [logits]), logits)


def mixed(graph: Graph, seed: int) -> Precision:
    rng = np.random.default_rng(seed)
    return Precision({name: "int16" for name in graph.activations() if rng.random() < 0.6})


def noise(graph: Graph, model: Quantized, given: dict[str, np.ndarray], name: str) -> float:
    integers = {n: model.graph.tensors[n].quant.quantize(given[n]) for n in graph.inputs}
    got = model.graph.tensors[name].quant.dequantize(reference(model.graph, integers)[name])
    return float(((got - evaluate(graph, given)[name]) ** 2).sum())


@pytest.mark.parametrize(("seed", "goal"), [(3, "balanced"), (4, "speed"), (5, "ram")])
def test_random_graphs_in_random_precision(seed: int, goal: str, tmp_path: Path) -> None:
    graph = Web(np.random.default_rng(seed), SHAPE).finished(16)
    precision = mixed(graph, seed)
    model = quantize(graph, samples(seed), effort="fast", precision=precision)
    kinds = {t.dtype for t in model.graph.tensors.values() if t.data is None}
    assert kinds == {"int8", "int16"}
    package = compile_model(model, target="cortex-m", goal=Goal(goal), name="web").write(tmp_path / "web")
    vectors = verification_vectors(package.graph, package.vectors)
    assert prove(package, vectors, layers=True).layers_compared > 0


def test_a_model_of_many_operators_on_the_core(tmp_path: Path) -> None:
    graph, data = network(), samples(1, (1, 8, 8, 4))
    precision = choose_precision(graph, "int16")
    model = quantize(graph, data, effort="fast", precision=precision)
    int16 = int16_tensors(graph, precision)
    tanh, steps = (node for node in graph.nodes if node.op == "table")
    assert tanh.inputs[0] in int16 and not int16.intersection((*steps.inputs, *steps.outputs))
    assert graph.outputs[1] in int16 and graph.outputs[0] not in int16
    package = compile_model(model, target="cortex-m4", name="net").write(tmp_path / "net")
    assert verbs.simulate(package, vectors=3).cycles
    assert noise(graph, model, data, graph.outputs[1]) < noise(
        graph, quantize(graph, data, effort="fast"), data, graph.outputs[1]
    )


def test_the_api_in_c(tmp_path: Path) -> None:
    """int16 pointers, helpers that convert from and to float, the call with the caller's buffers, and the self-test."""
    graph, data = network(), samples(1, (1, 8, 8, 4))
    model = quantize(graph, data, effort="fast", precision=choose_precision(graph, "int16"))
    package = compile_model(model, target="host", name="net").write(tmp_path / "net")
    source = tmp_path / "net/src"
    (tmp_path / "main.c").write_text(
        """#include <stdio.h>
#include "net.h"
static struct net_arena arena;
int main(void)
{
    static int16_t in[NET_INPUT_SIZE], logits[NET_OUTPUT_1_SIZE];
    static int8_t out[NET_OUTPUT_0_SIZE];
    for (int i = 0; i < NET_INPUT_SIZE; ++i) {
        in[i] = net_quantize_input((float)(i % 7) * 0.25f - 0.75f);
        net_input(&arena)[i] = in[i];
    }
    if (net_invoke(&arena, in, out, logits) != 0) {
        return 1;
    }
    for (int i = 0; i < NET_OUTPUT_1_SIZE; ++i) {
        printf("%.9g\\n", (double)net_dequantize_output_1(logits[i]));
    }
    return net_quantize_input(1e9f) == 32767 && net_quantize_input(-1e9f) == -32768 ? 0 : 2;
}
"""
    )
    files = [str(tmp_path / "main.c"), *map(str, sorted(source.glob("*.c")))]
    subprocess.run(["gcc", *STRICT, f"-I{source}", *files, "-o", str(tmp_path / "main")], check=True)
    done = subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    x = ((np.arange(256) % 7) * 0.25 - 0.75).astype(np.float32).reshape(1, 8, 8, 4)
    wanted = evaluate(graph, {"x": x})[graph.outputs[1]].reshape(-1)
    got = np.array([float(line) for line in done.stdout.split()])
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()
    check = [str(package.folder / "test/net_selftest.c"), *map(str, sorted(source.glob("*.c")))]
    subprocess.run(["gcc", *STRICT, *check, "-o", str(tmp_path / "selftest")], check=True)
    assert (
        "all outputs equal"
        in subprocess.run([tmp_path / "selftest"], capture_output=True, text=True, check=True).stdout
    )


def test_accumulators_of_int16_stay_in_32_bits() -> None:
    """A row of 800 equal weights reaches 800 * 127 * 32,768 as they are: they take fewer bits."""
    layers = Layers(np.random.default_rng(2), (1, 800), dead=False)
    weights = layers.builder.constant(np.full((2, 800), 0.5), "w")
    graph = layers.builder.output(layers.builder.emit("fully_connected", [layers.x, weights]))
    model = quantize(graph, samples(2, (1, 800)), effort="fast", precision=choose_precision(graph, "int16"))
    node = model.graph.nodes[0]
    weights, bias = (model.graph.constant(name) for name in node.inputs[1:3])
    quant = model.graph.tensors[node.inputs[0]].quant
    assert quant.dtype == "int16" and accumulator_bound(weights, bias, quant).max() < INT32_LIMIT
    assert np.abs(weights).max() >= 16


def test_layers_that_int16_makes_coarser_are_told() -> None:
    """Of 800 equal weights that fill int8, 80 of 127 steps are left; in 4 bits, and in another row of small weights, all."""
    layers = Layers(np.random.default_rng(2), (1, 800), dead=False)
    values = np.full((2, 800), 0.5)
    values[1, 1:] = 0.001
    graph = layers.builder.output(
        layers.builder.emit("fully_connected", [layers.x, layers.builder.constant(values, "w")])
    )
    data = samples(2, (1, 800))
    wide, plain, packed = (
        quantize(graph, data, effort="fast", precision=choose_precision(graph, word)).notes
        for word in ("int16", "int8", "int16+int4")
    )
    assert not plain and not packed
    assert len(wide) == 1 and "weights of 1 of 2 output channels have larger steps, up to 1.5" in wide[0]
    assert "bits less" in wide[0] and f"'{graph.nodes[0].name}'" in wide[0]


def test_a_run_of_the_command_line(tmp_path: Path) -> None:
    tabular = Path(__file__).parents[2] / "examples/tabular"
    command = [
        sys.executable,
        "-m",
        "mcugen",
        "build",
        str(tabular / "tabular.onnx"),
        "-o",
        str(tmp_path / "out"),
        "--json",
    ]
    options = [
        "--calibrate",
        str(tabular / "calib.npz"),
        "--precision",
        "int16",
        "--effort",
        "fast",
        "--target",
        "cortex-m4",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"precision": "int16"' in done.stdout and '"output": "int16"' in done.stdout


def test_dead_channels_of_int16_go_and_leave_every_value() -> None:
    """A channel that saturates to a constant and one without weights, in int16, folded into the layer behind."""
    rng = np.random.default_rng(6)
    removed = 0
    for seed in range(4):
        layers = Layers(np.random.default_rng(seed), SHAPE, dead=True)
        x = layers.conv(layers.x, 8)
        for width in (8, 6):
            x = layers.conv(x, width)
        graph = layers.builder.output(x)
        data = samples(seed)
        model = quantize_graph(graph, data, effort="fast", precision=choose_precision(graph, "int16"))
        smaller = remove_dead_channels(model.graph)
        removed += dead_channel_report(model.graph, smaller).channels_removed
        x_q = rng.integers(-32768, 32768, (8, *SHAPE[1:])).astype(np.int16)
        before, after = (reference(g, {"x": x_q})[graph.outputs[0]] for g in (model.graph, smaller))
        assert before.dtype == np.int16
        np.testing.assert_array_equal(before, after)
    assert removed > 0

"""A mix of precisions: within its limits, better than int8, and as good as what was expected of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mcugen.auto_precision import Limits, choose_automatically, program_flash
from mcugen.config import parse_max_cycles
from mcugen.errors import DoesNotFit, McugenError
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import compile_model, quantize
from mcugen.plan.schedule import Goal
from mcugen.quantize.ablation import measure
from mcugen.quantize.precision import Precision
from mcugen.quantize.quantizer import quantize_graph
from mcugen.quantize.sensitivity import measure_sensitivity
from mcugen.targets import Target, load_target
from tests.quantize.test_methods import separable_network

SIZES = (40, 96, 48, 10)


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target("cortex-m4")


def images(seed: int, count: int = 60) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(count, 8, 8, 3)).astype(np.float32)}


def dense_network() -> Graph:
    rng = np.random.default_rng(30)
    builder = GraphBuilder("dense")
    name = builder.input("x", (1, SIZES[0]))
    for i, (before, after) in enumerate(pairwise(SIZES)):
        weights = builder.constant(rng.normal(size=(after, before)) / np.sqrt(before), "w")
        bias = builder.constant(rng.normal(size=after) / 4, "b")
        clip = {"clip_min": 0.0} if i < 2 else {}
        name = builder.emit("fully_connected", [name, weights, bias], **clip)
    return builder.output(name)


def rows(seed: int, count: int = 100) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(seed).normal(size=(count, SIZES[0])).astype(np.float32)}


def test_int16_is_spent_where_it_gains_most_within_the_cycles(target: Target) -> None:
    graph = separable_network(np.random.default_rng(20))
    found = choose_automatically(graph, images(1), Limits(Goal(), max_cycles="1.8x"), target=target, effort="fast")
    facts = found.facts
    int8, chosen = facts["int8"], facts["chosen"]
    assert chosen["int16"] and set(chosen["int16"]) == set(found.precision.activations)
    assert facts["cycle_limit"] == pytest.approx(1.8 * int8["cycles"], abs=1)
    assert chosen["cycles"] <= facts["cycle_limit"]
    assert chosen["sqnr_db"] > int8["sqnr_db"] + 2
    dbs = [source["sqnr_db"] for source in facts["sensitivity"] if source["sqnr_db"] is not None]
    assert dbs == sorted(dbs) and {"x"} < {source["source"] for source in facts["sensitivity"]}
    gains = [step["expected_db"] for step in facts["curve"]]
    assert gains == sorted(gains)
    quantized = quantize(graph, images(1), effort="fast", precision=found.precision)
    compiled = compile_model(quantized, target=target)
    assert sum(layer["estimated_cycles"] for layer in compiled.report["layers"]) == pytest.approx(
        chosen["cycles"], rel=0.01
    )
    plain = quantize(graph, images(1), effort="fast")
    unseen = images(2)
    assert measure(graph, quantized.graph, unseen).output_db > measure(graph, plain.graph, unseen).output_db + 2


def test_noises_of_single_roundings_add_up_to_that_of_all() -> None:
    graph = separable_network(np.random.default_rng(20))
    model = quantize_graph(graph, images(1))
    names = [name for name in model.source.activations() if name != model.source.nodes[-2].outputs[0]]
    noise = measure_sensitivity(model.source, model.activations, {"int8": model.weights}, names, images(1))
    expected = 10 * np.log10(noise.signal / (sum(noise.tensors.values()) + sum(noise.weights.values())))
    assert measure(graph, model.graph, images(1)).output_db == pytest.approx(expected, abs=2.5)


def test_weights_are_packed_until_the_flash_is_kept(target: Target) -> None:
    graph, samples = dense_network(), rows(1)
    limit = 8800
    found = choose_automatically(
        graph, samples, Limits(Goal(flash=limit), max_cycles="4x"), target=target, effort="fast"
    )
    chosen = found.facts["chosen"]
    assert chosen["flash"] <= limit < found.facts["int8"]["flash"] and found.precision.weights
    quantized = quantize(graph, samples, effort="fast", precision=found.precision)
    compiled = compile_model(quantized, target=target, goal=Goal(flash=limit))
    assert program_flash(compiled.program) <= limit
    everything = Precision({}, {node.name: "int4" for node in graph.nodes})
    least = quantize(graph, samples, effort="fast", precision=everything)
    unseen = rows(2)
    assert measure(graph, quantized.graph, unseen).output_db > measure(graph, least.graph, unseen).output_db


def test_flash_that_no_mix_keeps_is_refused(target: Target) -> None:
    graph = separable_network(np.random.default_rng(20))
    with pytest.raises(DoesNotFit, match="no mix of precisions keeps the limits"):
        choose_automatically(graph, images(1, 10), Limits(Goal(flash=500)), target=target, effort="fast")


def test_ram_keeps_large_tensors_in_int8(target: Target) -> None:
    graph = separable_network(np.random.default_rng(20))
    free = choose_automatically(graph, images(1), Limits(Goal(), max_cycles="3x"), target=target, effort="fast").facts
    limit = (free["int8"]["ram"] + free["chosen"]["ram"]) // 2
    tight = Limits(Goal(ram=limit), max_cycles="3x")
    chosen = choose_automatically(graph, images(1), tight, target=target, effort="fast").facts["chosen"]
    assert chosen["int16"] and chosen["ram"] <= limit < free["chosen"]["ram"]
    assert free["int8"]["sqnr_db"] <= chosen["sqnr_db"] <= free["chosen"]["sqnr_db"]


@pytest.mark.parametrize("labelled", [False, True])
def test_loss_is_kept(target: Target, labelled: bool) -> None:
    graph, samples = dense_network(), rows(1)
    labels = None
    if labelled:
        from mcugen.execute import evaluate

        labels = evaluate(graph, samples)[graph.outputs[0]].argmax(axis=1)
    allowed = 8.0 if labelled else 1.0
    limits = Limits(Goal(), max_loss=allowed, max_cycles="4x")
    facts = choose_automatically(graph, samples, limits, target=target, labels=labels, effort="fast").facts
    int8, chosen = facts["int8"], facts["chosen"]
    if labelled:
        assert chosen["weights"] and chosen["top1_points_lost"] <= 8.0
    else:
        assert chosen["top1_points_lost"] is None and chosen["sqnr_db"] >= int8["sqnr_db"] - 1.0
    assert chosen["flash"] <= int8["flash"] + 2000


def test_what_is_chosen_by_hand_stays(target: Target) -> None:
    graph = dense_network()
    first = graph.nodes[0].name
    base = Precision({}, {first: "int4"})
    found = choose_automatically(graph, rows(1), Limits(Goal()), target=target, effort="fast", base=base)
    assert found.precision.weights == {first: "int4"}
    assert "x" in found.precision.activations


def test_a_graph_that_takes_one_sample_at_a_time_is_refused(target: Target) -> None:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("moved")
    turned = builder.emit("transpose", [builder.input("x", (1, 4, 6))], perm=(1, 0, 2))
    y = builder.emit("fully_connected", [turned, builder.constant(rng.normal(size=(5, 6)), "w")])
    graph = builder.output(builder.emit("transpose", [y], perm=(1, 0, 2)))
    samples = {"x": rng.normal(size=(12, 4, 6)).astype(np.float32)}
    with pytest.raises(McugenError, match="cannot be searched"):
        choose_automatically(graph, samples, Limits(Goal()), target=target)


def test_limits_of_cycles() -> None:
    assert [parse_max_cycles(text) for text in ("1.2x", "5M", 800)] == ["1.2x", 5_000_000, 800]
    with pytest.raises(ValueError, match="neither a ratio"):
        parse_max_cycles("x")
    assert Limits(Goal(), max_cycles="1.5x").cycles(100) == 150
    assert Limits(Goal(cycles=130), max_cycles="1.5x").cycles(100) == 130
    assert Limits(Goal(cycles=500)).cycles(100) == 500
    assert Limits(Goal()).cycles(100) == pytest.approx(120)


def test_the_command(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from mcugen.cli import main

    source = Path(__file__).parents[1] / "examples/tabular"
    arguments = ["build", str(source / "tabular.onnx"), "--target", "cortex-m4", "--output", str(tmp_path / "tabular")]
    data = ["--calibrate", str(source / "calib.npz")]
    done = CliRunner().invoke(
        main, [*arguments, *data, "--precision", "auto", "--max-cycles", "1.2x", "--effort", "fast"]
    )
    assert done.exit_code == 0, done.output
    assert "dB on the calibration data" in done.stdout and "bit-exact" in done.stdout
    shown = CliRunner().invoke(main, ["inspect", str(tmp_path / "tabular")])
    assert "source of noise" in shown.stdout and "expected dB" in shown.stdout
    assert "calibration data" in CliRunner().invoke(main, [*arguments, "--precision", "auto"]).stderr
    refused = CliRunner().invoke(main, [*arguments, *data, "--max-cycles", "2x"])
    assert refused.exit_code == 1 and "limits of `--precision auto`" in refused.stderr

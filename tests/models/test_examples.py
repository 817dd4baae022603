"""Whole models on every core: the examples, and any ONNX file in the folder that MCUGEN_MODELS names."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from mcugen import pipeline
from mcugen.bench import find_calibration
from mcugen.pipeline import Quantized
from mcugen.plan.schedule import Goal
from mcugen.quantize.calibration import load_samples
from mcugen.run.host import HostModel
from mcugen.simulation import core_of, simulate_package
from mcugen.verification import verification_vectors, verify_package

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / f"examples/{name}/{name}.onnx" for name in ("digits", "motion", "tabular")]
OTHERS = sorted(Path(os.environ["MCUGEN_MODELS"]).rglob("*.onnx")) if "MCUGEN_MODELS" in os.environ else []
MODELS = [*EXAMPLES, *OTHERS]
IDS = [path.stem for path in MODELS]
CORES = ["cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "riscv32"]


@cache
def quantized(path: Path) -> Quantized:
    graph = pipeline.load(path)
    beside = find_calibration(path)
    samples = load_samples(graph, beside[0]) if beside else None
    return pipeline.quantize(graph, samples, effort="fast")


@pytest.mark.parametrize("goal", ["speed", "balanced", "size", "ram"])
@pytest.mark.parametrize("path", MODELS, ids=IDS)
def test_every_layer_on_the_host(path: Path, goal: str, tmp_path: Path) -> None:
    model = quantized(path)
    package = pipeline.compile_model(model, target="cortex-m4", goal=Goal(goal)).write(tmp_path / "out")
    few = {name: array[:16] for name, array in model.integer_samples.items()}
    ram = package.report["ram"]
    with HostModel(
        package.sources,
        package.includes,
        interface=package.interface,
        arena_size=ram["arena"],
        arena_align=ram["alignment"],
        trace=True,
    ) as host:
        result = verify_package(package, host, verification_vectors(package.graph, few), traced=host)
    assert result.layers_compared > 0


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("path", MODELS, ids=IDS)
def test_generic_build_on_an_emulated_core(path: Path, core: str, tmp_path: Path) -> None:
    generic = "cortex-m" if core.startswith("cortex") else core
    package = pipeline.compile_model(quantized(path), target=generic).write(tmp_path / "out")
    run = simulate_package(package, core_of(generic, core if core != generic else None), vectors=3)
    assert run.instructions > 0
    assert run.stack <= 768


@pytest.mark.parametrize("path", MODELS, ids=IDS)
def test_bits_do_not_depend_on_target_or_goal(path: Path) -> None:
    model = quantized(path)
    programs = [
        pipeline.compile_model(model, target=target, goal=Goal(goal))
        for target in ("cortex-m", "cortex-m0plus", "riscv32")
        for goal in ("speed", "size")
    ]
    golden = {next(text for name, text in p.files.items() if name.endswith("_golden.h")) for p in programs}
    assert len(golden) == 1

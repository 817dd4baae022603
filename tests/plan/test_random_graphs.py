"""Random graphs planned, proved by the independent checker (which every plan passes), and run as C, bit for bit."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mcugen.graph import Graph
from mcugen.package import Package
from mcugen.pipeline import Quantized, compile_model, quantize
from mcugen.plan.layout import lay_out
from mcugen.plan.schedule import Goal, choose_kernels, ordered
from mcugen.plan.select import alternatives
from mcugen.run.host import HostModel
from mcugen.targets import load_target
from mcugen.verification import verification_vectors, verify_package

sys.path.insert(0, str(Path(__file__).parent))
from random_graphs import Web

SHAPE = (1, 6, 5, 3)
LARGE = 500
PLANNING_SECONDS = 2.0
SLOWER_MACHINE = 4.0
"""Processor time is measured beside other work, under coverage and on slow machines; the limit is for an ordinary one."""


def quantized(graph: Graph, seed: int) -> Quantized:
    samples = np.random.default_rng(seed).normal(size=(4, *SHAPE[1:])).astype(np.float32)
    return quantize(graph, {"x": samples}, effort="fast")


def on_host(package: Package, feature: str) -> HostModel:
    ram = package.report["ram"]
    return HostModel(
        package.sources, package.includes, interface=package.interface, arena_size=ram["arena"],
        arena_align=ram["alignment"], defines=(f"MCUGEN_EMULATE_{feature}=1",), sanitize=True,
    )  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), nodes=st.integers(3, 28), goal=st.sampled_from(["ram", "balanced", "speed"]))
@settings(
    max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_any_graph_runs_as_planned(tmp_path_factory: pytest.TempPathFactory, seed: int, nodes: int, goal: str) -> None:
    model = quantized(Web(np.random.default_rng(seed), SHAPE).finished(nodes), seed)
    # the vectors' C twins take long to compile
    for target, feature in (("cortex-m4", "DSP"), ("cortex-m", "DSP" if seed % 4 else "MVE")):
        built = compile_model(model, target=target, goal=Goal(optimize=goal), name="web")
        assert built.program.lower_bound <= built.program.arena_size
        package = built.write(tmp_path_factory.mktemp("web") / "web")
        vectors = verification_vectors(package.graph, package.vectors)
        with on_host(package, feature) as host:
            assert verify_package(package, host, vectors).outputs_compared > 0


def test_a_large_graph_is_planned_in_seconds() -> None:
    model = quantized(Web(np.random.default_rng(5), SHAPE).finished(LARGE), 5)
    target = load_target("cortex-m4")
    choices, _ = choose_kernels(alternatives(model.graph, target), Goal())
    start = time.process_time()
    order = ordered(model.graph, choices)
    layout = lay_out(model.graph, order, target)
    spent = time.process_time() - start
    assert len(order) >= LARGE
    assert layout.plan.lower_bound <= layout.peak
    assert spent < PLANNING_SECONDS * SLOWER_MACHINE

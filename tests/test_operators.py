"""Every operator on its own cases: NumPy, host C, host C with emulated SIMD under the sanitizers, and emulated cores, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from strict import WARNINGS

from mcugen.execute import evaluate, reference
from mcugen.ops import operators
from mcugen.ops.operator import Case
from mcugen.package import Package
from mcugen.run.baremetal import link_bench
from mcugen.run.bench import run_vectors
from mcugen.run.emulator import unicorn_booter
from mcugen.run.host import HostModel
from mcugen.run.toolchain import find_cross_compiler
from mcugen.sqnr import sqnr_db
from mcugen.targets import load_target
from mcugen.verification import emulations, verification_vectors, verify_package

SAMPLES = 16
EMULATED_VECTORS = 6
STRICT = ("-O1", "-std=c99", *WARNINGS)


def all_cases() -> Iterator[tuple[str, Case]]:
    for name, op in operators().items():
        for case in op.cases():
            yield name, case


CASES = list(all_cases())
IDS = [f"{name}-{case.name}" for name, case in CASES]


def samples_of(case: Case) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    shapes = {name: case.graph.tensors[name].shape for name in case.graph.inputs}
    return {
        name: rng.uniform(case.low, case.high, (SAMPLES, *(s[1:] if s[:1] == (1,) else s))).astype(np.float32)
        for name, s in shapes.items()
    }


def host(package: Package, **options: object) -> HostModel:
    ram = package.report["ram"]
    return HostModel(
        package.sources,
        package.includes,
        interface=package.interface,
        arena_size=ram["arena"],
        arena_align=ram["alignment"],
        **options,  # type: ignore[arg-type]
    )


def test_every_operator_has_cases() -> None:
    assert {name for name, _ in CASES} == set(operators())


@pytest.mark.parametrize(("name", "case"), CASES, ids=IDS)
def test_operator(name: str, case: Case, build_package) -> None:
    samples = samples_of(case)
    package = build_package(case.graph, samples)
    graph = package.graph
    integers = {n: graph.tensors[n].quant.quantize(samples[n]) for n in graph.inputs}
    vectors = verification_vectors(graph, integers)

    rounded = {n: graph.tensors[n].quant.dequantize(integers[n]).astype(np.float32) for n in graph.inputs}
    wanted = evaluate(case.graph, rounded)
    got = reference(graph, integers)
    for output in case.graph.outputs:
        real = graph.tensors[output].quant.dequantize(got[output]).reshape(wanted[output].shape)
        step = float(graph.tensors[output].quant.scale)
        near = np.abs(real - wanted[output]).max() <= 4 * step
        assert near or sqnr_db(wanted[output], real) > 20, f"{output}: the integers are far from the float values"

    with host(package, flags=STRICT, trace=True) as model:
        assert verify_package(package, model, vectors, traced=model).outputs_compared > 0
    for defines in {("MCUGEN_EMULATE_DSP=1",), *emulations(package.report)} - {()}:
        with host(package, defines=defines, sanitize=True) as model:
            verify_package(package, model, vectors)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0"])
@pytest.mark.parametrize(("name", "case"), CASES, ids=IDS)
def test_operator_on_emulated_core(name: str, case: Case, core: str, build_package, tmp_path: Path) -> None:
    package = build_package(case.graph, samples_of(case))
    target = load_target("cortex-m").on_cpu(load_target(core))
    compiler = find_cross_compiler(target)
    assert target.unicorn is not None
    interface = package.interface
    program = link_bench(
        target,
        compiler,
        package.sources,
        package.includes,
        interface=interface,
        script=target.unicorn.script,
        out=tmp_path / "case.elf",
    )
    vectors = {n: a[-EMULATED_VECTORS:] for n, a in verification_vectors(package.graph, package.vectors).items()}
    rows = interface.pack([vectors[n].reshape(len(vectors[n]), -1).view(np.int8) for n in package.graph.inputs])
    outputs, costs, _ = run_vectors(unicorn_booter(program.image, target), program.image, interface, rows)
    expected = reference(package.graph, vectors)
    for got, output in zip(interface.unpack(outputs), package.graph.outputs, strict=True):
        np.testing.assert_array_equal(got, expected[output].reshape(len(got), -1).view(np.int8))
    assert costs[0].instructions > 0

"""Operators on int16: NumPy, host C, host C with emulated SIMD under the sanitizers, and an emulated core, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from test_operators import EMULATED_VECTORS, STRICT, host

from mcugen.execute import evaluate, is_batchable, reference
from mcugen.graph import Graph
from mcugen.ops import operators
from mcugen.ops.operator import Case
from mcugen.package import Package
from mcugen.pipeline import Compiled, Quantized, compile_model, quantize
from mcugen.quantize.precision import Precision, int16_tensors
from mcugen.run.baremetal import link_bench
from mcugen.run.bench import run_vectors
from mcugen.run.emulator import unicorn_booter
from mcugen.run.toolchain import find_cross_compiler
from mcugen.sqnr import sqnr_db
from mcugen.targets import load_target
from mcugen.verification import verification_vectors, verify_package

SAMPLES = 16
VECTORS = 24
MODES = ("int16", "int8 to int16", "int16 to int8")
WEIGHTED = ("conv2d", "depthwise_conv2d", "fully_connected", "affine")
LOWEST_DB = {"weighted": 30.0, "table": 25.0, "exact": 60.0}
"""Of layers with int8 weights, of lines between points (some functions have poles), and of the others, int16 on both sides."""


def merged(name: str, cases: list[Case]) -> Graph:
    """One graph of all the cases side by side, so that one program tests them all."""
    graph = Graph(name)
    for case in cases:
        prefix = f"{case.name}_"
        names = {old: prefix + old for old in case.graph.tensors}
        graph.tensors |= {names[n]: replace(t, name=names[n]) for n, t in case.graph.tensors.items()}
        graph.inputs += [names[n] for n in case.graph.inputs]
        graph.outputs += [names[n] for n in case.graph.outputs]
        for node in case.graph.nodes:
            inputs, outputs = (tuple(names[n] for n in side) for side in (node.inputs, node.outputs))
            graph.nodes.append(replace(node, name=prefix + node.name, inputs=inputs, outputs=outputs))
    return graph.check()


def all_graphs() -> Iterator[tuple[str, list[Case]]]:
    """The cases by what they are compiled with: each kind of weighted layer, tables, all else; unbatchable ones alone."""
    rest = []
    for name, operator in operators().items():
        if not operator.int16_inputs or operator.stateful:
            continue
        cases = [c for c in operator.cases() if all(operators()[n.op].takes_int16(n) for n in c.graph.nodes)]
        together = [replace(c, name=f"{name}_{c.name}") for c in cases if is_batchable(c.graph)]
        if name in (*WEIGHTED, "table"):
            yield name, together
        else:
            rest += together
        for case in cases:
            if not is_batchable(case.graph):
                yield f"{name} {case.name}", [case]
    yield "rest", rest


GRAPHS = dict(all_graphs())


def chosen(graph: Graph, mode: str) -> Precision:
    before, after = mode.split(" to ") if " to " in mode else (mode, mode)
    names = [*(graph.inputs if before == "int16" else []), *(graph.activations() if after == "int16" else [])]
    inside = set(graph.inputs) if before == "int8" else set()
    return Precision({name: "int16" for name in names if name not in inside})


def samples_of(cases: list[Case]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    samples = {}
    for case in cases:
        for name in case.graph.inputs:
            shape = case.graph.tensors[name].shape
            tail = shape[1:] if shape[:1] == (1,) else shape
            samples[f"{case.name}_{name}"] = rng.uniform(case.low, case.high, (SAMPLES, *tail)).astype(np.float32)
    return samples


@cache
def quantized(name: str, mode: str) -> Quantized:
    graph, samples = merged(name, GRAPHS[name]), samples_of(GRAPHS[name])
    precision = chosen(graph, mode)
    result = quantize(graph, samples, effort="fast", precision=precision)
    int16 = int16_tensors(graph, precision)
    kept = result.graph.tensors
    assert int16 and all(kept[n].dtype == ("int16" if n in int16 else "int8") for n in graph.outputs if n in kept)
    return result


@cache
def compiled(name: str, mode: str) -> Compiled:
    return compile_model(quantized(name, mode), target="cortex-m")


def build(name: str, mode: str, folder: Path) -> tuple[Package, dict[str, np.ndarray]]:
    return compiled(name, mode).write(folder / "package"), samples_of(GRAPHS[name])


def vectors_of(package: Package, samples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    graph = package.graph
    integers = {n: graph.tensors[n].quant.quantize(samples[n]) for n in graph.inputs}
    vectors = verification_vectors(graph, integers)
    count = len(next(iter(vectors.values())))
    index = np.unique(
        np.concatenate([np.arange(4), np.linspace(0, count - 1, VECTORS - 12).astype(int), np.arange(count - 8, count)])
    )
    return {n: a[index] for n, a in vectors.items()}


MODE_CASES = [(name, mode) for name in GRAPHS for mode in (MODES if " " not in name else MODES[:1])]


@pytest.mark.parametrize("name", GRAPHS)
def test_integers_are_close(name: str) -> None:
    cases = GRAPHS[name]
    graph, samples = merged(name, cases), samples_of(cases)
    model = quantized(name, "int16")
    integers = {n: model.graph.tensors[n].quant.quantize(samples[n]) for n in graph.inputs}
    wanted, got = evaluate(graph, samples), reference(model.graph, integers)
    for output in graph.outputs:
        quant = model.graph.tensors[output].quant
        real = quant.dequantize(got[output])
        if quant.dtype == "int16":
            kind = "weighted" if name in WEIGHTED else "table" if name == "table" else "exact"
            assert sqnr_db(wanted[output], real) > LOWEST_DB[kind], output
        else:
            assert np.abs(real - wanted[output]).max() <= 2 * float(quant.scale), output


@pytest.mark.parametrize(("name", "mode"), MODE_CASES)
def test_operator_on_host(name: str, mode: str, tmp_path: Path) -> None:
    package, samples = build(name, mode, tmp_path)
    vectors = vectors_of(package, samples)
    # one conversion by the plain kernels, all else by those for the DSP instructions, emulated
    defines = () if mode == "int16 to int8" else ("MCUGEN_EMULATE_DSP=1",)
    with host(package, flags=STRICT, defines=defines, sanitize=True) as model:
        assert verify_package(package, model, vectors).outputs_compared > 0


@pytest.mark.parametrize("name", GRAPHS)
def test_operator_on_emulated_core(name: str, tmp_path: Path) -> None:
    """The plain kernels on a core that has no unaligned accesses; tests/kernels runs the others on theirs."""
    package, samples = build(name, "int16", tmp_path)
    target = load_target("cortex-m").on_cpu(load_target("cortex-m0"))
    assert target.unicorn is not None
    interface = package.interface
    program = link_bench(
        target,
        find_cross_compiler(target),
        package.sources,
        package.includes,
        interface=interface,
        script=target.unicorn.script,
        out=tmp_path / "case.elf",
    )
    vectors = {n: a[-EMULATED_VECTORS:] for n, a in vectors_of(package, samples).items()}
    rows = interface.pack([vectors[n].reshape(len(vectors[n]), -1).view(np.int8) for n in package.graph.inputs])
    outputs, costs, _ = run_vectors(unicorn_booter(program.image, target), program.image, interface, rows)
    expected = reference(package.graph, vectors)
    for got, output in zip(interface.unpack(outputs), package.graph.outputs, strict=True):
        np.testing.assert_array_equal(got, expected[output].reshape(len(got), -1).view(np.int8))
    assert costs[0].instructions > 0

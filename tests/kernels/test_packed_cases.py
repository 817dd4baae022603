"""Every operator case of a layer with weights, in every weight format, by every kernel that takes it: host, Cortex-M4, Cortex-M0."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from reference import Int8
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.graph import Graph, Node
from mcugen.ops import operator
from mcugen.targets import load_target
from mcugen.weight_format import WEIGHT_FORMATS

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from harness import quantized
from test_packed_weights import LAYERS, in_format

COMPILERS = device_compilers()
CORES = ("cortex-m4", "cortex-m0")


def weighted_nodes(word: str) -> Iterator[tuple[Node, Graph, Int8, Int8]]:
    """The layers of all cases with weights of the format, what each reads and what it writes."""
    for op in LAYERS:
        for case in operator(op).cases():
            found = in_format(quantized(case), word)
            for node in found.graph.nodes:
                if node.op in LAYERS:
                    x, y = (np.asarray(found.values[name], np.int8) for name in (node.inputs[0], node.outputs[0]))
                    yield node, found.graph, x, y


def cases(word: str, core: str) -> list[Case]:
    target = load_target(core)
    listed = []
    for node, graph, x, y in weighted_nodes(word):
        for lowering in operator(node.op).lower(node, graph, target):
            call = lowering.calls[0]
            listed.append(Case(call, (x,), y))
            if 0 in call.overlap:
                listed.append(Case(call, (x,), y, distance=call.overlap[0]))
    return listed


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("word", WEIGHT_FORMATS)
def test_on_the_host(word: str, core: str, tmp_path: Path) -> None:
    run_on_host(cases(word, core), tmp_path, specialized=0)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("word", WEIGHT_FORMATS)
def test_on_emulated_cores(word: str, core: str, tmp_path: Path) -> None:
    compiler = COMPILERS[len(word) % len(COMPILERS)]
    run_on_device(cases(word, core), tmp_path, compiler=compiler, core=core, specialized=0)


def test_int4_has_kernels_of_its_own_for_most_layers() -> None:
    functions = [case.call.function for case in cases("int4", "cortex-m4")]
    assert functions.count("mcugen_conv2d_int4_s8_dsp") >= 8
    assert functions.count("mcugen_fully_connected_int4_s8_dsp") >= 4
    assert functions.count("mcugen_conv2d_codes_s8_dsp") >= 8

"""The plain kernels for weights in fewer bits: every case of a layer with weights in every format, bit for bit."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mcugen.ops import operator
from mcugen.quantize.low_bits import INT4_LIMIT, integer_dtype
from mcugen.weight_format import WEIGHT_FORMATS, WeightFormat

sys.path.insert(0, str(Path(__file__).parent))
from harness import QuantizedCase, lowerings, quantized, reference, run_as_c

LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected")


def on_grid(shape: tuple[int, ...], form: WeightFormat) -> np.ndarray:
    """Weights that reach the ends of their format."""
    rng = np.random.default_rng([*shape, form.bits])
    count = int(np.prod(shape[1:]))
    if form.group:
        factors = np.repeat(rng.integers(1, 19, (shape[0], -(-count // form.group))), form.group, axis=1)[:, :count]
        values = rng.integers(-INT4_LIMIT, INT4_LIMIT + 1, (shape[0], count)) * factors
    elif form.values is not None:
        values = rng.choice(np.array(form.values), (shape[0], count))
    else:
        limit = 127 if form.bits == 4 else 1023
        table = np.append(rng.integers(-limit, limit + 1, (1 << form.bits) - 2), [-limit, limit])
        values = rng.choice(table, (shape[0], count))
    return values.reshape(shape).astype(integer_dtype(form.name))


def in_format(case: QuantizedCase, word: str) -> QuantizedCase:
    """The case with other weights, all of them of the format."""
    graph = case.graph.copy()
    for i, node in enumerate(graph.nodes):
        if node.op in LAYERS:
            name = node.inputs[1]
            data = on_grid(graph.tensors[name].shape, WEIGHT_FORMATS[word])
            graph.tensors[name] = replace(graph.tensors[name], data=data, dtype=str(data.dtype))
            graph.nodes[i] = node.with_attrs(weight_format=word)
    values = reference(graph, {name: case.values[name] for name in graph.inputs})
    return replace(case, graph=graph, values=values)


@pytest.mark.parametrize("word", WEIGHT_FORMATS)
def test_c_equals_reference(word: str, tmp_path: Path) -> None:
    cases = [in_format(quantized(case), word) for op in LAYERS for case in operator(op).cases()]
    assert run_as_c(cases, tmp_path) == []


def test_powers_of_two_are_shifts_where_multiplying_is_slow(tmp_path: Path) -> None:
    slow = tmp_path / "slow.toml"
    slow.write_text('base = "cortex-m0plus"\nname = "slow"\n[cycles]\nmultiply = 32\n')
    cases = [in_format(quantized(case), "pow2") for op in LAYERS for case in operator(op).cases()]
    calls = [lowering.calls[0] for case in cases for node, lowering in lowerings(case, str(slow)) if node.op in LAYERS]
    assert calls and all("codes" in call.constants and "table" not in call.constants for call in calls)
    assert run_as_c(cases, tmp_path, str(slow)) == []

"""The plain kernels for weights in fewer bits: every case of a layer with weights in every format, and every type of activations
beside, bit for bit."""

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


TYPES = (("int16", "int16"), ("int8", "int16"), ("int16", "int8"))
MOST_OF_INT16 = 60_000
"""The sum of a channel's weights, times an int16, fits 32 bits."""


def on_grid(shape: tuple[int, ...], form: WeightFormat, *, wide: bool = False) -> np.ndarray:
    """Weights that reach the ends of their format, or with `wide` activations those that accumulators have room for."""
    rng = np.random.default_rng([*shape, form.bits])
    count = int(np.prod(shape[1:]))
    if form.group:
        factors = np.repeat(rng.integers(1, 19, (shape[0], -(-count // form.group))), form.group, axis=1)[:, :count]
        values = rng.integers(-INT4_LIMIT, INT4_LIMIT + 1, (shape[0], count)) * factors
    elif form.values is not None:
        values = rng.choice(np.array(form.values), (shape[0], count))
    else:
        limit = 127 if form.bits == 4 else 1023
        limit = min(limit, MOST_OF_INT16 // count) if wide else limit
        table = np.append(rng.integers(-limit, limit + 1, (1 << form.bits) - 2), [-limit, limit])
        values = rng.choice(table, (shape[0], count))
    return values.reshape(shape).astype(integer_dtype(form.name))


def in_format(case: QuantizedCase, word: str) -> QuantizedCase:
    """The case with other weights, all of them of the format."""
    graph = case.graph.copy()
    for i, node in enumerate(graph.nodes):
        if node.op in LAYERS:
            name = node.inputs[1]
            wide = "int16" in (graph.tensors[node.inputs[0]].dtype, graph.tensors[node.outputs[0]].dtype)
            data = on_grid(graph.tensors[name].shape, WEIGHT_FORMATS[word], wide=wide)
            graph.tensors[name] = replace(graph.tensors[name], data=data, dtype=str(data.dtype))
            graph.nodes[i] = node.with_attrs(weight_format=word)
    values = reference(graph, {name: case.values[name] for name in graph.inputs})
    return replace(case, graph=graph, values=values)


@pytest.mark.parametrize("word", WEIGHT_FORMATS)
def test_c_equals_reference(word: str, tmp_path: Path) -> None:
    cases = [in_format(quantized(case), word) for op in LAYERS for case in operator(op).cases()]
    assert run_as_c(cases, tmp_path) == []


@pytest.mark.parametrize("word", WEIGHT_FORMATS)
def test_c_equals_reference_with_int16(word: str, tmp_path: Path) -> None:
    """The types of activations take turns."""
    listed = [case for op in LAYERS for case in operator(op).cases()]
    turn = tuple(WEIGHT_FORMATS).index(word)
    cases = [in_format(quantized(case, *TYPES[(turn + i) % len(TYPES)]), word) for i, case in enumerate(listed)]
    found = [lowering.calls[0].function for case in cases for node, lowering in lowerings(case) if node.op in LAYERS]
    assert set(found) == {"mcugen_conv2d_s16_packed"}
    assert run_as_c(cases, tmp_path) == []


def test_powers_of_two_are_shifts_where_multiplying_is_slow(tmp_path: Path) -> None:
    slow = tmp_path / "slow.toml"
    slow.write_text('base = "cortex-m0plus"\nname = "slow"\n[cycles]\nmultiply = 32\n')
    cases = [in_format(quantized(case), "pow2") for op in LAYERS for case in operator(op).cases()]
    calls = [lowering.calls[0] for case in cases for node, lowering in lowerings(case, str(slow)) if node.op in LAYERS]
    assert calls and all("codes" in call.constants and "table" not in call.constants for call in calls)
    assert run_as_c(cases, tmp_path, str(slow)) == []

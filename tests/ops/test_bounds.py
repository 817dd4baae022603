"""The error bounds and limits that the operators' docstrings state, and the axes that `permute` promises to follow."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mcugen.errors import UnsupportedModel
from mcugen.fixed_point import INT32_LIMIT
from mcugen.graph import Graph, Node, QuantParams
from mcugen.ops import operator, operators
from mcugen.ops.binary import broadcast_strides
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.operator import Case, QuantContext
from mcugen.ops.pool import WHOLE

sys.path.insert(0, str(Path(__file__).parent))
from harness import evaluate, quantize_node, reference

Array = npt.NDArray[Any]


def one_node(op: str, shapes: list[tuple[int, ...]], **attrs: Any) -> Graph:
    builder = GraphBuilder(op)
    inputs = [builder.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    return builder.output(builder.emit(op, inputs, **attrs))


def integer(graph: Graph, quants: dict[str, QuantParams]) -> Graph:
    result = replace(graph, nodes=[], tensors=dict(graph.tensors))
    quantize_node(result, graph.nodes[0], graph, quants)
    return result


@pytest.mark.parametrize("scale", [0.0005, 0.02, 0.1, 0.7, 3.0])
@pytest.mark.parametrize("columns", [1, 2, 10, 300, 5000])
def test_softmax_stays_within_its_bound(scale: float, columns: int) -> None:
    graph = one_node("softmax", [(1, columns)])
    quants = {"x0": QuantParams.per_tensor(scale, 3), graph.outputs[0]: QuantParams.per_tensor(1 / 256, -128)}
    program = integer(graph, quants)
    rng = np.random.default_rng(columns)
    spread = rng.integers(1, 128, (40, 1))
    q = np.clip(np.rint(rng.normal(size=(40, columns)) * spread), -128, 127).astype(np.int8)
    got = quants[graph.outputs[0]].dequantize(reference(program, {"x0": q})[graph.outputs[0]])
    real = quants["x0"].dequantize(q)
    e = np.exp(real - real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    bound = np.where(got == 255 / 256, 1 / 256, 1 / 512) + (1 + columns * p) / 131070
    assert np.all(np.abs(got - p) <= bound)


def test_softmax_refuses_rows_whose_sum_could_wrap() -> None:
    graph = one_node("softmax", [(1, 65538)])
    with pytest.raises(UnsupportedModel, match="65537"):
        integer(graph, {"x0": QuantParams.per_tensor(0.1, 0), graph.outputs[0]: QuantParams.per_tensor(1 / 256, -128)})
    assert 65537 * 65535 < 2**32 and 65535 * 256 + 65537 * 65535 // 2 < 2**32


@pytest.mark.parametrize("columns", [2, 7, 32, 300, 4096])
@pytest.mark.parametrize("gain", [0.05, 1.0, 20.0])
def test_layer_norm_stays_within_its_bound(columns: int, gain: float) -> None:
    rng = np.random.default_rng(columns)
    builder = GraphBuilder("layer_norm")
    scale, offset = gain * rng.normal(size=columns), rng.normal(size=columns)
    inputs = [builder.input("x0", (1, columns)), builder.constant(scale, "scale"), builder.constant(offset, "offset")]
    graph = builder.output(builder.emit("layer_norm", inputs, epsilon=1e-3))
    step = 0.04 * gain
    quants = {"x0": QuantParams.per_tensor(0.02, 3), graph.outputs[0]: QuantParams.per_tensor(step, -7)}
    program = integer(graph, quants)
    q = np.clip(rng.normal(size=(50, columns)) * rng.uniform(0, 100, (50, 1)), -128, 127).astype(np.int8)
    q[:2] = -128
    q[0, 0] = 127
    got = reference(program, {"x0": q})[graph.outputs[0]].astype(np.float64)
    a = program.nodes[0].attrs
    x = q.astype(np.float64)
    spread = columns**2 * x.var(axis=1, keepdims=True)
    u = columns * (x - x.mean(axis=1, keepdims=True)) / np.sqrt(spread + a["epsilon"])
    want = np.clip((u * scale + offset) / step - 7, -128, 127)
    bits, shift = a["fraction_bits"], a["shift"]
    bound = np.abs(scale) / step * (2.0 ** -(bits + 1) + 2.0**-14 * np.abs(u))
    bound += 2.0**-shift * (np.abs(u) * 2.0**bits + 2) / 2
    assert np.all(np.abs(got - want) <= 0.5 + bound + 1e-6)
    assert bound.max() < 0.6


def test_layer_norm_refuses_rows_that_are_too_long() -> None:
    builder = GraphBuilder("layer_norm")
    inputs = [builder.input("x0", (1, 32769)), builder.constant(np.ones(32769)), builder.constant(np.zeros(32769))]
    graph = builder.output(builder.emit("layer_norm", inputs, epsilon=1e-5))
    with pytest.raises(UnsupportedModel, match="32768"):
        integer(graph, {name: QuantParams.per_tensor(0.1, 0) for name in ("x0", graph.outputs[0])})


@pytest.mark.parametrize("ratio", [0.3, 1.0, 40.0])
def test_average_pool_rounds_once(ratio: float) -> None:
    """Half a step, plus what 24 bits of multiplier lose over the largest sum."""
    attrs = WHOLE | {"kernel": (7, 9), "count_pads": (0, 0, 0, 0), "divide": True}
    graph = one_node("average_pool2d", [(1, 7, 9, 300)], **attrs)
    quants = {"x0": QuantParams.per_tensor(0.1 * ratio, -5), graph.outputs[0]: QuantParams.per_tensor(0.1, 9)}
    q = np.random.default_rng(1).integers(-128, 128, (1, 7, 9, 300)).astype(np.int8)
    got = reference(integer(graph, quants), {"x0": q})[graph.outputs[0]].astype(np.float64)
    want = np.clip(9 + ratio * (q.astype(np.float64).mean(axis=(1, 2), keepdims=True) + 5), -128, 127)
    assert np.abs(got - want).max() <= 0.5 + 0.011


def test_average_pool_refuses_windows_that_could_overflow() -> None:
    attrs = WHOLE | {"kernel": (3000, 3000), "count_pads": (0, 0, 0, 0), "divide": True}
    graph = one_node("average_pool2d", [(1, 3000, 3000, 1)], **attrs)
    with pytest.raises(UnsupportedModel, match="32-bit sum"):
        integer(graph, {name: QuantParams.per_tensor(0.1, 0) for name in ("x0", graph.outputs[0])})


def test_matmul_refuses_sums_that_could_overflow() -> None:
    for depth, fits in ((33025, True), (33026, False)):
        graph = one_node("matmul", [(1, 1, depth), (1, depth, 1)], transpose_second=False)
        assert (depth * 255 * 255 < INT32_LIMIT) == fits
        quants = {name: QuantParams.per_tensor(0.1, -128) for name in ("x0", "x1")}
        quants[graph.outputs[0]] = QuantParams.per_tensor(100.0, 0)
        if fits:
            q = np.full((1, 1, depth), 127, np.int8)
            got = reference(integer(graph, quants), {"x0": q, "x1": q.reshape(1, depth, 1)})[graph.outputs[0]]
            assert got.item() == 127
        else:
            with pytest.raises(UnsupportedModel, match="32-bit sum"):
                integer(graph, quants)


def test_add_is_within_a_step() -> None:
    rng = np.random.default_rng(5)
    graph = one_node("add", [(1, 64), (1, 64)], subtract=True)
    for _ in range(200):
        scales = np.exp(rng.uniform(-5, 0, 2))
        span = 255 * scales.sum()
        quants = {f"x{i}": QuantParams.per_tensor(float(scales[i]), int(rng.integers(-128, 128))) for i in range(2)}
        quants[graph.outputs[0]] = QuantParams.per_tensor(float(span / 255), int(rng.integers(-128, 128)))
        q = {name: rng.integers(-128, 128, (1, 64)).astype(np.int8) for name in ("x0", "x1")}
        got = reference(integer(graph, quants), q)[graph.outputs[0]].astype(np.float64)
        out = quants[graph.outputs[0]]
        real = quants["x0"].dequantize(q["x0"]) - quants["x1"].dequantize(q["x1"])
        want = np.clip(real / float(out.scale) + int(out.zero_point), -128, 127)
        assert np.abs(got - want).max() <= 0.52


def test_a_range_that_no_multiplier_fits_is_refused() -> None:
    tiny = QuantParams.per_tensor(1e-9, 0)
    wide = QuantParams.per_tensor(1.0, 0)
    for op, attrs in (("add", {"subtract": False}), ("mul", {}), ("matmul", {"transpose_second": False})):
        graph = one_node(op, [(1, 4, 4), (1, 4, 4)], **attrs)
        with pytest.raises(UnsupportedModel, match="calibration"):
            integer(graph, {"x0": wide, "x1": wide, graph.outputs[0]: tiny})


@pytest.mark.parametrize(
    "shapes", list(itertools.product([(1, 1, 1), (2, 1, 5), (2, 3, 5), (1, 3, 1), (3, 5), ()], repeat=2))
)
def test_broadcast_strides_address_what_numpy_broadcasts(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    out = np.broadcast_shapes(*shapes)
    found = broadcast_strides(*shapes, 4)
    assert found is not None
    sizes, strides = found
    assert int(np.prod(sizes)) == int(np.prod(out))
    for shape, steps in zip(shapes, strides, strict=True):
        wanted = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), out).reshape(-1)
        index = np.indices(sizes).reshape(4, -1)
        np.testing.assert_array_equal(np.tensordot(steps, index, 1), wanted)


def permuted(case: Case, perm: tuple[int, ...]) -> tuple[Node, list[Array], list[Array]] | None:
    """The case's first node under `perm`, its operands likewise, and what it must give; None if it declines."""
    graph = case.graph
    node = graph.nodes[0]
    moved = operator(node.op).permute(node, graph, perm)
    if moved is None or any(len(graph.tensors[name].shape) != len(perm) for name in node.inputs[:1]):
        return None
    rng = np.random.default_rng(0)
    values = evaluate(graph, {n: rng.uniform(0.2, 1, graph.tensors[n].shape).astype(np.float32) for n in graph.inputs})
    follows = [not graph.is_constant(name) or operator(node.op).elementwise for name in node.inputs]
    operands = [values[n].transpose(perm) if f else values[n] for n, f in zip(node.inputs, follows, strict=True)]
    return moved, operands, [values[name].transpose(perm) for name in node.outputs]


@pytest.mark.parametrize("name", sorted(operators()))
def test_permuted_nodes_do_the_same_to_permuted_axes(name: str) -> None:
    for case in operators()[name].cases():
        rank = len(case.graph.tensors[case.graph.nodes[0].inputs[0]].shape)
        for perm in itertools.permutations(range(rank)):
            found = permuted(case, perm)
            if found is None:
                continue
            moved, operands, wanted = found
            for got, want in zip(operator(moved.op).evaluate(moved, operands), wanted, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6, err_msg=f"{case.name} {perm}")


def test_quantizing_a_pad_keeps_its_value_in_range() -> None:
    graph = one_node("pad", [(1, 4)], pads=((0, 0), (1, 0)), value=-1e9)
    quants = {name: QuantParams.per_tensor(0.1, 0) for name in ("x0", graph.outputs[0])}
    node, _ = operator("pad").quantize(graph.nodes[0], graph, QuantContext(quants))
    assert node.attrs["value"] == -128

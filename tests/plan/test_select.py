"""Kernels are chosen with functions that several nodes share paid once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcugen.graph import Node
from mcugen.ops.conv2d import conv_case
from mcugen.ops.operator import Lowering
from mcugen.pipeline import quantize
from mcugen.plan.select import Choice, alternatives, cheapest, shared_code, total_flash
from mcugen.program import KernelCall
from mcugen.targets import load_target


def option(node: str, function: str, *, cycles: float, code: int, shared: dict[str, int] | None = None) -> Choice:
    call = KernelCall(function, (), cycles=cycles, code_bytes=code, shared_code=shared or {})
    lowering = Lowering((call,))
    return Choice(Node("conv2d", node, ("x",), ("y",), {}), lowering, (("", lowering),))


def nodes(count: int) -> list[list[Choice]]:
    """For each node a slow kernel of 400 bytes, and a fast one of 100 that shares a block of 1000."""
    return [
        [
            option(f"n{i}", "slow", cycles=200.0, code=400),
            option(f"n{i}", "fast", cycles=100.0, code=100, shared={"block": 1000}),
        ]
        for i in range(count)
    ]


def functions(choices: list[Choice]) -> list[str]:
    return [choice.lowering.calls[0].function for choice in choices]


def test_shared_code_counts_once() -> None:
    chosen = cheapest(nodes(3), 0.0)
    assert functions(chosen) == ["fast"] * 3
    assert shared_code(chosen) == {"block": 1000}
    assert total_flash(chosen) == 3 * 100 + 1000


def test_a_block_is_worth_its_bytes_where_enough_nodes_share_it() -> None:
    assert functions(cheapest(nodes(2), 64.0)) == ["slow"] * 2
    assert functions(cheapest(nodes(4), 64.0)) == ["fast"] * 4


def test_two_blocks_for_one_purpose_become_one() -> None:
    rows = [
        [
            option("a", "first", cycles=100.0, code=100, shared={"one": 1000}),
            option("a", "second", cycles=101.0, code=100, shared={"two": 1000}),
        ],
        [
            option("b", "first", cycles=101.0, code=100, shared={"one": 1000}),
            option("b", "second", cycles=100.0, code=100, shared={"two": 1000}),
        ],
    ]
    assert functions(cheapest(rows, 0.0)) == ["first", "second"]
    chosen = cheapest(rows, 1.0)
    assert len(set(functions(chosen))) == 1
    assert total_flash(chosen) == 1200


def test_a_generic_target_has_the_best_kernels_of_every_core() -> None:
    for op, weights in (("conv2d", (8, 3, 3, 4)), ("conv2d", (8, 1, 1, 4)), ("depthwise_conv2d", (4, 3, 3, 1))):
        float_graph = conv_case(op, "layer", (1, 8, 8, 4), weights, {"pads": (1, 1, 1, 1)} if weights[1] == 3 else {})
        samples = np.random.default_rng(0).normal(size=(4, 1, 8, 8, 4)).astype(np.float32)
        graph = quantize(float_graph, {float_graph.inputs[0]: samples}).graph
        generic = cheapest(alternatives(graph, load_target("cortex-m")), 0.0)[0]
        assert [condition for condition, _ in generic.branches] == ["MCUGEN_USE_DSP", ""]
        for (_, lowering), core in zip(generic.branches, ("cortex-m4", "cortex-m0"), strict=True):
            assert functions([replace(generic, lowering=lowering)]) == functions(
                cheapest(alternatives(graph, load_target(core)), 0.0)
            )

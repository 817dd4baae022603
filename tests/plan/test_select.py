"""Kernels are chosen with functions that several nodes share paid once."""

from __future__ import annotations

from mcugen.graph import Node
from mcugen.ops.operator import Lowering
from mcugen.plan.select import Choice, cheapest, shared_code, total_flash
from mcugen.program import KernelCall


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

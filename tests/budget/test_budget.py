"""No figure of the example models gets worse by over one per cent, for the compilers whose figures are known."""

from __future__ import annotations

import json

import pytest
from measure import BUDGETS, KERNELS, KEYS, compiler_for, measure, measure_kernels

from mcugen.errors import ToolchainError

TOLERANCE = 1.01
STACK_SLACK = 32
KNOWN = json.loads(BUDGETS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("choice", ["gcc", "zig"])
@pytest.mark.parametrize("key", KEYS)
def test_within_budget(key: str, choice: str) -> None:
    try:
        compiler = compiler_for(key, choice)
    except ToolchainError as error:
        pytest.skip(f"no {choice} for this core: {error.message}")
    budget = KNOWN.get(compiler.version, {}).get(key)
    if budget is None:
        pytest.skip(f"no budget for {compiler.version}: `make budgets` measures one")
    got = measure(key, choice)
    worse = {name: (got[name], limit) for name, limit in budget.items() if got[name] > allowed(name, limit)}
    assert not worse, f"{key}: measured against budget: {worse}"


@pytest.mark.parametrize("choice", ["gcc", "zig"])
def test_kernels_within_budget(choice: str) -> None:
    try:
        compiler = compiler_for(KERNELS, choice)
    except ToolchainError as error:
        pytest.skip(f"no {choice} for this core: {error.message}")
    budget = KNOWN.get(compiler.version, {}).get(KERNELS)
    if budget is None:
        pytest.skip(f"no budget for {compiler.version}: `make budgets` measures one")
    got = measure_kernels(choice)
    assert set(got) == set(budget)
    assert not {name: (got[name], limit) for name, limit in budget.items() if got[name] > limit * TOLERANCE}


def allowed(name: str, limit: int) -> float:
    return limit + STACK_SLACK if name == "stack" else limit * TOLERANCE


def test_a_worse_figure_would_fail() -> None:
    budget = next(iter(next(iter(KNOWN.values())).values()))
    assert all(limit * 1.02 > allowed(name, limit) for name, limit in budget.items() if name != "stack")

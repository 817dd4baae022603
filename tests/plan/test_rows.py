"""Layers row by row: the schedule makes no row twice and holds no row too many, and the C equals the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_networks import by_rows, random_model

import mcugen
from mcugen import pipeline
from mcugen.ops.operator import RowWindow
from mcugen.pipeline import Quantized, compile_model
from mcugen.plan.model import PlanError
from mcugen.plan.row_checker import check_region
from mcugen.plan.row_schedule import RowNode, RowTensor, schedule_rows
from mcugen.program import Place, Program, RowOp
from mcugen.targets import load_target

M4 = load_target("cortex-m4")


def chain(*windows: RowWindow, height: int = 12) -> tuple[list[RowNode], list[RowTensor]]:
    """Layers one after the other; the last tensor is kept, the first is pushed."""
    nodes, tensors = [], [RowTensor("t0", height, 10, given=True, pushed=True)]
    for i, window in enumerate(windows):
        before = tensors[-1]
        below = max(0, window.kernel - window.stride - window.pad_top)
        out = (before.height + window.pad_top + below - window.kernel) // window.stride + 1
        needed = (out - 1) * window.stride + window.kernel - window.pad_top - before.height
        tensors[-1] = replace(before, pad_top=window.pad_top, pad_bottom=max(0, needed))
        tensors.append(RowTensor(f"t{i + 1}", out, 10, kept=i + 1 == len(windows)))
        nodes.append(RowNode(f"n{i}", (f"t{i}",), f"t{i + 1}", window))
    return nodes, tensors


def test_a_window_holds_as_many_rows_as_one_output_row_needs() -> None:
    schedule = schedule_rows(*chain(RowWindow(3, 1, 1), RowWindow(), RowWindow(5, 2, 2), RowWindow(3, 2, 0)))
    assert [schedule.capacities[f"t{i}"] for i in range(4)] == [3, 1, 5, 3]
    assert schedule.passing == {"t1"}


def test_a_skipped_tensor_waits_for_the_branch_and_no_longer() -> None:
    conv = RowWindow(3, 1, 1)
    nodes = [
        RowNode("a", ("x",), "t", conv),
        RowNode("b", ("t",), "u", conv),
        RowNode("c", ("u", "x"), "y", RowWindow()),
    ]
    padded = RowTensor("x", 9, 4, given=True, pushed=True, pad_top=1, pad_bottom=1)
    inner = RowTensor("t", 9, 4, pad_top=1, pad_bottom=1)
    schedule = schedule_rows(nodes, [padded, inner, RowTensor("u", 9, 4), RowTensor("y", 9, 4, kept=True)])
    assert {name: schedule.capacities[name] for name in "xtu"} == {"x": 3, "t": 3, "u": 1}


def test_rows_that_nobody_reads_are_dropped() -> None:
    nodes = [RowNode("a", ("x",), "y", RowWindow(2, 3, 0))]
    schedule = schedule_rows(nodes, [RowTensor("x", 10, 4, given=True, pushed=True), RowTensor("y", 3, 4, kept=True)])
    assert schedule.capacities["x"] == 2
    assert sum(event.kind == "row" for event in schedule.events) == 10


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_a_random_region_is_proved(seed: int, pushed: bool) -> None:
    program = by_rows(random_model(seed), M4, np.random.default_rng(seed), pushed=pushed)
    if program is not None:
        calls = [op for region in program.regions for i in region.events if (op := region.ops[i]).kind == "call"]
        heights = {step: program.steps[step].outputs[0].shape[1] for step in {op.step for op in calls}}
        for step, height in heights.items():
            row = program.steps[step].outputs[0].size // height
            assert sum(op.size for op in calls if op.step == step) == height * row


def built(model: Quantized, program: Program, folder: Path) -> mcugen.Package:
    """The package of a program that is planned already."""
    with mock.patch.object(pipeline, "build_program", lambda *_args, **_options: program):
        return compile_model(model, target=M4, name="rows").write(folder)


@pytest.mark.parametrize(
    ("seed", "pushed", "precision"), [(1, True, "int8"), (3, True, "int16"), (9, False, "int8"), (14, False, "int16")]
)
def test_the_c_of_a_random_region_equals_the_reference(seed: int, pushed: bool, precision: str, tmp_path: Path) -> None:
    model = random_model(seed, nodes=7, precision=precision)
    program = by_rows(model, M4, np.random.default_rng(seed), pushed=pushed)
    assert program is not None
    assert program.regions
    result = mcugen.verify(built(model, program, tmp_path / "rows"), layers=True)
    assert result.layers_compared > 0


@pytest.mark.parametrize("seed", [15, 16])
def test_a_random_region_runs_on_the_core_at_any_address(seed: int, tmp_path: Path) -> None:
    model = random_model(seed, nodes=7)
    program = by_rows(model, M4, np.random.default_rng(seed), pushed=True)
    assert program is not None
    assert any(window.row_bytes % 4 for region in program.regions for window in region.windows)
    assert {step.call.variant for step in program.steps} == {"dsp", "portable"}
    assert mcugen.simulate(built(model, program, tmp_path / "rows"), vectors=3).vectors == 3


def faulty(program: Program, **changes: object) -> Program:
    region = program.regions[0]
    return replace(program, regions=(replace(region, **changes),))


def test_the_checker_finds_what_is_wrong() -> None:
    model = random_model(1, nodes=7)
    program = by_rows(model, M4, np.random.default_rng(1), pushed=True)
    assert program is not None
    region = program.regions[0]

    def refused(message: str, **changes: object) -> None:
        wrong = faulty(program, **changes)
        with pytest.raises(PlanError, match=message):
            check_region(wrong, model.graph, wrong.regions[0])

    call = next(i for i, op in enumerate(region.ops) if op.kind == "call")
    refused("made", events=tuple(i for i in region.events if i != region.events[-1]))
    early = [i for i in region.events if region.ops[i].kind != "row"]
    refused("does not find its input", events=tuple(early))
    moved = replace(region.ops[call], write=Place(region.ops[call].write.buffer, -program.arena_size))
    refused("leaves the arena", ops=(*region.ops[:call], moved, *region.ops[call + 1 :]))
    onto = replace(region.ops[call], write=region.ops[call].reads[0])
    refused("lies on its input|does not find|not whole", ops=(*region.ops[:call], onto, *region.ops[call + 1 :]))
    assert isinstance(region.ops[call], RowOp)

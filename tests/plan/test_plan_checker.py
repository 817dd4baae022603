"""The checker: right about every placement that a byte-by-byte run judges, and clear in what it says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ownership import runs_clean
from plan_cases import problems

from mcugen.plan.checker import check_plan
from mcugen.plan.model import Alias, Buffer, Overlap, PlanError

A, B = Buffer("a", 16, -1, 1), Buffer("b", 8, 1, 2)


def passes(*arguments: object, **options: int) -> bool:
    try:
        check_plan(*arguments, **options)  # type: ignore[arg-type]
    except PlanError:
        return False
    return True


@settings(max_examples=600, deadline=None)
@given(problems(), st.data())
def test_agrees_with_a_run_byte_by_byte(problem, data) -> None:
    buffers, overlaps = problem
    offsets = {buffer.name: buffer.align * data.draw(st.integers(0, 8 // buffer.align)) for buffer in buffers}
    assert passes(buffers, overlaps, (), offsets) == runs_clean(buffers, overlaps, offsets)


def test_one_byte_closer_than_allowed_fails() -> None:
    buffers = [Buffer("a", 16, -1, 1, align=1), Buffer("b", 8, 1, 2, align=1)]
    rule = Overlap("b", "a", 4)
    check_plan(buffers, [rule], (), {"a": 4, "b": 0}, peak=20)
    with pytest.raises(PlanError, match="distance 4: 1 bytes too close"):
        check_plan(buffers, [rule], (), {"a": 4, "b": 1})


def test_names_buffers_ranges_and_steps() -> None:
    with pytest.raises(PlanError) as caught:
        check_plan([A, B], (), (), {"a": 0, "b": 12})
    assert "'a' (bytes 0..16, steps -1..1) and 'b' (bytes 12..20, steps 1..2) share bytes" in str(caught.value)


def test_reports_everything_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        check_plan([A, B, Buffer("c", 4, 1, 1)], (), (), {"a": 0, "b": 12, "c": 2}, peak=16)
    text = str(caught.value)
    assert len(text.splitlines()) == 4
    assert "'c' (bytes 2..6, steps 1..1) is not aligned to 4" in text and "needs 20 bytes, not 16" in text


def test_a_rule_is_void_while_the_reader_is_needed() -> None:
    rule = Overlap("b", "a", -16)
    check_plan([A, B], [rule], (), {"a": 0, "b": 0})
    with pytest.raises(PlanError, match="'a' is read until step 2"):
        check_plan([Buffer("a", 16, -1, 2), B], [rule], (), {"a": 0, "b": 0})


@pytest.mark.parametrize("peak", [20, 21, 22])
def test_the_tail_must_be_in_the_arena(peak) -> None:
    buffers = [Buffer("a", 16, 0, 0), Buffer("b", 4, 0, 0, tail=2)]
    assert passes(buffers, (), (), {"a": 0, "b": 16}, peak=peak) == (peak >= 22)
    assert passes(buffers, (), (), {"a": 4, "b": 0}, peak=peak)


def test_concatenation_as_a_view() -> None:
    buffers = [Buffer("one", 4, 0, 2), Buffer("two", 8, 1, 2), Buffer("all", 12, 2, 3)]
    aliases = [Alias("one", "all", 0), Alias("two", "all", 4)]
    check_plan(buffers, (), aliases, {"all": 8, "one": 8, "two": 12})
    with pytest.raises(PlanError, match="must lie 4 bytes after its start"):
        check_plan(buffers, (), aliases, {"all": 8, "one": 8, "two": 16})
    with pytest.raises(PlanError, match=r"'one'.* and 'two'.* share bytes"):
        check_plan(buffers, (), [aliases[0], Alias("two", "all", 0)], {"all": 8, "one": 8, "two": 8})
    with pytest.raises(PlanError, match="sticks out"):
        check_plan(buffers, (), [aliases[0], Alias("two", "all", 8)], {"all": 8, "one": 8, "two": 16})
    early = [Buffer("one", 4, 0, 0), *buffers[1:]]
    with pytest.raises(PlanError, match="nothing keeps the bytes"):
        check_plan(early, (), aliases, {"all": 8, "one": 8, "two": 12})


def test_slices_of_a_whole_may_share() -> None:
    buffers = [Buffer("all", 12, 0, 1), Buffer("one", 8, 1, 2), Buffer("two", 8, 1, 2)]
    check_plan(buffers, (), [Alias("one", "all", 0), Alias("two", "all", 4)], {"all": 0, "one": 0, "two": 4})


@pytest.mark.parametrize(
    ("buffers", "overlaps", "aliases", "offsets", "says"),
    [
        ([A, A], [], [], {"a": 0}, "2 times"),
        ([A], [], [], {}, "no offset"),
        ([A], [], [], {"a": 0, "z": 0}, "no such buffer"),
        ([A], [Overlap("a", "z", 0)], [], {"a": 0}, "no buffer 'z'"),
        ([A], [], [Alias("z", "a", 0)], {"a": 0}, "no buffer 'z'"),
        ([A], [], [], {"a": -4}, "below the arena"),
        ([Buffer("a", 4, 2, 1)], [], [], {"a": 0}, "makes no sense"),
    ],
)
def test_input_that_does_not_fit_together(buffers, overlaps, aliases, offsets, says) -> None:
    with pytest.raises(PlanError, match=says):
        check_plan(buffers, overlaps, aliases, offsets)

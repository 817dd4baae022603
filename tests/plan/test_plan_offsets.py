"""The offset planner: always right, never worse than the optimum where that can be tried out, same every time."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, ad01, ic, kws, random_network, vww
from ownership import runs_clean
from plan_cases import concatenations, problems, smallest_arena

from mcugen.plan.checker import check_plan
from mcugen.plan.model import Alias, Buffer, Overlap, PlanError
from mcugen.plan.offsets import WORK_PER_SECOND, plan_offsets

MODELS = {"ad01": ad01, "ic": ic, "kws": kws, "vww": vww}


@settings(max_examples=250, deadline=None)
@given(problems())
def test_tiny_problems_are_solved_to_the_optimum(problem) -> None:
    buffers, overlaps = problem
    plan = plan_offsets(buffers, overlaps)
    check_plan(buffers, overlaps, (), plan.offsets, peak=plan.peak)
    assert runs_clean(buffers, overlaps, plan.offsets)
    assert plan.method == "optimal"
    assert plan.lower_bound == plan.peak == smallest_arena(buffers, overlaps)


@settings(max_examples=40, deadline=None)
@given(concatenations())
def test_tiny_concatenations_are_solved_to_the_optimum(problem) -> None:
    """Tries every offset of the whole and of the two other buffers; the checker judges."""
    buffers, overlaps, aliases = problem
    plan = plan_offsets(buffers, overlaps, aliases)
    check_plan(buffers, overlaps, aliases, plan.offsets, peak=plan.peak)
    assert plan.method == "optimal"
    size = {buffer.name: buffer.size for buffer in buffers}
    below = range(plan.peak)
    for whole, zero, one in product(below, below, below):
        ends = (whole + size["whole"], zero + size["other0"], one + size["other1"])
        if max(ends) < plan.peak:
            offsets = {"part0": whole, "part1": whole + size["part0"], "whole": whole, "other0": zero, "other1": one}
            with pytest.raises(PlanError):
                check_plan(buffers, overlaps, aliases, offsets)


@settings(max_examples=100, deadline=None)
@given(problems(most=12, largest=40, steps=6))
def test_any_problem_gets_a_right_plan(problem) -> None:
    buffers, overlaps = problem
    plan = plan_offsets(buffers, overlaps, time_limit=0.1)
    check_plan(buffers, overlaps, (), plan.offsets, peak=plan.peak)
    assert plan.lower_bound <= plan.peak <= sum(buffer.size + buffer.tail + 3 for buffer in buffers)
    assert plan.method == (
        "optimal" if plan.peak == plan.lower_bound else f"within {plan.peak - plan.lower_bound} bytes"
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_networks_with_branches_and_residuals(seed, blocks, buffered) -> None:
    net, output = random_network(Random(seed), blocks, buffered=buffered)
    buffers = net.buffers(output)
    plan = plan_offsets(buffers, net.overlaps)
    apart = plan_offsets(buffers)
    check_plan(buffers, net.overlaps, (), plan.offsets, peak=plan.peak)
    check_plan(buffers, (), (), apart.offsets, peak=apart.peak)
    assert plan.lower_bound <= plan.peak <= apart.peak <= sum(buffer.size + 3 for buffer in buffers)
    assert plan_offsets(buffers, net.overlaps) == plan
    for rule in _used(buffers, net.overlaps, plan.offsets):
        _check_one_closer(buffers, net.overlaps, plan.offsets, rule)


def _used(buffers, overlaps, offsets) -> list[Overlap]:
    """The rules of buffers that really share bytes in the step where their lives meet."""
    at = {buffer.name: (buffer, offsets[buffer.name]) for buffer in buffers}
    found = []
    for rule in overlaps:
        (writer, low), (reader, high) = at[rule.writer], at[rule.reader]
        if writer.first == reader.last and low < high + reader.size and high < low + writer.size:
            found.append(rule)
    return found


def _check_one_closer(buffers, overlaps, offsets, rule) -> None:
    """The plan is wrong as soon as the rule asks for one byte more than the plan leaves."""
    slack = offsets[rule.reader] - offsets[rule.writer]
    others = [other for other in overlaps if (other.writer, other.reader) != (rule.writer, rule.reader)]
    check_plan(buffers, [*others, Overlap(rule.writer, rule.reader, slack)], (), offsets)
    with pytest.raises(
        PlanError, match=f"{rule.reader!r}.*share bytes.* 1 bytes too close|{rule.writer!r}.*share bytes"
    ):
        check_plan(buffers, [*others, Overlap(rule.writer, rule.reader, slack + 1)], (), offsets)


@pytest.mark.parametrize(
    ("name", "apart", "shared"),
    [("ad01", 768, 768), ("ic", 49_152, 33_792), ("kws", 16_000, 11_840), ("vww", 55_296, 37_632)],
)
def test_known_networks_reach_their_bounds(name, apart, shared) -> None:
    """Layer by layer, and with an output row on input rows that are dead before the row is computed."""
    net, output = MODELS[name]()
    buffers = net.buffers(output)
    alone, together = plan_offsets(buffers), plan_offsets(buffers, net.overlaps)
    check_plan(buffers, (), (), alone.offsets, peak=apart)
    check_plan(buffers, net.overlaps, (), together.offsets, peak=shared)
    assert (alone.peak, alone.method) == (apart, "optimal")
    assert (together.peak, together.method) == (shared, "optimal")


def test_five_hundred_layers_take_a_counted_effort() -> None:
    net, output = random_network(Random(1), 200)
    buffers = net.buffers(output)
    assert len(buffers) >= 500
    plan = plan_offsets(buffers, net.overlaps)
    check_plan(buffers, net.overlaps, (), plan.offsets, peak=plan.peak)
    assert plan.work <= WORK_PER_SECOND // 4
    assert plan.method == "optimal"


def test_the_effort_is_limited_on_five_hundred_tangled_buffers() -> None:
    random = Random(2)
    buffers = []
    for number in range(500):
        first = random.randrange(100)
        buffers.append(Buffer(f"b{number}", 16 * random.randint(1, 64), first, min(99, first + random.randint(0, 20))))
    overlaps = [
        Overlap(writer.name, reader.name, random.randint(-reader.size, writer.size))
        for writer in buffers
        for reader in buffers
        if reader.last == writer.first > reader.first and random.random() < 0.3
    ]
    plan = plan_offsets(buffers, overlaps, time_limit=0.5)
    check_plan(buffers, overlaps, (), plan.offsets, peak=plan.peak)
    assert plan.work <= 1.5 * WORK_PER_SECOND
    assert plan.lower_bound <= plan.peak <= 1.25 * plan.lower_bound


def test_a_long_chain_creeps_until_two_halves_are_better() -> None:
    """Each output starts 640 bytes lower: after the sixth layer a second area is cheaper."""
    net = Network(25, 5, 64)
    last = net.input
    for _ in range(60):
        last = net.depthwise(last)
    plan = plan_offsets(net.buffers(last), net.overlaps)
    assert (plan.peak, plan.method) == (16_000, "optimal")


def test_a_concatenation_costs_no_second_copy() -> None:
    buffers = [Buffer("in", 8, -1, 1), Buffer("one", 4, 0, 2), Buffer("two", 8, 1, 2), Buffer("all", 12, 2, 3)]
    aliases = [Alias("one", "all", 0), Alias("two", "all", 4)]
    plan = plan_offsets(buffers, (), aliases)
    check_plan(buffers, (), aliases, plan.offsets, peak=20)
    assert (plan.peak, plan.method) == (20, "optimal")


def test_bytes_of_a_parent_are_free_until_its_child_is_written() -> None:
    """``two`` is not written yet in step 0, so ``early`` may lie there: the lives of parts count, not the whole."""
    buffers = [Buffer("one", 4, 0, 2), Buffer("early", 8, 0, 0), Buffer("two", 8, 1, 2), Buffer("all", 12, 2, 3)]
    aliases = [Alias("one", "all", 0), Alias("two", "all", 4)]
    plan = plan_offsets(buffers, (), aliases)
    check_plan(buffers, (), aliases, plan.offsets, peak=12)
    assert (plan.peak, plan.method) == (12, "optimal")


def test_a_part_of_a_concatenation_may_be_written_over_its_input() -> None:
    buffers = [Buffer("in", 8, -1, 1), Buffer("one", 4, 0, 2), Buffer("two", 8, 1, 2), Buffer("all", 12, 2, 3)]
    aliases = [Alias("one", "all", 0), Alias("two", "all", 4)]
    overlaps = [Overlap("two", "in", 0)]
    plan = plan_offsets(buffers, overlaps, aliases)
    check_plan(buffers, overlaps, aliases, plan.offsets, peak=12)
    assert plan.offsets["two"] == plan.offsets["in"] == 4


def test_views_inside_views_and_their_alignment() -> None:
    buffers = [Buffer("outer", 32, 0, 3, align=4), Buffer("inner", 16, 0, 3, align=4), Buffer("leaf", 4, 0, 3, align=8)]
    aliases = [Alias("inner", "outer", 4), Alias("leaf", "inner", 8)]
    plan = plan_offsets(buffers, (), aliases)
    check_plan(buffers, (), aliases, plan.offsets, peak=plan.peak)
    assert plan.offsets == {"outer": 4, "inner": 8, "leaf": 16}
    assert (plan.peak, plan.lower_bound) == (36, 36)


def test_a_tail_may_lie_on_other_buffers_but_must_exist() -> None:
    buffers = [Buffer("a", 16, 0, 0, tail=8), Buffer("b", 16, 0, 0)]
    assert plan_offsets(buffers).peak == 32
    assert plan_offsets(buffers[:1]).peak == 24


def test_nothing_to_plan() -> None:
    assert plan_offsets([]).peak == 0
    assert plan_offsets([Buffer("empty", 0, 0, 0)]).offsets == {"empty": 0}


@pytest.mark.parametrize(
    ("buffers", "overlaps", "aliases", "says"),
    [
        ([Buffer("a", 4, 0, 0)] * 2, [], [], "taken"),
        ([Buffer("a", -1, 0, 0)], [], [], "size"),
        ([Buffer("a", 4, 1, 0)], [], [], "first <= last"),
        ([Buffer("a", 4, 0, 0)], [Overlap("a", "b", 0)], [], "'b'"),
        ([Buffer("a", 4, 0, 0), Buffer("b", 4, 0, 0)], [Overlap("a", "b", 0), Overlap("b", "a", 0)], [], "each"),
        ([Buffer("a", 4, 0, 0)], [], [Alias("b", "a", 0)], "'b'"),
        ([Buffer("a", 4, 0, 0), Buffer("b", 4, 0, 0)], [], [Alias("b", "a", 1)], "bytes 1..5 of 4"),
        ([Buffer("a", 4, 0, 0), Buffer("b", 4, 0, 0)], [], [Alias("b", "a", 0), Alias("a", "b", 0)], "inside itself"),
        ([Buffer("a", 8, 0, 0), Buffer("b", 4, 0, 0)], [], [Alias("b", "a", 1)], "aligns"),
    ],
)
def test_contradictions_are_named(buffers, overlaps, aliases, says) -> None:
    with pytest.raises(PlanError, match=says):
        plan_offsets(buffers, overlaps, aliases)

"""The order planner: the true optimum of all orders where they can be listed, and the given order on ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, ad01, ic, kws, random_network, vww

from mcugen.plan.model import Overlap, PlanError, Step
from mcugen.plan.order import plan_order

Problem = tuple[list[Step], dict[str, int], list[str], list[str], list[Overlap]]


@st.composite
def graphs(draw: st.DrawFn) -> Problem:
    steps: list[Step] = []
    sizes = {"x": draw(st.integers(1, 20)), "y": draw(st.integers(0, 5))}
    for number in range(draw(st.integers(1, 7))):
        inputs = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=3))
        sizes[f"t{number}"] = draw(st.integers(0, 20))
        steps.append(Step(f"s{number}", tuple(inputs), (f"t{number}",), draw(st.sampled_from([0, 0, 7, 25]))))
    ends = [name for name in sizes if not any(name in step.inputs for step in steps)]
    outputs = draw(st.sampled_from([ends, ends[:1], [*ends, "t0"]]))
    overlaps = [
        Overlap(step.outputs[0], name, draw(st.integers(-5, 20)))
        for step in steps
        for name in sorted(set(step.inputs))
        if draw(st.booleans())
    ]
    return steps, sizes, ["x", "y"], list(dict.fromkeys(outputs)), overlaps


def orders(steps: Sequence[Step], made: frozenset[str]) -> Iterator[list[str]]:
    """All topological orders, those with the first steps first before the others."""
    if not steps:
        yield []
    for step in steps:
        if made.issuperset(step.inputs):
            others = [other for other in steps if other is not step]
            for rest in orders(others, made | set(step.outputs)):
                yield [step.name, *rest]


def peak_of(order: Sequence[str], problem: Problem) -> int:
    """The most bytes alive, from the definition: a tensor lives while a later step or the caller reads it."""
    steps, sizes, inputs, outputs, overlaps = problem
    todo = [next(step for step in steps if step.name == name) for name in order]
    peak, made = sum(sizes[name] for name in inputs), set(inputs)
    while todo:
        step = todo[0]
        needed_before = {name for other in todo for name in other.inputs} | set(outputs)
        needed_after = {name for other in todo[1:] for name in other.inputs} | set(outputs)
        alive = sum(sizes[name] for name in made & needed_before)
        new = sum(sizes[name] for name in step.outputs) + step.scratch
        shared = [0]
        for rule in overlaps:
            if rule.writer in step.outputs and rule.reader in step.inputs and rule.reader not in needed_after:
                together = max(sizes[rule.writer], sizes[rule.reader] + max(0, rule.distance))
                shared.append(sizes[rule.writer] + sizes[rule.reader] - together)
        peak = max(peak, alive + new - max(shared))
        made |= set(step.outputs)
        todo = todo[1:]
    return peak


@settings(max_examples=250, deadline=None)
@given(graphs())
def test_small_graphs_get_the_best_order(problem) -> None:
    steps, sizes, inputs, outputs, overlaps = problem
    plan = plan_order(steps, sizes, inputs, outputs, overlaps=overlaps)
    every = list(orders(steps, frozenset(inputs)))
    best = min(peak_of(order, problem) for order in every)
    assert plan.exact
    assert plan.peak == plan.lower_bound == best == peak_of(plan.order, problem)
    assert list(plan.order) == next(order for order in every if peak_of(order, problem) == best)


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_without_effort_the_gap_is_stated(problem) -> None:
    steps, sizes, inputs, outputs, overlaps = problem
    plan = plan_order(steps, sizes, inputs, outputs, overlaps=overlaps, effort=0, beam=1)
    every = list(orders(steps, frozenset(inputs)))
    best = min(peak_of(order, problem) for order in every)
    assert list(plan.order) in every
    assert plan.lower_bound <= best <= plan.peak == peak_of(plan.order, problem)
    assert plan.peak <= peak_of([step.name for step in steps], problem)
    assert plan.exact == (plan.peak == plan.lower_bound)


@pytest.mark.parametrize(
    ("model", "apart", "shared"),
    [(ad01, 768, 768), (ic, 49_152, 33_792), (kws, 16_000, 8_640), (vww, 55_296, 37_248)],
)
def test_known_networks_keep_their_order(model, apart, shared) -> None:
    net, output = model()
    for overlaps, peak in ((), apart), (net.overlaps, shared):
        plan = plan_order(net.steps, net.sizes(), [net.input], [output], overlaps=overlaps)
        assert (plan.peak, plan.exact) == (peak, True)
        assert plan.order == tuple(step.name for step in net.steps)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_shuffled_networks_are_as_good(seed, with_rules) -> None:
    """The optimum does not depend on the order given, and a second run says the same."""
    random = Random(seed)
    net, output = random_network(random, 40)
    shuffled, made, left = [], {net.input}, list(net.steps)
    while left:
        step = random.choice([step for step in left if made.issuperset(step.inputs)])
        left.remove(step)
        made |= set(step.outputs)
        shuffled.append(step)
    overlaps = net.overlaps if with_rules else []
    plans = [
        plan_order(steps, net.sizes(), [net.input], [output], overlaps=overlaps)
        for steps in (net.steps, shuffled, shuffled)
    ]
    assert plans[1] == plans[2]
    assert plans[0].exact and plans[1].exact
    assert plans[0].peak == plans[1].peak


def test_five_hundred_steps_take_a_counted_effort() -> None:
    net, output = random_network(Random(3), 200)
    assert len(net.steps) >= 500
    plan = plan_order(net.steps, net.sizes(), [net.input], [output], overlaps=net.overlaps)
    assert plan.exact and plan.work <= 40_000


def test_a_long_branch_is_walked_to_its_narrow_end_first() -> None:
    """Two branches of 30 steps that first widen and then narrow: 961 states, few that matter."""
    net = Network(8, 8, 1)
    ends = []
    for _ in range(2):
        end = net.input
        for channels in (*range(2, 17), *range(15, 0, -1)):
            end = net.conv(end, channels)
        ends.append(end)
    output = net.add(*ends)
    half = len(net.steps) // 2
    woven = [step for pair in zip(net.steps[:half], net.steps[half:], strict=False) for step in pair] + net.steps[-1:]
    plan = plan_order(woven, net.sizes(), [net.input], [output])
    assert (plan.peak, plan.exact) == (64 * (15 + 16 + 1), True)
    assert plan.work <= 10_000


def test_views_of_the_same_input_count_once() -> None:
    plan = plan_order([Step("square", ("x", "x"), ("y",))], {"x": 8, "y": 8}, ["x"], ["y"])
    assert plan.peak == 16


def test_nothing_to_order() -> None:
    plan = plan_order([], {"x": 8}, ["x"], ["x"])
    assert (plan.order, plan.peak, plan.exact) == ((), 8, True)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([Step("a", ("u",), ("v",)), Step("b", ("v",), ("u",))], "cycle: a, b"),
        ([Step("a", ("nowhere",), ("v",))], "'nowhere', read by 'a', has no producer"),
        ([Step("a", ("x",), ("large",))], "'large' has no size"),
        ([Step("a", ("x",), ("v",)), Step("b", ("x",), ("v",))], "written by 'b' and"),
        ([Step("a", ("x",), ("v",)), Step("a", ("x",), ("u",))], "same name"),
    ],
)
def test_contradictions_are_named(steps, says) -> None:
    with pytest.raises(PlanError, match=says):
        plan_order(steps, {"x": 4, "u": 4, "v": 4}, ["x"], [])

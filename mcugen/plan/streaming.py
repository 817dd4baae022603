"""Which layers run row by row, where a limit of RAM asks for it: the cheapest region that keeps the limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph
from mcugen.plan.layout import Layout, lay_out
from mcugen.plan.regions import region_need, region_schedule, row_input
from mcugen.plan.row_schedule import RowSchedule
from mcugen.plan.select import Choice, row_alternatives, total_cycles
from mcugen.targets import Target

TRIALS = 4000
"""Regions that are tried, times the nodes of the graph."""
REDUCED = 6
"""Regions whose kernels are exchanged for smaller ones, where none keeps the limit with its fastest."""
REGIONS = 3
"""How many regions a program may have."""
SLOWER = 1.15
"""How much slower than without a limit a program may be before its input is asked for row by row."""
ROW_PRICE = 0.03
"""The fraction of its cycles that a node must save for each row more a call, where it has the choice."""
FASTER = 0.99
"""What more rows a call, or more scratch, must make of the cycles to be worth trying."""


@dataclass(frozen=True)
class Planned:
    """Choices in execution order, their layout, and what was traded for it."""

    choices: tuple[Choice, ...]
    layout: Layout
    notes: tuple[str, ...]
    advice: str = ""
    """What was not allowed, and would need less RAM."""

    @property
    def cycles(self) -> float:
        return total_cycles(self.choices)


@dataclass(frozen=True)
class Streaming:
    """What a search for regions works with: the ways to run nodes as a whole, and the bytes of RAM that are `wanted`.

    0: as few as the fastest kernels allow.
    """

    graph: Graph
    target: Target
    options: Mapping[str, Sequence[Choice]]
    wanted: int
    _rows: dict[str, list[Choice]] = field(default_factory=dict)
    _schedules: dict[tuple[object, ...], RowSchedule | None] = field(default_factory=dict)

    @property
    def limited(self) -> bool:
        return self.wanted > 0

    def rows(self, name: str) -> list[Choice]:
        """The ways to run a node row by row that are worth trying."""
        if name not in self._rows:
            node = next(node for node in self.graph.nodes if node.name == name)
            self._rows[name] = _worth_trying(row_alternatives(node, self.graph, self.target))
        return self._rows[name]

    def schedule(self, choices: Sequence[Choice], *, pushed: str | None) -> RowSchedule | None:
        """The schedule of a region, simulated once; `pushed` is the tensor whose rows arrive one by one."""
        key = (pushed, *((choice.node.name, choice.rows) for choice in choices))
        if key not in self._schedules:
            nodes = [(choice.node, choice.rows) for choice in choices]
            self._schedules[key] = region_schedule(self.graph, nodes, pushed=pushed)
        return self._schedules[key]

    def need(self, choices: Sequence[Choice], *, pushed: str | None) -> list[int]:
        """The bytes of a region that can run row by row, node by node."""
        schedule = self.schedule(choices, pushed=pushed)
        assert schedule is not None
        return region_need(choices, schedule)

    @cached_property
    def possible(self) -> list[bool]:
        """Which nodes can run row by row, by position."""
        return [bool(self.rows(node.name)) for node in self.graph.nodes]


def _worth_trying(choices: Sequence[Choice]) -> list[Choice]:
    """Without those that need no less of anything than another one, and are hardly faster."""

    def worse(one: Choice, other: Choice) -> bool:
        a, b = one.lowering, other.lowering
        first, second = a.calls[0], b.calls[0]
        limits = (first.overlap.get(0, 1) <= 0 or first.in_place == 0) <= (
            second.overlap.get(0, 1) <= 0 or second.in_place == 0
        )
        needs = b.scratch <= a.scratch and other.rows <= one.rows and first.inline == second.inline
        return limits and needs and b.flash <= a.flash + 64 and FASTER * other.cycles <= one.cycles

    kept: list[Choice] = []
    for choice in sorted(choices, key=lambda c: (c.rows, c.lowering.scratch, c.cycles)):
        if not any(worse(choice, other) for other in kept):
            kept.append(choice)
    return kept


def stream(search: Streaming, plain: Planned, exchanged: Planned, *, input_rows: bool | None) -> Planned:
    """The program with regions that run row by row: first with the input in the arena, then with its rows arriving one by one.

    `plain` is the program without any, `exchanged` the same with smaller kernels.  The second form is tried where the first
    does not keep the limit, or only with much slower kernels; the smallest of all is returned where none keeps it.
    `input_rows` True: only the second form, False: only the first.
    """
    found = [] if input_rows else [exchanged, *_with_regions(search, plain, pushed=False)]
    good = [one for one in found if one.layout.peak <= search.wanted and one.cycles <= SLOWER * plain.cycles]
    if input_rows or (input_rows is None and not good):
        found += _with_regions(search, plain, pushed=True)
    if not found:
        raise _refusal(search.graph)
    best = min(found, key=lambda one: (max(one.layout.peak, search.wanted), one.cycles))
    if input_rows is False and best.layout.peak > search.wanted:
        pushed = _with_regions(search, plain, pushed=True)
        if pushed and pushed[0].layout.peak < best.layout.peak:
            reached = pushed[0].layout.peak
            best = replace(best, advice=f"`--input-rows` lets the input arrive row by row, and needs {reached} bytes")
    return best


def _refusal(graph: Graph) -> UnsupportedModel:
    """Why the input cannot arrive row by row."""
    shapes = ", ".join(
        f"'{name}' {graph.tensors[name].dtype} {list(graph.tensors[name].shape)}" for name in graph.inputs
    )
    readers = ", ".join(f"'{node.name}' ({node.op})" for name in graph.inputs for node in graph.readers(name))
    turned = any(node.op == "transpose" for name in graph.inputs for node in graph.readers(name))
    hint = (
        "a camera's rows hold all channels of a pixel: export the model with an input [1, height, width, channels] and a "
        "transpose behind it (in PyTorch `x.permute(0, 3, 1, 2)`), which costs nothing"
    )
    return UnsupportedModel(
        f"{graph.name}: its input cannot arrive row by row: it must be one int8 image [1, height, width, channels] "
        f"that only convolutions, pools and elementwise layers read; it has {shapes}, read by {readers}",
        hint=f"{hint}; or leave `--input-rows` out" if turned else "leave `--input-rows` out",
    )


def _with_regions(search: Streaming, plain: Planned, *, pushed: bool) -> list[Planned]:
    """One region after the other until the limit is kept, or nothing more is gained; empty where none can be."""
    best: Planned | None = None
    now = plain
    for number in range(REGIONS):
        found = _best_region(search, now, pushed=pushed, first=number == 0)
        if found is None or (best is not None and found.layout.peak >= best.layout.peak):
            break
        best = now = found
        if best.layout.peak <= search.wanted:
            break
    return [] if best is None else [_faster(search, best)]


def _faster(search: Streaming, planned: Planned) -> Planned:
    """Faster kernels for what runs row by row, as far as the arena does not grow, or the limit is kept still."""
    now, limit = planned, max(planned.layout.peak, search.wanted)
    places = [place for place, choice in enumerate(now.choices) if choice.rows]
    ways = {place: sorted(search.rows(now.choices[place].node.name), key=lambda c: c.cycles) for place in places}
    if not search.limited:
        return now
    for place in sorted(places, key=lambda place: ways[place][0].cycles - now.choices[place].cycles):
        for option in ways[place]:
            if option.cycles >= now.choices[place].cycles:
                break
            choices = (*now.choices[:place], option, *now.choices[place + 1 :])
            layout = lay_out(search.graph, choices, search.target, apart=now.layout.apart, pushed=now.layout.pushed)
            if layout.peak <= limit:
                now = replace(now, choices=choices, layout=layout)
                break
    return now


def _best_region(search: Streaming, now: Planned, *, pushed: bool, first: bool) -> Planned | None:
    """The cheapest further region with which the limit is kept; else, or without a limit, the one with the smallest arena."""
    if not search.limited:
        spans = _candidates(search, now, pushed=pushed and first)
        trials = [trial for span in spans if (trial := _trial(search, now, span, pushed=pushed)) is not None]
        return min(trials, key=lambda one: one.layout.peak, default=None)
    small = [
        (trial.layout.peak, span)
        for span in _candidates(search, now, pushed=pushed and first)
        for trial in [_trial(search, now, span, pushed=pushed, smallest=True)]
        if trial is not None
    ]
    fitting = [(peak, span) for peak, span in small if peak <= search.wanted]
    if not fitting:
        return _trial(search, now, min(small)[1], pushed=pushed, smallest=True) if small else None
    fast = [
        (trial, span) for _, span in sorted(fitting) if (trial := _trial(search, now, span, pushed=pushed)) is not None
    ]
    reduced = [_reduce(search, trial, span) for trial, span in fast[:REDUCED]]
    smallest = [_trial(search, now, span, pushed=pushed, smallest=True) for _, span in sorted(fitting)[:1]]
    done = [*(trial for trial, _ in fast), *reduced, *smallest]
    kept = [one for one in done if one is not None and one.layout.peak <= search.wanted]
    return min(kept, key=lambda one: one.cycles)


def _candidates(search: Streaming, now: Planned, *, pushed: bool) -> list[tuple[int, int]]:
    """Spans of neighbouring nodes that can run row by row and, under a limit, hold a step in which the arena is full."""
    full = now.layout.nodes_at_peak
    taken = [bool(choice.rows) for choice in now.choices]
    free = [p and not t for p, t in zip(search.possible, taken, strict=True)]
    spans: list[tuple[int, int]] = []
    start = row_input(search.graph, now.choices)[1]
    for first in (start,) if pushed else range(len(free)):
        last = first
        while last < len(free) and free[last]:
            apart = not any(taken[i] for i in (first - 1, last + 1) if 0 <= i < len(free))
            if apart and (not search.limited or any(first <= place <= last for place in full)):
                spans.append((first, last))
            last += 1
    limit = max(8, TRIALS // len(free))
    step = -(-len(spans) // limit)
    return spans[::step] if step > 1 else spans


def _trial(
    search: Streaming, now: Planned, span: tuple[int, int], *, pushed: bool, smallest: bool = False
) -> Planned | None:
    """The program with a further region; None where its nodes cannot run row by row together."""
    first, last = span
    middle = [_by_rows(search, choice, smallest=smallest) for choice in now.choices[first : last + 1]]
    source = _source(search, now, first, pushed=pushed)
    if search.schedule(middle, pushed=source) is None:
        return None
    choices = (*now.choices[:first], *middle, *now.choices[last + 1 :])
    layout = lay_out(search.graph, choices, search.target, apart=now.layout.apart, pushed=pushed)
    note = _note(middle, pushed=source is not None)
    return Planned(choices, layout, (*now.notes, note))


def _source(search: Streaming, now: Planned, first: int, *, pushed: bool) -> str | None:
    """The tensor whose rows arrive one by one, for the region that begins at position `first`."""
    name, start = row_input(search.graph, now.choices)
    return name if pushed and first == start else None


def _by_rows(search: Streaming, choice: Choice, *, smallest: bool) -> Choice:
    """A node's choice with the least RAM; or the fastest with the kernel that it has anyway, which met the goal."""

    def preference(one: Choice) -> tuple[bool, float]:
        new, old = one.lowering.calls[0], choice.lowering.calls[0]
        return (new.function, new.inline) != (old.function, old.inline), one.cycles * (1 + ROW_PRICE * one.rows)

    rows = search.rows(choice.node.name)
    return min(rows, key=lambda c: (c.rows, c.lowering.scratch, c.cycles)) if smallest else min(rows, key=preference)


def _note(choices: Iterable[Choice], *, pushed: bool) -> str:
    names = [choice.node.name for choice in choices]
    text = f"'{names[0]}' to '{names[-1]}' run row by row to need less RAM"
    return text + (", and the input arrives row by row" if pushed else "")


def _reduce(search: Streaming, planned: Planned, span: tuple[int, int]) -> Planned:
    """Smaller kernels and fewer rows a call in the region of a span, until the limit is kept or nothing helps."""
    now = planned
    while now.layout.peak > search.wanted:
        smaller = _exchange(search, now, span, less=now.layout.peak - search.wanted)
        if smaller is None:
            break
        choices = (*now.choices[: span[0]], *smaller, *now.choices[span[1] + 1 :])
        layout = lay_out(search.graph, choices, search.target, apart=now.layout.apart, pushed=now.layout.pushed)
        now = replace(now, choices=choices, layout=layout)
    return now


def _exchange(search: Streaming, now: Planned, span: tuple[int, int], *, less: int) -> list[Choice] | None:
    """The region's choices with a need that is smaller by `less` bytes, the cheapest gain first; None where that cannot be."""
    current = list(now.choices[span[0] : span[1] + 1])
    pushed = _source(search, now, span[0], pushed=now.layout.pushed)
    limit = max(search.need(current, pushed=pushed)) - less

    def excess(choices: Sequence[Choice]) -> int:
        return sum(max(0, need - limit) for need in search.need(choices, pushed=pushed))

    left = excess(current)
    while left > 0:
        trials = [
            [*current[:i], option, *current[i + 1 :]]
            for i, choice in enumerate(current)
            for option in search.rows(choice.node.name)
            if option is not choice
        ]
        gains = [(total_cycles(trial) - total_cycles(current), left - excess(trial), trial) for trial in trials]
        useful = [(max(0.0, cost) / gain, trial) for cost, gain, trial in gains if gain > 0]
        if not useful:
            return None
        current = min(useful, key=lambda one: one[0])[1]
        left = excess(current)
    for i, choice in enumerate(current):  # what a later exchange has made needless
        for option in sorted(search.rows(choice.node.name), key=lambda c: c.cycles):
            if option.cycles < choice.cycles and excess([*current[:i], option, *current[i + 1 :]]) == 0:
                current[i] = option
                break
    return current

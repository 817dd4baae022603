"""From chosen kernels to buffers, lives and offsets: which tensors share bytes as views or in place, and where all lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcugen.graph import DynamicQuantParams, Graph, Tensor
from mcugen.plan import model as memory
from mcugen.plan.buffers import arena_buffers
from mcugen.plan.checker import check_plan
from mcugen.plan.offsets import plan_offsets
from mcugen.plan.region_buffers import Span, program_region, region_extents
from mcugen.plan.regions import Region, find_regions
from mcugen.plan.script import Script, operand_of, programmed_steps
from mcugen.plan.select import Choice
from mcugen.plan.sharing import Sharing, share, shared_input
from mcugen.program import Port, RowRegion
from mcugen.targets import Target

SEARCH_SECONDS = 0.25
"""For one plan; kernels are exchanged by trying many."""
TRIALS = 24
"""How many outputs are tried out of their inputs' places before the best of them moves."""
TRIAL_WORK = 600_000
"""What trying other plans may cost in all, where one plan costs the square of its buffers' number."""


@dataclass(frozen=True)
class Layout:
    """The arena: buffers with their offsets, and for every tensor without a buffer of its own the one it lies in."""

    roots: Mapping[str, str]
    insets: Mapping[str, int]
    """Bytes before a tensor in its buffer, where it does not begin there: rows of padding above an image."""
    buffers: tuple[memory.Buffer, ...]
    plan: memory.Plan
    step_nodes: tuple[int, ...]
    """For each step the position of its node among the choices."""
    apart: frozenset[str] = frozenset()
    """Nodes whose output got bytes of its own though it could take the place of an input."""
    regions: tuple[Region, ...] = ()
    sharing: Sharing = field(default_factory=Sharing)

    @property
    def pushed(self) -> bool:
        """Whether the model's input arrives row by row."""
        return any(region.pushed for region in self.regions)

    @property
    def peak(self) -> int:
        return self.plan.peak

    def _top(self, step: int) -> int:
        live = [b for b in self.buffers if b.first <= step <= b.last]
        return max((self.plan.offsets[b.name] + b.size + b.tail for b in live), default=0)

    @property
    def trials(self) -> int:
        """How many other plans may be tried; few for large graphs, in which each of them takes long."""
        return int(TRIAL_WORK // max(1, len(self.buffers)) ** 2)

    @property
    def full_steps(self) -> list[int]:
        """The steps in which the arena is used to its top."""
        return [step for step in range(len(self.step_nodes)) if self._top(step) >= self.peak]

    @property
    def steps_at_peak(self) -> int:
        return len(self.full_steps)

    @property
    def nodes_at_peak(self) -> list[int]:
        """Positions of the nodes at whose steps the arena is used to its top, and of all that run row by row with them."""
        places = {self.step_nodes[step] for step in self.full_steps}
        for region in self.regions:
            whole = range(region.first, region.last + 1)
            places |= set() if places.isdisjoint(whole) else set(whole)
        return sorted(places)


def lay_out(
    graph: Graph,
    choices: Sequence[Choice],
    target: Target,
    *,
    apart: frozenset[str] = frozenset(),
    pushed: bool = False,
) -> Layout:
    """Plan the arena for choices in execution order; the plan is proved by the independent checker.

    The outputs of the nodes named in `apart` do not take the place of an input.  With `pushed` the model's input arrives
    row by row.
    """
    regions = find_regions(graph, choices, pushed=pushed)
    sharing = share(graph, choices, apart=apart, align=target.alignment)
    roots = dict(sharing.roots)
    for region in regions:
        for name, home in region.homes.items():
            roots[name] = roots.get(home, home)
    insets, extents = region_extents(regions, roots, target.alignment)
    script = programmed_steps(graph, choices, roots, insets, sharing)
    buffers, overlaps = arena_buffers(
        graph, script, roots, target, insets, extents, _spans(regions, script), sharing.ties
    )
    aliases = [memory.Alias(tie.child, tie.parent, tie.offset) for tie in sharing.ties]
    aliases += [memory.Alias(kept.operand.buffer, kept.parent, kept.offset) for kept in script.kept]
    plan = plan_offsets(buffers, overlaps, aliases, time_limit=SEARCH_SECONDS)
    check_plan(buffers, overlaps, aliases, plan.offsets, peak=plan.peak)
    return Layout(roots, insets, tuple(buffers), plan, script.positions, apart, regions, sharing)


def programmed_regions(layout: Layout, script: Script) -> tuple[RowRegion, ...]:
    """The parts of the program that run row by row."""
    spans = _spans(layout.regions, script)
    return tuple(program_region(span, layout.roots, layout.insets) for span in spans)


def _spans(regions: Sequence[Region], script: Script) -> list[Span]:
    """The regions with the numbers of their steps."""
    starts = script.starts
    return [Span(region, starts[region.first], starts[region.last + 1] - 1) for region in regions]


def settle(
    graph: Graph,
    choices: Sequence[Choice],
    target: Target,
    *,
    apart: frozenset[str] = frozenset(),
    pushed: bool = False,
) -> Layout:
    """`lay_out`, with outputs moved out of their inputs' places as long as that makes the arena smaller.

    An output in its input's place cannot slide against it, which can cost more than the place saves.
    """
    best = lay_out(graph, choices, target, apart=apart, pushed=pushed)
    left = best.trials
    while left > 0:
        names = _in_place_near_peak(graph, choices, best)[:left]
        trials = [lay_out(graph, choices, target, apart=best.apart | {name}, pushed=pushed) for name in names]
        left -= len(trials)
        better = min(trials, key=_height, default=best)
        if _height(better) >= _height(best):
            break
        best = better
    return best


def _height(layout: Layout) -> tuple[int, int]:
    return layout.peak, layout.steps_at_peak


def _in_place_near_peak(graph: Graph, choices: Sequence[Choice], layout: Layout) -> list[str]:
    """The nodes that work in place, up to TRIALS of them, those nearest to a step in which the arena is full first."""
    full = layout.full_steps
    found = []
    for step, place in enumerate(layout.step_nodes):
        choice = choices[place]
        merged = choice.node.outputs[0] in layout.roots and choice.node.name not in layout.apart and not choice.rows
        if merged and not choice.lowering.view and shared_input(graph, choice) is not None:
            found.append((min((abs(step - other) for other in full), default=0), choice.node.name))
    return [name for _, name in sorted(found)[:TRIALS]]


def ports(graph: Graph, names: Sequence[str], layout: Layout) -> tuple[Port, ...]:
    """The model's inputs or outputs with their C names, all of them different."""
    taken = {str(index) for index in range(len(names))}  # by number the ports have functions of their own
    found = []
    for index, name in enumerate(names):
        stem = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "tensor"
        identifier, number = stem, 1
        while identifier in taken and identifier != str(index):
            number += 1
            identifier = f"{stem}_{number}"
        taken.add(identifier)
        found.append(_port(graph.tensors[name], identifier, layout))
    return tuple(found)


def _port(tensor: Tensor, identifier: str, layout: Layout) -> Port:
    assert tensor.quant is not None
    operand = operand_of(tensor, layout.roots, layout.insets)
    scale, zero_point = float(tensor.quant.scale), int(tensor.quant.zero_point)
    dynamic = isinstance(tensor.quant, DynamicQuantParams)
    return Port(tensor.name, identifier, operand, scale, zero_point, dynamic)

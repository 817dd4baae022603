"""Which tensors lie in the bytes of others: views, outputs in their input's place, and parts of a larger tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcugen.graph import Graph
from mcugen.plan.select import Choice

KEPT = "@kept"
"""Ends the name of the buffer that holds what of a tensor lives on to the next run."""


@dataclass(frozen=True)
class Tie:
    """Buffer `child` lies `offset` bytes into buffer `parent`, so that call `part` of the choice at `position` copies nothing.

    `slices`: the child is cut out of the parent; otherwise the parent is put together from its children.
    """

    child: str
    parent: str
    offset: int
    position: int
    part: int
    slices: bool


@dataclass(frozen=True)
class Sharing:
    """`roots`: for every tensor without a buffer of its own the one whose bytes it takes, all of them."""

    roots: Mapping[str, str] = field(default_factory=dict)
    ties: tuple[Tie, ...] = ()

    def is_tied(self, position: int, part: int) -> bool:
        return any(tie.position == position and tie.part == part for tie in self.ties)

    def within(self, name: str, choices: Sequence[Choice]) -> set[str]:
        """The tensor and all that are views or slices of it."""
        cut = {tie.child for tie in self.ties if tie.slices}
        names = {name}
        for choice in choices:
            output = choice.node.outputs[0]
            if choice.node.inputs[0] in names and (choice.lowering.view or output in cut):
                names.add(output)
        return names


@dataclass
class _Families:
    """Grows choice by choice: who shares bytes with whom so far."""

    graph: Graph
    last_reader: Mapping[str, int]
    in_rows: set[str]
    """What nodes read and write that run row by row: it is not whole at any time."""
    roots: dict[str, str] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    ties: list[Tie] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    def root(self, name: str) -> str:
        return self.roots.get(name, name)

    def add(self, output: str, root: str) -> None:
        self.roots[output] = root
        self.members.setdefault(root, []).append(output)

    def relatives(self, root: str) -> set[str]:
        """All buffers that are tied to one another."""
        found, waiting = {root}, [root]
        while waiting:
            name = waiting.pop()
            near = {
                tie.child if tie.parent == name else tie.parent for tie in self.ties if name in (tie.child, tie.parent)
            }
            waiting += near - found
            found |= near
        return found

    def dies(self, root: str, position: int) -> bool:
        """Whether nobody needs the bytes after the choice at `position`."""
        relatives = self.relatives(root)
        names = [name for one in relatives for name in (one, *self.members.get(one, []))]
        read = all(self.last_reader.get(name, -1) <= position and name not in self.graph.outputs for name in names)
        return read and relatives.isdisjoint(self.kept)


def share(graph: Graph, choices: Sequence[Choice], *, apart: frozenset[str], align: int) -> Sharing:
    """Who shares bytes, for choices in execution order; the outputs of the nodes named in `apart` get bytes of their own.

    Parts begin at multiples of `align` within their parent, as kernels expect of all that they read and write.
    """
    last_reader = {name: i for i, choice in enumerate(choices) for name in choice.node.inputs}
    in_rows = {n for choice in choices if choice.rows for n in (*choice.node.inputs, *choice.node.outputs)}
    families = _Families(graph, last_reader, in_rows)
    for i, choice in enumerate(choices):
        output = choice.node.outputs[0]
        if choice.rows:
            continue
        source = shared_input(graph, choice)
        if choice.lowering.keep is not None:
            families.kept.add(output)
        if choice.lowering.view or (source is not None and choice.node.name not in apart):
            root = families.root(source or choice.node.inputs[0])
            if choice.lowering.view or families.dies(root, i):
                families.add(output, root)
                continue
        if choice.node.name not in apart:
            for part in range(len(choice.lowering.calls)):
                _tie(families, choice, part, i, align)
    return Sharing(families.roots, tuple(families.ties))


def shared_input(graph: Graph, choice: Choice) -> str | None:
    """The input that the output may take the place of, exactly; None where some core's kernel cannot."""
    node = choice.node
    if choice.lowering.view:
        return node.inputs[0]
    if len(choice.lowering.calls) != 1 or choice.lowering.calls[0].in_place is None:
        return None
    index = choice.lowering.calls[0].in_place
    calls = [lowering.calls[0] for _, lowering in choice.branches]
    fits = all(call.in_place == index or call.overlap.get(index, 1) <= 0 for call in calls)
    same = graph.tensors[node.inputs[index]].nbytes == graph.tensors[node.outputs[0]].nbytes
    constant = graph.is_constant(node.inputs[index])
    return node.inputs[index] if fits and same and not constant and len(node.outputs) == 1 else None


def _tie(families: _Families, choice: Choice, part: int, position: int, align: int) -> None:
    """Let a call that only copies bytes find them in their place, where that can be."""
    calls = [lowering.calls[part] for _, lowering in choice.branches]
    if not all(call.copies for call in calls):
        return
    graph, node, call = families.graph, choice.node, calls[0]
    source, output = node.inputs[call.reads[0] if call.reads else 0], node.outputs[0]
    start, end = (next(iter(offsets), 0) for offsets in (call.input_offsets, call.output_offsets))
    root = families.root(source)
    if graph.is_constant(source) or graph.tensors[root].nbytes != graph.tensors[source].nbytes:
        return
    if not families.in_rows.isdisjoint((root, output, *families.members.get(root, ()))):
        return
    joins = len(choice.lowering.calls) > 1 or choice.lowering.keep is not None
    if not joins:
        # what lives on moves before the caller reads the outputs
        read_after = output in graph.outputs and not families.relatives(root).isdisjoint(families.kept)
        if start % align == 0 and not read_after:
            # a slice of a slice: of what both are cut out of
            whole = next((tie for tie in families.ties if tie.slices and tie.child == root), None)
            parent, start = (root, start) if whole is None else (whole.parent, start + whole.offset)
            families.ties.append(Tie(output, parent, start, position, part, slices=True))
        return
    placed = any(tie.child == root for tie in families.ties)
    if end % align == 0 and not placed and root not in families.kept and root != output:
        families.ties.append(Tie(root, output, end, position, part, slices=False))

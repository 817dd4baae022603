"""Regions of a program that run row by row: their tensors' row windows, and the operations that the C carries out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mcugen.graph import Graph, Node
from mcugen.plan.row_blocks import row_bytes, row_window
from mcugen.plan.row_schedule import Event, RowNode, RowSchedule, RowTensor, schedule_rows
from mcugen.plan.select import Choice
from mcugen.program import Place, RowOp


@dataclass(frozen=True)
class Region:
    """Choices `first` to `last` of a program, run row by row.

    `homes` names for an output the input whose rows it takes: its own last rows, or those of a window that nobody needs
    any more.
    """

    first: int
    last: int
    schedule: RowSchedule
    homes: Mapping[str, str]

    @cached_property
    def pushed(self) -> str | None:
        """The model input whose rows arrive one by one."""
        return next((name for name, tensor in self.schedule.tensors.items() if tensor.pushed), None)

    def passing(self, name: str) -> bool:
        """Whether a tensor lives from one node to the next only."""
        return name in self.schedule.passing


def find_regions(graph: Graph, choices: Sequence[Choice], *, pushed: bool) -> tuple[Region, ...]:
    """The runs of neighbouring choices that work on rows; with `pushed` the model's input arrives row by row."""
    found: list[Region] = []
    source, start = row_input(graph, choices)
    first = 0
    while first < len(choices):
        last = first
        while last < len(choices) and choices[last].rows:
            last += 1
        if last > first:
            run = choices[first:last]
            schedule = region_schedule(
                graph, [(c.node, c.rows) for c in run], pushed=source if pushed and first == start else None
            )
            if schedule is None:
                raise ValueError(f"'{run[0].node.name}' to '{run[-1].node.name}' cannot run row by row")
            found.append(Region(first, last - 1, schedule, homes_of(run, schedule)))
        first = last + 1
    return tuple(found)


def row_input(graph: Graph, choices: Sequence[Choice]) -> tuple[str | None, int]:
    """The tensor whose rows the model's input consists of, and the position of the first choice that could read them.

    None where the model has several inputs.  Views before the first layer change the input's shape, not its bytes.
    """
    if len(graph.inputs) != 1:
        return None, 0
    name, position = graph.inputs[0], 0
    for choice in choices:
        if not choice.lowering.view or len(graph.readers(name)) > 1 or name in graph.outputs:
            break
        name, position = choice.node.outputs[0], position + 1
    return name, position


def region_schedule(
    graph: Graph, nodes: Sequence[tuple[Node, int]], *, pushed: str | None = None
) -> RowSchedule | None:
    """The schedule of neighbouring nodes, each with its rows a call; None where they cannot run row by row together.

    `pushed` is the tensor whose rows arrive one by one.
    """
    inside = {node.name for node, _ in nodes}
    made = {node.outputs[0] for node, _ in nodes}
    row_nodes: list[RowNode] = []
    for node, rows in nodes:
        window = row_window(node, graph)
        if window is None or graph.tensors[node.outputs[0]].shape[1] % rows:
            return None
        inputs = tuple(name for name in node.inputs if not graph.is_constant(name))
        row_nodes.append(RowNode(node.name, inputs, node.outputs[0], window, rows))
    tensors: list[RowTensor] = []
    for name in dict.fromkeys(n for node in row_nodes for n in (*node.inputs, node.output)):
        outside = name in graph.outputs or any(node.name not in inside for node in graph.readers(name))
        wanted = name == pushed
        if wanted and outside:
            return None
        tensor = _row_tensor(
            graph, name, row_nodes, given=name not in made, pushed=wanted, kept=outside and name in made
        )
        if tensor is None:
            return None
        tensors.append(tensor)
    if pushed is not None and not any(tensor.pushed for tensor in tensors):
        return None
    return schedule_rows(row_nodes, tensors)


def _row_tensor(
    graph: Graph, name: str, nodes: Sequence[RowNode], *, given: bool, pushed: bool, kept: bool
) -> RowTensor | None:
    """A tensor with the padding that its readers want; None where they disagree on its value."""
    height = graph.tensors[name].shape[1]
    top, bottom = 0, 0
    values: set[int] = set()
    for node in nodes:
        if name in node.inputs:
            out = graph.tensors[node.output].shape[1]
            below = (out - 1) * node.window.stride - node.window.pad_top + node.window.kernel - height
            if node.window.pad_top > 0 or below > 0:
                values.add(node.window.pad_value)
            top, bottom = max(top, node.window.pad_top), max(bottom, below)
    if len(values) > 1 or not _fits(graph.tensors[name].dtype, values, pushed=pushed):
        return None
    return RowTensor(
        name,
        height,
        row_bytes(graph.tensors[name]),
        given,
        pushed,
        kept,
        pad_top=top,
        pad_bottom=bottom,
        pad_value=next(iter(values), 0),
    )


def _fits(dtype: str, pad_values: set[int], *, pushed: bool) -> bool:
    """Whether rows are filled and pushed byte by byte as the type wants it."""
    return dtype == "int8" or (dtype == "int16" and not pushed and pad_values <= {0})


def homes_of(choices: Sequence[Choice], schedule: RowSchedule) -> dict[str, str]:
    """The outputs that take the place of rows which die in the call that makes them, where every core's kernel allows it."""
    homes: dict[str, str] = {}
    for i, (choice, node) in enumerate(zip(choices, schedule.nodes, strict=True)):
        if node.output not in schedule.passing:
            continue
        size = node.rows * schedule.tensors[node.output].row_bytes
        for k, name in enumerate(node.inputs):
            tensor = schedule.tensors[name]
            calls = [lowering.calls[0] for _, lowering in choice.branches]
            fits = all(call.in_place == k or call.overlap.get(k, 1) <= 0 for call in calls)
            if fits and not tensor.whole and schedule.spare[i, name] >= size:
                homes[node.output] = name
                break
    return homes


def region_need(choices: Sequence[Choice], schedule: RowSchedule) -> list[int]:
    """Bytes that each node of a region takes while it runs, if nothing overlaps: what stays, what passes by, scratch."""
    homes = homes_of(choices, schedule)
    passing: dict[str, tuple[int, int]] = {}
    staying = 0
    for name, tensor in schedule.tensors.items():
        if name in schedule.passing and name not in homes:
            made = next(i for i, node in enumerate(schedule.nodes) if node.output == name)
            passing[name] = made, schedule.last_reader(name)
        elif name not in homes:
            staying += schedule.capacities[name] * tensor.row_bytes
    for name in schedule.passing:
        home = name
        while home in homes:
            home = homes[home]
        if home in passing:
            passing[home] = passing[home][0], max(passing[home][1], schedule.last_reader(name))
    size = {name: schedule.capacities[name] * schedule.tensors[name].row_bytes for name in passing}
    return [
        staying
        + sum(size[name] for name, (made, last) in passing.items() if made <= i <= last)
        + max(lowering.scratch for _, lowering in choice.branches)
        for i, choice in enumerate(choices)
    ]


def region_operations(
    region: Region, step: int, roots: Mapping[str, str], insets: Mapping[str, int]
) -> tuple[tuple[RowOp, ...], tuple[int, ...]]:
    """The different operations of a region, and in which order they follow each other.

    `step` is the number of the region's first step; `roots` and `insets` say in which buffer a tensor lies, and where in it.
    """
    listing = _Listing(region, step, roots, insets)
    listing.fill_padding()
    for event in region.schedule.events:
        listing.add(event)
    ops = tuple(dict.fromkeys(listing.done))
    number = {op: i for i, op in enumerate(ops)}
    return ops, tuple(number[op] for op in listing.done)


class _Listing:
    """Operations with the bytes they touch, while the windows move down their images."""

    def __init__(self, region: Region, step: int, roots: Mapping[str, str], insets: Mapping[str, int]) -> None:
        self.region, self.schedule, self.step = region, region.schedule, step
        self.roots, self.insets = roots, insets
        self.first = {name: 0 if t.whole else -t.pad_top for name, t in self.schedule.tensors.items()}
        self.homed: dict[str, tuple[Place, int]] = {}
        self.done: list[RowOp] = []

    def place(self, name: str, row: int) -> Place:
        """Where a row lies now."""
        row_size = self.schedule.tensors[name].row_bytes
        if name in self.homed:
            home, first = self.homed[name]
            return Place(home.buffer, home.offset + (row - first) * row_size)
        buffer = self.roots.get(name, name)
        offset = (row - self.first[name]) * row_size
        return Place(buffer, self.insets.get(buffer, 0) + offset)

    def fill(self, tensor: RowTensor, row: int, rows: int) -> None:
        size = rows * tensor.row_bytes
        if size:
            self.done.append(RowOp("fill", write=self.place(tensor.name, row), size=size, value=tensor.pad_value))

    def fill_padding(self) -> None:
        """What is there before the first row: padding above, and below where the tensor is whole."""
        for tensor in self.schedule.tensors.values():
            self.fill(tensor, -tensor.pad_top, tensor.pad_top)
            if tensor.whole:
                self.fill(tensor, tensor.height, tensor.pad_bottom)

    def add(self, event: Event) -> None:
        """The operations of one event."""
        tensor = self.schedule.tensors[event.tensor]
        node = self.schedule.nodes[event.node]
        rows = node.rows if event.kind == "call" else 1
        home = self.region.homes.get(event.tensor)
        if home is None and not tensor.whole:
            self.make_room(event, rows)
        if event.kind == "row":
            self.done.append(RowOp("row", write=self.place(event.tensor, event.row)))
        elif event.kind == "pad":
            self.fill(tensor, event.row, 1)
        else:
            reads = tuple(self.place(name, node.first_row(event.row)) for name in node.inputs)
            if home is not None:
                self.homed[event.tensor] = reads[node.inputs.index(home)], event.row
            write, size = self.place(event.tensor, event.row), rows * tensor.row_bytes
            self.done.append(RowOp("call", self.step + event.node, reads, write=write, size=size))

    def make_room(self, event: Event, rows: int) -> None:
        """Where a window is full, the rows that are still needed move to its start."""
        name = event.tensor
        if event.row + rows - self.first[name] > self.schedule.capacities[name]:
            source = self.place(name, event.low)
            self.first[name] = event.low
            size = (event.row - event.low) * self.schedule.tensors[name].row_bytes
            if size:
                self.done.append(RowOp("move", reads=(source,), write=self.place(name, event.low), size=size))

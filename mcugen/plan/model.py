"""The plain data of the memory planner: what lives when, what may share bytes, and what came out.

Nothing here knows graphs, operators or tensors. Offsets and sizes are bytes, steps are numbered
0, 1, 2 ... in the order they run; step -1 is "before the run", where the model's inputs are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class PlanError(Exception):
    """A plan, or what a plan was asked for, is wrong; the message lists every finding, one a line."""


@dataclass(frozen=True)
class Buffer:
    """One run of bytes in the arena, live over the steps ``first`` to ``last``, both included.

    A model input starts at step -1, a model output lasts until the last step, scratch of one step has
    ``first == last``. ``tail`` bytes after the end must exist in the arena, because a kernel reads
    past the end; what they hold does not matter, so they may belong to any other buffer.
    """

    name: str
    size: int
    first: int
    last: int
    align: int = 4
    tail: int = 0


@dataclass(frozen=True)
class Overlap:
    """The step that reads ``reader`` for the last time writes ``writer``, and they may share bytes.

    Its kernel writes ascending addresses, and is safe when ``offset(writer) + distance <= offset(reader)``.
    The distance may be negative. The rule holds only where the lives meet in exactly that one step
    (``reader.last == writer.first``); elsewhere it is void.
    """

    writer: str
    reader: str
    distance: int


@dataclass(frozen=True)
class Alias:
    """``child`` lies inside ``parent``, ``offset`` bytes after its start (concat or slice as a view)."""

    child: str
    parent: str
    offset: int


@dataclass(frozen=True)
class Plan:
    """Offsets by buffer name, and how good they are: ``lower_bound <= optimum <= peak`` bytes.

    ``method`` is ``"optimal"`` when the bounds are equal, else ``"within N bytes"``. ``work`` counts the
    elementary operations of the search: it depends on the input alone, and stands for time where time
    would not repeat.
    """

    offsets: Mapping[str, int]
    peak: int
    lower_bound: int
    method: str
    work: int = 0


@dataclass(frozen=True)
class Step:
    """One kernel call: the tensors it reads and writes, and its scratch in bytes."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: int = 0


@dataclass(frozen=True)
class Order:
    """An order of steps, the peak of its live bytes, and a bound that no order can beat.

    ``exact`` says that ``peak == lower_bound``; ``work`` counts the runs of a step that were tried.
    """

    order: tuple[str, ...]
    peak: int
    lower_bound: int
    exact: bool
    work: int = 0

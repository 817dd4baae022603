"""The planned program: steps that call kernels, buffers with offsets, constants; all that the emitter needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class KernelCall:
    """One call of a C kernel: `function(&params, inputs..., outputs..., scratch)`.

    `params` and `constants` are the fields of `struct function`, by the names that the C struct gives them; constants become
    pointers to const arrays.  `headers` are files of runtime_c.  `scratch` is in bytes, word-aligned.  `overlap` maps an
    input's index to the distance in bytes at which the output may begin before that input (see plan.model.Overlap); an
    input that is absent may not share bytes with the output.  `over_read` maps an input's index to the bytes that the
    kernel may read past its end.  `cycles` and `code_bytes` are the cost model's figures for the target; `shared_code` maps
    the functions of which a firmware holds one copy, whoever calls it, to their bytes.
    A node that takes several calls says with `reads` which of its inputs a call takes (None: all), and with the offsets how
    many bytes into each operand it begins.
    """

    function: str
    headers: tuple[str, ...]
    params: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    scratch: int = 0
    overlap: Mapping[int, int] = field(default_factory=dict)
    over_read: Mapping[int, int] = field(default_factory=dict)
    cycles: float = 0.0
    code_bytes: int = 0
    shared_code: Mapping[str, int] = field(default_factory=dict)
    variant: str = "portable"
    in_place: int | None = None
    """An input whose very bytes the output may take, place for place, where `overlap` allows no sliding."""
    copies: bool = False
    """The call writes the input's bytes as they are: it is left out where they lie in their place already."""
    reads: tuple[int, ...] | None = None
    input_offsets: tuple[int, ...] = ()
    output_offsets: tuple[int, ...] = ()
    inline: bool = True
    """Specialised for this layer by the C compiler (True), or one shared copy called with a pointer to its parameters."""

    @property
    def struct(self) -> str:
        return self.function

    @property
    def weight_bytes(self) -> int:
        return sum(array.nbytes for array in self.constants.values())


@dataclass(frozen=True)
class Buffer:
    """A piece of the arena: `size` bytes at `offset`, live from step `first` to step `last`; -1 is before the run."""

    name: str
    size: int
    offset: int
    first: int
    last: int
    align: int = 4
    tail: int = 0
    """Bytes behind the end that a kernel may read, whatever they hold."""


@dataclass(frozen=True)
class Operand:
    """What a step reads or writes: a tensor that lies in a buffer at a byte offset, or a constant."""

    tensor: str
    buffer: str
    offset: int
    size: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Branch:
    """A kernel call for the cores where a preprocessor condition holds; the empty condition is all the others."""

    condition: str
    call: KernelCall


@dataclass(frozen=True)
class Step:
    """One layer of the program: the kernel call, its operands, and what a person wants to know of it.

    `call` is what the target's own core runs.  A generic target has several `branches`, the first whose condition holds is
    compiled; another target has one, with an empty condition.
    """

    name: str
    op: str
    call: KernelCall
    branches: tuple[Branch, ...]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    scratch: Operand | None
    comment: str
    macs: int
    origin: tuple[str, ...]
    repeats: int = 1
    """How often the call is made in a run: once for every block of rows in a region that runs row by row."""


@dataclass(frozen=True)
class Place:
    """A byte of a buffer, counted from its start."""

    buffer: str
    offset: int


@dataclass(frozen=True)
class RowOp:
    """What is done in a region that runs row by row.

    "call": step `step` makes `size` bytes of rows at `write` of the rows at `reads`.  "move": `size` bytes move from
    `reads[0]` down to `write`.  "fill": `size` bytes become `value`.  "row": the next row of the model's input arrives at
    `write`.
    """

    kind: Literal["call", "move", "fill", "row"]
    step: int = -1
    reads: tuple[Place, ...] = ()
    write: Place = field(kw_only=True)
    size: int = 0
    value: int = 0


@dataclass(frozen=True)
class Window:
    """The rows of a tensor that are held at once: `capacity` of `height`, `row_bytes` each; `shared` has no bytes of its own."""

    tensor: str
    capacity: int
    height: int
    row_bytes: int
    shared: bool


@dataclass(frozen=True)
class RowRegion:
    """Steps `first` to `last`, run row by row: `ops` in the order of `events` (indices into ops).

    `input` is the model input that arrives row by row, `state` the 4 bytes that then keep the position between two rows.
    """

    first: int
    last: int
    ops: tuple[RowOp, ...]
    events: tuple[int, ...]
    windows: tuple[Window, ...]
    input: str | None = None
    state: Place | None = None


@dataclass(frozen=True)
class Port:
    """A model input or output: its C name, where it lies, and how its integers become real numbers.

    With `dynamic`, the integers are followed by an exponent and a zero point, and `scale` and `zero_point` mean nothing.
    """

    name: str
    c_name: str
    operand: Operand
    scale: float
    zero_point: int
    dynamic: bool = False


@dataclass(frozen=True)
class State:
    """Bytes of the arena that live from one run to the next, each `initial` before the first."""

    operand: Operand
    initial: int


@dataclass(frozen=True)
class Program:
    """The integer program of a model as the target will run it."""

    name: str
    steps: tuple[Step, ...]
    buffers: tuple[Buffer, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    arena_size: int
    arena_align: int
    lower_bound: int
    plan_method: str
    notes: tuple[str, ...] = ()
    """What was traded to keep the limits, for the report."""
    weights_section: str | None = None
    arena_section: str | None = None
    regions: tuple[RowRegion, ...] = ()
    """What runs row by row."""
    advice: str = ""
    """An option that would need less RAM, where a limit is not kept."""
    states: tuple[State, ...] = ()
    """What lives on from one run to the next."""

    @property
    def input_rows(self) -> RowRegion | None:
        """The region that takes the model's input row by row, if there is one."""
        return next((region for region in self.regions if region.input is not None), None)


def comment_text(text: str) -> str:
    """A text as it may stand in a comment of C: ASCII on one line, which neither ends the comment nor begins another."""
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("*/", "* /").replace("/*", "/ *")

"""From the blocks that ran to what they cost: the counting rules, apart from any emulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from mcugen.run.cycles import BlockCost, Instruction, block_cost
from mcugen.run.elf import Image
from mcugen.run.results import OperationCounts, RunCost, StepCost
from mcugen.run.stack import stack_reach
from mcugen.targets import CycleTable

_SIZE_BITS = 20
_CHUNK = 1 << 20
_NOWHERE = -1
"""The label of what runs in no step."""

Int64Array = npt.NDArray[np.int64]
Labeller = Callable[[Int64Array, int], Int64Array]
"""The step of each block, from the blocks and the step before them."""

Decoder = Callable[[int, int], list[Instruction]]
"""The instructions of a block, from its address and size."""


@dataclass(frozen=True)
class BlockTrace:
    """Every basic block in the order it ran, as address << 20 | size, and the stack pointer at its start.

    `unaligned` holds the index of the block for each unaligned load or store, `culprits` the address of
    each instruction that was off its word or halfword.
    """

    blocks: Int64Array
    stack_pointers: Int64Array
    unaligned: Int64Array
    culprits: Int64Array


@dataclass
class _Tally:
    """Sums by label; column order: instructions, cycles, loads, stores, multiplies, taken branches."""

    sums: dict[int, Int64Array] = field(default_factory=dict)
    unaligned: dict[int, int] = field(default_factory=dict)


def cost_of_trace(
    trace: BlockTrace, image: Image, model: str, decode: Decoder, table: CycleTable, *, stack: int
) -> RunCost:
    """The cost of a run between the marks, in total and by step.

    A block counts to the step whose function MODEL_step_I was entered last, until MODEL_run, or what calls the steps in
    its place, is back in control; a taken branch is a block that does not begin where the one before it ended, and counts
    to the one before.
    """
    # the marks' own instructions are the test program's
    marks = [image.address("bench_begin"), image.address("bench_end")]
    kept = ~np.isin(trace.blocks >> _SIZE_BITS, marks)
    blocks = trace.blocks[kept]
    positions = np.cumsum(kept)[trace.unaligned] - 1
    tally = _tally(blocks, positions, partial(_labels, image, model), decode, table)
    total = sum(tally.sums.values(), np.zeros(6, np.int64))
    unaligned = sum(tally.unaligned.values())
    steps = tuple(
        StepCost(label, int(sums[0]), int(sums[1]) + tally.unaligned.get(label, 0) * table.unaligned)
        for label, sums in sorted(tally.sums.items())
        if label != _NOWHERE
    )
    loads, stores, multiplies, taken = (int(value) for value in total[2:])
    counts = OperationCounts(loads, stores, multiplies, taken, unaligned)
    return RunCost(int(total[0]), int(total[1]) + unaligned * table.unaligned, stack, steps, counts)


def stack_reached(trace: BlockTrace, decode: Decoder, stack_pointer: int) -> int:
    """How far below `stack_pointer` the stack pointer went, in bytes: at the start of a block, or within one."""
    keys, index = np.unique(trace.blocks, return_inverse=True)
    reach = np.array([stack_reach(decode(*_address_and_size(key))) for key in keys.tolist()], np.int64)
    return int((stack_pointer - trace.stack_pointers + reach[index]).max(initial=0))


def _address_and_size(key: int) -> tuple[int, int]:
    return key >> _SIZE_BITS, key & ((1 << _SIZE_BITS) - 1)


def _tally(blocks: Int64Array, unaligned: Int64Array, label_of: Labeller, decode: Decoder, table: CycleTable) -> _Tally:
    keys = np.unique(blocks)
    costs = [block_cost(decode(*_address_and_size(key)), table) for key in keys.tolist()]
    rows = np.array([_row(cost) for cost in costs], np.int64).reshape(len(keys), 5)
    penalties = np.array([cost.taken for cost in costs], np.int64)
    tally = _Tally()
    label = _NOWHERE
    for first in range(0, len(blocks), _CHUNK):
        chunk = blocks[first : first + _CHUNK + 1]
        labels = label_of(chunk, label)
        ends = (chunk >> _SIZE_BITS) + (chunk & ((1 << _SIZE_BITS) - 1))
        taken = np.append(ends[:-1] != chunk[1:] >> _SIZE_BITS, False)[:_CHUNK]
        label = int(labels[min(_CHUNK, len(labels)) - 1])
        chunk, labels = chunk[:_CHUNK], labels[:_CHUNK]
        index = np.searchsorted(keys, chunk)
        for each in np.unique(labels):
            here = labels == each
            executed = np.bincount(index[here], minlength=len(keys))
            branched = np.bincount(index[here & taken], minlength=len(keys))
            sums = np.append(executed @ rows, branched.sum())
            sums[1] += branched @ penalties
            tally.sums[int(each)] = tally.sums.get(int(each), np.zeros(6, np.int64)) + sums
        inside = unaligned[(unaligned >= first) & (unaligned < first + len(chunk))] - first
        for each, count in zip(*np.unique(labels[inside], return_counts=True), strict=True):
            tally.unaligned[int(each)] = tally.unaligned.get(int(each), 0) + int(count)
    return tally


def _row(cost: BlockCost) -> tuple[int, int, int, int, int]:
    return cost.instructions, cost.cycles, cost.loads, cost.stores, cost.multiplies


def _labels(image: Image, model: str, blocks: Int64Array, before: int) -> Int64Array:
    """The step of each block; `before` is the label of the block before the first."""
    addresses = blocks >> _SIZE_BITS
    labels = np.full(len(blocks), -2, np.int64)
    for control in image.controls(model):
        labels[(addresses >= control.address) & (addresses < control.address + control.size)] = _NOWHERE
    for entry, step in image.steps(model).items():
        labels[addresses == entry] = step
    known = np.where(labels == -2, -1, np.arange(len(labels)))
    latest = np.maximum.accumulate(known)
    return np.where(latest < 0, before, labels[np.maximum(latest, 0)])

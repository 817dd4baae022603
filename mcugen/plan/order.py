"""The order of the steps: of all topological orders one whose live bytes peak lowest.

A state is the set of steps already run; it fixes which tensors are alive. The search goes through states in
the order of the peak that reaching them costs (Dijkstra's algorithm with maximum in place of sum), so the
first complete state is optimal, and whenever it must stop, the lowest peak still open bounds every order.

Dominance: let a chain of steps, each made possible by the one before, run from a state without exceeding
the peak so far and end with no more live bytes than the state had, at the chain's lowest point. Then
running it at once is never worse: in any completion, moving these steps to the front only lowers the
live bytes in between, because what they allocate is no more than what they free, and their inputs can
only die earlier. So nothing else is tried from that state. This is what keeps branches of long chains
from multiplying (compare Liu, "An application of generalized tree pebbling to sparse matrix
factorization", 1987, where for trees such hills and valleys are the whole solution).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcugen.plan.model import Order, Overlap, PlanError, Step


def plan_order(
    steps: Sequence[Step],
    sizes: Mapping[str, int],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    overlaps: Iterable[Overlap] = (),
    effort: int = 200_000,
    beam: int = 16,
) -> Order:
    """A topological order of ``steps`` with the lowest peak of live bytes found, and a proved bound.

    ``sizes`` are the tensors' bytes; ``inputs`` are alive from before the first step to their last use,
    ``outputs`` from when they are written to the end. A step needs its inputs, outputs, scratch and all
    that lives across it. With ``overlaps`` (named by tensors), a step whose input dies in it needs less by
    what the best one of its rules lets two buffers share: an estimate, since offsets are not yet known.

    Exact when ``effort`` (counted runs of a step) suffices, else the best of the given order and a beam
    search, with the gap in the bound. The given order is kept when it is as good; else, of the best
    orders, the one that runs early steps earliest. Raises PlanError for tensors without size or
    producer, and for cycles.
    """
    graph = _Graph(steps, sizes, inputs, outputs, tuple(overlaps))
    given = graph.given_order()
    peak = graph.peak(given)
    found = _Frontier(graph, effort // 2)
    optimum = found.run()
    best = given
    if optimum is not None and optimum < peak:
        best, peak = _earliest(graph, optimum, found.path(), effort // 4), optimum
    elif optimum is None:
        other = _beam(graph, beam)
        if graph.peak(other) < peak:
            best, peak = other, graph.peak(other)
    lower_bound = peak if optimum is not None else min(found.bound, peak)
    names = tuple(steps[number].name for number in best)
    return Order(names, peak, lower_bound, peak == lower_bound, graph.runs)


@dataclass(frozen=True)
class _State:
    """``done`` and ``ready`` are bit sets of the steps that ran and can run, ``live`` the bytes alive between."""

    done: int
    ready: int
    live: int

    def next_steps(self) -> Iterator[int]:
        """The steps that can run, in the given order."""
        left = self.ready
        while left:
            yield (left & -left).bit_length() - 1
            left &= left - 1


class _Graph:
    """Steps by number, and what running one of them does to a state."""

    def __init__(
        self,
        steps: Sequence[Step],
        sizes: Mapping[str, int],
        inputs: Sequence[str],
        outputs: Sequence[str],
        overlaps: Sequence[Overlap],
    ) -> None:
        self.count = len(steps)
        self.runs = 0
        self.sizes = sizes
        self.all_done = (1 << self.count) - 1
        self.steps = steps
        self.reads = [tuple(dict.fromkeys(step.inputs)) for step in steps]
        self.kept = set(outputs)
        producer = _producers(steps, sizes, inputs, outputs)
        self.readers: dict[str, int] = {}
        self.before = [0] * self.count
        self.next: list[list[int]] = [[] for _ in steps]
        for number, names in enumerate(self.reads):
            for name in names:
                self.readers[name] = self.readers.get(name, 0) | 1 << number
                made_by = producer[name]
                if made_by >= 0 and not self.before[number] >> made_by & 1:
                    self.before[number] |= 1 << made_by
                    self.next[made_by].append(number)
        self.made = [sum(sizes[name] for name in step.outputs) + step.scratch for step in steps]
        self.stays = [
            sum(sizes[name] for name in step.outputs if name in self.readers or name in self.kept) for step in steps
        ]
        self.savings = [_savings(step, sizes, overlaps) for step in steps]
        self.input_bytes = sum(sizes[name] for name in dict.fromkeys(inputs))
        used = [name for name in dict.fromkeys(inputs) if name in self.readers or name in self.kept]
        ready = sum(1 << number for number in range(self.count) if not self.before[number])
        self.start = _State(0, ready, sum(sizes[name] for name in used))

    def run(self, state: _State, number: int) -> tuple[int, _State]:
        """The bytes that a step needs in a state, and the state after it."""
        self.runs += 1
        done = state.done | 1 << number
        dead = [name for name in self.reads[number] if name not in self.kept and not self.readers[name] & ~done]
        saving = max((share for name, share in self.savings[number] if name in dead), default=0)
        needed = state.live + self.made[number] - saving
        ready = state.ready & ~(1 << number)
        for after in self.next[number]:
            if not self.before[after] & ~done:
                ready |= 1 << after
        return needed, _State(done, ready, state.live + self.stays[number] - sum(self.sizes[name] for name in dead))

    def peak(self, order: Iterable[int]) -> int:
        """The most bytes that an order needs at a time."""
        state, peak = self.start, self.input_bytes
        for number in order:
            needed, state = self.run(state, number)
            peak = max(peak, needed)
        return peak

    def floor(self) -> int:
        """What any order needs: the inputs, the outputs, each step with just what it touches."""
        alone = [
            sum(self.sizes[name] for name in self.reads[number])
            + self.made[number]
            - max((share for _, share in self.savings[number]), default=0)
            for number in range(self.count)
        ]
        return max([self.input_bytes, sum(self.sizes[name] for name in self.kept), *alone])

    def given_order(self) -> list[int]:
        """The steps as they came, each moved back behind what it needs; PlanError when there is a cycle."""
        order: list[int] = []
        state = self.start
        while state.ready:
            order.append(next(state.next_steps()))
            state = self.run(state, order[-1])[1]
        if len(order) < self.count:
            stuck = [step.name for i, step in enumerate(self.steps) if not state.done >> i & 1]
            raise PlanError(f"steps wait for each other in a cycle: {', '.join(stuck)}")
        return order

    def free_run(self, state: _State, peak: int) -> tuple[list[int], _State] | None:
        """A chain of steps that is best run at once, if the state has one (see the module's text)."""
        for first in state.next_steps():
            chain: list[int] = []
            now, lowest, length, end = state, state.live, 0, state
            number = first
            while True:
                needed, now = self.run(now, number)
                if needed > peak:
                    break
                chain.append(number)
                if now.live <= lowest:
                    lowest, length, end = now.live, len(chain), now
                following = [after for after in self.next[number] if not self.before[after] & ~now.done]
                if len(following) != 1:
                    break
                number = following[0]
            if length:
                return chain[:length], end
        return None

    def moves(self, state: _State, peak: int) -> list[tuple[list[int], int, _State]]:
        """What to try from a state: (steps, bytes needed, state after); just one where one dominates."""
        free = self.free_run(state, peak)
        if free is not None:
            return [(free[0], 0, free[1])]
        return [([number], *self.run(state, number)) for number in state.next_steps()]


def _producers(
    steps: Sequence[Step], sizes: Mapping[str, int], inputs: Sequence[str], outputs: Sequence[str]
) -> dict[str, int]:
    """The number of the step that writes each tensor, -1 for inputs."""
    producer = dict.fromkeys(inputs, -1)
    wrong: list[str] = []
    for number, step in enumerate(steps):
        for name in step.outputs:
            if name in producer:
                wrong.append(f"tensor {name!r} is written by {step.name!r} and by another step, or is an input")
            producer[name] = number
    for user, names in [*((step.name, step.inputs) for step in steps), ("the caller", outputs)]:
        wrong += [f"tensor {name!r}, read by {user!r}, has no producer" for name in names if name not in producer]
    wrong += [f"tensor {name!r} has no size" for name in producer if name not in sizes]
    if len({step.name for step in steps}) < len(steps):
        wrong.append("two steps have the same name")
    if wrong:
        raise PlanError("\n".join(wrong))
    return producer


def _savings(step: Step, sizes: Mapping[str, int], overlaps: Sequence[Overlap]) -> list[tuple[str, int]]:
    """(input, bytes shared with an output) for the step's rules."""
    found = []
    for rule in overlaps:
        if rule.writer in step.outputs and rule.reader in step.inputs:
            both = sizes[rule.writer] + sizes[rule.reader]
            together = max(sizes[rule.writer], sizes[rule.reader] + max(rule.distance, 0))
            found.append((rule.reader, max(0, both - together)))
    return found


class _Frontier:
    """Best-first search over the states by peak; deeper states first among equals."""

    def __init__(self, graph: _Graph, limit: int) -> None:
        self.graph = graph
        self.limit = limit
        self.bound = graph.floor()
        self.came: dict[int, tuple[int, list[int]]] = {}

    def run(self) -> int | None:
        """The lowest peak, or None when the limit came first; then ``bound`` is what is proved."""
        graph = self.graph
        heap = [(self.bound, 0, 0, graph.start)]
        reached = {graph.start.done: self.bound}
        pushed = 0
        while heap:
            peak, _, _, state = heapq.heappop(heap)
            if peak > reached[state.done]:
                continue
            self.bound = peak
            if state.done == graph.all_done:
                return peak
            if graph.runs > self.limit:
                return None
            for run, needed, after in graph.moves(state, peak):
                cost = max(peak, needed)
                if cost < reached.get(after.done, cost + 1):
                    reached[after.done] = cost
                    self.came[after.done] = (state.done, run)
                    pushed += 1
                    heapq.heappush(heap, (cost, -after.done.bit_count(), pushed, after))
        raise PlanError("no order of the steps exists")

    def path(self) -> list[int]:
        """The order that led to the complete state."""
        order: list[int] = []
        done = self.graph.all_done
        while done:
            done, run = self.came[done]
            order = run + order
        return order


def _earliest(graph: _Graph, peak: int, path: list[int], limit: int) -> list[int]:
    """Of the orders that stay within ``peak``, the one with the earliest steps first; ``path`` if that takes long."""
    dead: set[int] = set()
    limit += graph.runs

    def completes(start: _State) -> bool | None:
        stack, seen = [start], {start.done}
        while stack:
            state = stack.pop()
            if state.done == graph.all_done:
                return True
            if graph.runs > limit:
                return None
            moves = [after for _, needed, after in graph.moves(state, peak) if needed <= peak]
            fresh = [after for after in moves if after.done not in seen and after.done not in dead]
            seen.update(after.done for after in fresh)
            stack += sorted(fresh, key=lambda after: -after.live)
        dead.update(seen)
        return False

    order: list[int] = []
    state = graph.start
    while state.done != graph.all_done:
        for number in state.next_steps():
            needed, after = graph.run(state, number)
            if needed <= peak and after.done not in dead:
                fine = completes(after)
                if fine is None:
                    return path
                if fine:
                    order.append(number)
                    state = after
                    break
    return order


def _beam(graph: _Graph, width: int) -> list[int]:
    """A good order: from all states with n steps run, the ``width`` best lead to those with n + 1."""
    level: list[tuple[int, int, list[int], _State]] = [(graph.input_bytes, graph.start.live, [], graph.start)]
    for _ in range(graph.count):
        reached: dict[int, tuple[int, int, list[int], _State]] = {}
        for peak, _, order, state in level:
            for number in state.next_steps():
                needed, after = graph.run(state, number)
                entry = (max(peak, needed), after.live, [*order, number], after)
                if after.done not in reached or entry[:3] < reached[after.done][:3]:
                    reached[after.done] = entry
        level = sorted(reached.values(), key=lambda entry: entry[:3])[:width]
    return level[0][2]

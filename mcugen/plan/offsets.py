"""Offsets for buffers: the smallest arena that the allowed overlaps leave, and how sure that is.

First fast placements (greedy.py), then an exact search (search.py) that starts at the proved lower bound
(bounds.py) and closes the gap from both sides. Everything is limited by counted work, not by time: the
same input gives the same offsets on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcugen.plan.bounds import step_bounds
from mcugen.plan.greedy import Work, first_fit, recreate
from mcugen.plan.model import Alias, Buffer, Overlap, Plan
from mcugen.plan.packing import Packing, active_rules, build_packing, index_buffers
from mcugen.plan.search import Clique, fit

WORK_PER_SECOND = 1_000_000
"""Elementary operations that an ordinary machine does in a second of ``time_limit``."""


def plan_offsets(
    buffers: Iterable[Buffer],
    overlaps: Iterable[Overlap] = (),
    aliases: Iterable[Alias] = (),
    *,
    time_limit: float = 2.0,
) -> Plan:
    """Offsets of all buffers with the smallest peak found, and a proved lower bound for any plan.

    ``time_limit`` is a rough number of seconds; it is spent as ``time_limit * WORK_PER_SECOND`` counted
    operations. Raises PlanError when the input contradicts itself.
    """
    by_name = index_buffers(buffers)
    rules = active_rules(by_name, overlaps)
    packing = build_packing(by_name, rules, aliases)
    bounds = step_bounds(packing, rules)
    work = Work(int(time_limit * WORK_PER_SECOND), done=8 * len(packing.separations))
    bases, lower_bound = _minimise(packing, bounds.cliques, bounds.lower_bound, work)
    placed = {
        buffer.name: base + relative
        for base, item in zip(bases, packing.items, strict=True)
        for buffer, relative in item.members
    }
    peak = packing.peak(bases)
    method = "optimal" if peak == lower_bound else f"within {peak - lower_bound} bytes"
    return Plan({name: placed[name] for name in by_name}, peak, lower_bound, method, work.done)


def _minimise(packing: Packing, cliques: Sequence[Clique], lower_bound: int, work: Work) -> tuple[list[int], int]:
    """Best bases found and the lower bound proved: fast placements, the exact search, both in turn."""
    best = first_fit(packing, lower_bound, work)
    for local_share, exact_share in ((40, 10), (3, 1)):
        with work.part(local_share) as part:
            best = recreate(packing, best, lower_bound, part)
        with work.part(exact_share) as part:
            best, lower_bound = _bisect(packing, cliques, best, lower_bound, part)
    return best, lower_bound


def _bisect(
    packing: Packing, cliques: Sequence[Clique], best: list[int], lower_bound: int, work: Work
) -> tuple[list[int], int]:
    """Narrow the range between lower bound and best peak by asking the exact search for arena sizes.

    First the bound itself, then by bisection the sizes between the last failure and the best peak; at
    the end what work is left goes into raising the bound below the sizes that were too hard.
    """
    peak = packing.peak(best)
    failed = lower_bound - 1
    too_hard: list[int] = []
    arena = lower_bound
    while lower_bound < peak and not work.spent:
        with work.part(3) as part:
            answer = fit(packing, cliques, arena, part)
        if answer.bases is not None:
            best = list(answer.bases)
            peak = packing.peak(best)
        elif answer.proved:
            failed, lower_bound = max(failed, arena), arena + 1
        else:
            failed = max(failed, arena)
            too_hard.append(arena)
        too_hard = [size for size in too_hard if size >= lower_bound]
        low, high = (failed, peak) if failed + 1 < peak else (lower_bound - 1, min(too_hard, default=peak))
        if low + 1 >= high:
            break
        arena = (low + high) // 2
    return best, lower_bound

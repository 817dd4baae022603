"""Pictures of a memory plan: as text, one row a step, and as a self-contained SVG of the arena over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mcugen.plan.model import Buffer, Plan

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Moment:
    """One step: what is alive, how many bytes that covers, and where the highest of them ends."""

    step: int
    alive: tuple[Buffer, ...]
    covered: int
    top: int

    @property
    def shared(self) -> int:
        """Bytes that count twice because two buffers lie on them."""
        return sum(buffer.size for buffer in self.alive) - self.covered


@dataclass(frozen=True)
class Arena:
    """A plan step by step; ``peak_moment`` is the fullest of the steps that reach the peak."""

    buffers: tuple[Buffer, ...]
    moments: tuple[Moment, ...]
    peak: int
    lower_bound: int

    @property
    def peak_moment(self) -> Moment:
        return max((m for m in self.moments if m.top == self.peak), key=lambda m: (m.covered, -m.step))


def arena_of(buffers: Iterable[Buffer], plan: Plan) -> Arena:
    """What is alive in each step of the plan, from the input (step -1) on; buffers by their places."""
    inside = tuple(sorted(buffers, key=lambda b: (plan.offsets[b.name], b.first, b.name)))
    last = max((buffer.last for buffer in inside), default=-1)
    moments = tuple(_moment(inside, plan, step) for step in range(-1, last + 1))
    return Arena(inside, moments, plan.peak, plan.lower_bound)


def _moment(buffers: Sequence[Buffer], plan: Plan, step: int) -> Moment:
    alive = tuple(buffer for buffer in buffers if buffer.first <= step <= buffer.last)
    covered, reached, top = 0, 0, 0
    for buffer in alive:
        start = plan.offsets[buffer.name]
        covered += max(0, start + buffer.size - max(start, reached))
        reached = max(reached, start + buffer.size)
        top = max(top, start + buffer.size + buffer.tail)
    return Moment(step, alive, covered, top)


def explain_peak(arena: Arena, plan: Plan, steps: Sequence[str] = ()) -> str:
    """What makes the arena as large as it is, and what no plan could save; two lines."""
    moment = arena.peak_moment
    parts = " + ".join(f"{b.name} {b.size}" for b in sorted(moment.alive, key=lambda b: (-b.size, b.name)) if b.size)
    shared = f", {moment.shared} of them shared" if moment.shared else ""
    unused = f", {arena.peak - moment.covered} unused or read past an end" if moment.covered < arena.peak else ""
    if arena.peak == arena.lower_bound:
        bound = f"lower bound {arena.lower_bound} bytes: no plan needs less"
    else:
        bound = (
            f"lower bound {arena.lower_bound} bytes: a better plan could save at most {arena.peak - arena.lower_bound}"
        )
    return f"peak {arena.peak} bytes at {_step_name(moment.step, steps)}: {parts}{shared}{unused}\n{bound}"


def render_text(buffers: Iterable[Buffer], plan: Plan, *, steps: Sequence[str] = (), width: int = 64) -> str:
    """The arena as text: a row a step, low addresses left, a letter a buffer, ``#`` where two share bytes.

    ``steps`` are the steps' names, as far as they have one; the fullest step is marked with ``<- peak``. A table of the
    buffers follows.
    """
    arena = arena_of(buffers, plan)
    letters = {buffer.name: _LETTERS[i % len(_LETTERS)] for i, buffer in enumerate(arena.buffers)}
    titles = [_step_name(moment.step, steps) for moment in arena.moments]
    margin = max(len(title) for title in titles)
    lines = [f"arena: {explain_peak(arena, plan, steps)}", ""]
    lines.append(f"{'step':<{margin}}  {'bytes':>8}  0{arena.peak:>{width - 1}}")
    for moment, title in zip(arena.moments, titles, strict=True):
        mark = " <- peak" if moment == arena.peak_moment else ""
        row = _row(moment, plan, arena.peak, width, letters)
        lines.append(f"{title:<{margin}}  {moment.covered:>8}  {row}{mark}".rstrip())
    longest = max((len(buffer.name) for buffer in arena.buffers), default=0)
    lines += ["", f"   {'buffer':<{longest}}  {'from':>8}  {'to':>8}  {'bytes':>8}  steps"]
    for buffer in arena.buffers:
        start = plan.offsets[buffer.name]
        place = f"{start:>8}  {start + buffer.size:>8}  {buffer.size:>8}"
        lines.append(f"{letters[buffer.name]}  {buffer.name:<{longest}}  {place}  {buffer.first}..{buffer.last}")
    return "\n".join([*lines, ""])


def _step_name(step: int, steps: Sequence[str]) -> str:
    if step < 0:
        return "-1 input"
    return f"{step} {steps[step]}" if step < len(steps) else str(step)


def _row(moment: Moment, plan: Plan, peak: int, width: int, letters: dict[str, str]) -> str:
    """The arena in ``width`` cells; a cell shows who has most of its bytes."""
    cells = []
    for cell in range(width):
        low, high = cell * peak / width, (cell + 1) * peak / width
        inside: list[tuple[float, str]] = []
        for buffer in moment.alive:
            start = plan.offsets[buffer.name]
            bytes_here = min(high, start + buffer.size) - max(low, start)
            if bytes_here > 0:
                inside.append((bytes_here, letters[buffer.name]))
        if sum(here for here, _ in inside) > (high - low) * 1.001:
            cells.append("#")
        else:
            cells.append(max(inside)[1] if inside else ".")
    return "".join(cells)


def render_svg(
    buffers: Iterable[Buffer], plan: Plan, *, steps: Sequence[str] = (), column: int = 0, height: int = 360
) -> str:
    """The arena over time as an SVG document: a column a step, addresses upwards, a labelled box a buffer.

    Boxes are translucent, so bytes that two buffers share show both; the fullest step is framed, the peak and
    the proved lower bound are lines. ``column`` is the width of a step in pixels (0: by their number). Same plan, same text.
    """
    arena = arena_of(buffers, plan)
    count = len(arena.moments)
    column = column or max(12, min(72, 1200 // count))
    left, top, bottom = 70, 40, 70
    width, total = left + count * column + 20, top + height + bottom
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}" viewBox="0 0 {width} {total}" '
            'font-family="sans-serif" font-size="10">',
            f'<rect width="{width}" height="{total}" fill="#ffffff"/>',
            *_chart(arena, plan, steps, _Frame(left, top, column, height)),
            "</svg>",
            "",
        ]
    )


@dataclass(frozen=True)
class _Frame:
    """Where a chart lies, in pixels, and how steps and bytes become pixels."""

    left: int
    top: int
    column: int
    height: int

    def x(self, step: int) -> int:
        return self.left + (step + 1) * self.column

    def y(self, offset: int, peak: int) -> str:
        return _number(self.top + self.height - offset * self.height / max(1, peak))


def _number(value: float) -> str:
    """At most one decimal, none where it is 0."""
    return f"{value:.1f}".removesuffix(".0")


def _chart(arena: Arena, plan: Plan, steps: Sequence[str], frame: _Frame) -> list[str]:
    peak, end = arena.peak, frame.x(len(arena.moments) - 1)
    fullest = arena.peak_moment.step
    heading = escape(f"arena: {explain_peak(arena, plan, steps)}".replace("\n", "; "))
    lines = [
        f'<text x="{frame.left}" y="{frame.top - 14}" font-size="12">{heading}</text>',
    ]
    lines += [_box(buffer, plan.offsets[buffer.name], i, peak, frame) for i, buffer in enumerate(arena.buffers)]
    lines += [label for buffer in arena.buffers for label in _labels(buffer, plan.offsets[buffer.name], peak, frame)]
    lines.append(
        f'<rect class="peak" x="{frame.x(fullest)}" y="{frame.top}" width="{frame.column}" height="{frame.height}" '
        'fill="none" stroke="#c00000" stroke-width="2" pointer-events="none"/>'
    )
    for offset, name, colour in (
        (peak, "peak", "#c00000"),
        (arena.lower_bound, "lower bound", "#006000"),
        (0, "", "#404040"),
    ):
        y = frame.y(offset, peak)
        lines.append(f'<line x1="{frame.left}" x2="{end}" y1="{y}" y2="{y}" stroke="{colour}" stroke-dasharray="4 3"/>')
        if name != "lower bound" or offset != peak:
            lines.append(f'<text x="{frame.left - 4}" y="{y}" text-anchor="end" fill="{colour}">{offset}</text>')
    every = -(-24 // frame.column)
    for moment in arena.moments:
        if moment.step == fullest or moment.step % every == 0:
            weight = ' font-weight="bold"' if moment.step == fullest else ""
            middle = _number(frame.x(moment.step) + frame.column / 2)
            lines.append(
                f'<text x="{middle}" y="{frame.top + frame.height + 12}" text-anchor="middle"{weight}>{moment.step}'
                f"<title>{escape(_step_name(moment.step, steps))}</title></text>"
            )
    return lines


def _box(buffer: Buffer, offset: int, number: int, peak: int, frame: _Frame) -> str:
    x, width = frame.x(buffer.first), (buffer.last - buffer.first + 1) * frame.column
    top, bottom = frame.y(offset + buffer.size, peak), frame.y(offset, peak)
    title = (
        f"{buffer.name}: bytes {offset}..{offset + buffer.size} ({buffer.size}), steps {buffer.first}..{buffer.last}"
    )
    return (
        f'<rect class="buffer" x="{x}" y="{top}" width="{width}" height="{_number(float(bottom) - float(top))}" '
        f'fill="hsl({number * 137 % 360},55%,70%)" fill-opacity="0.7" stroke="#404040" stroke-width="0.6">'
        f"<title>{escape(title)}</title></rect>"
    )


def _labels(buffer: Buffer, offset: int, peak: int, frame: _Frame) -> list[str]:
    """The name, and the size where it fits; nothing in a box too small to read."""
    width = (buffer.last - buffer.first + 1) * frame.column
    top, bottom = float(frame.y(offset + buffer.size, peak)), float(frame.y(offset, peak))
    room = int(width / 5.6)
    if bottom - top < 10 or room < 2:
        return []
    label = f"{buffer.name} {buffer.size}"
    label = label if len(label) <= room else buffer.name[:room]
    x, y = _number(frame.x(buffer.first) + width / 2), _number((top + bottom) / 2 + 3.5)
    return [f'<text x="{x}" y="{y}" text-anchor="middle" pointer-events="none">{escape(label)}</text>']

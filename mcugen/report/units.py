"""Numbers with the unit that reads best."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """Bytes: `812 B`, `20.5 KiB`, `1.25 MiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    if count < 1024 * 1024:
        return f"{count / 1024:.1f} KiB"
    return f"{count / (1024 * 1024):.2f} MiB"


def count_text(count: float) -> str:
    """Counts: `812`, `20.5 k`, `1.25 M`; `-` for none."""
    if count == 0:
        return "-"
    if count < 10_000:
        return f"{count:.0f}"
    if count < 1_000_000:
        return f"{count / 1000:.1f} k"
    return f"{count / 1_000_000:.2f} M"


def ratio_text(ratio: float | None) -> str:
    """A ratio with two digits; `-` for none."""
    return "-" if ratio is None else f"{ratio:.2f}"

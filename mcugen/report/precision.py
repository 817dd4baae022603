"""What `--precision auto` measured, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from mcugen.report.text import table
from mcugen.report.units import bytes_text, count_text

SHOWN = 12
"""Sources of noise that the table shows, the largest first; the report has them all."""


def precision_tables(search: Mapping[str, Any]) -> list[str | Table]:
    """The largest sources of noise, each alone, and the search's steps with what they were expected to bring."""
    sources = table("source of noise", "", ">dB at the output, alone")
    for row in search["sensitivity"][:SHOWN]:
        sources.add_row(row["source"], row["what"], "-" if row["sqnr_db"] is None else f"{row['sqnr_db']:.1f}")
    steps = table("step", ">expected dB", ">cycles", ">weights")
    for row in search["curve"]:
        steps.add_row(row["step"], f"{row['expected_db']:.1f}", count_text(row["cycles"]), bytes_text(row["weights"]))
    return ["", sources, "", steps]

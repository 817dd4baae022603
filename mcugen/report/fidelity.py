"""Fidelity of models or of choices of methods, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from mcugen.fidelity import FidelityRow
from mcugen.report.text import table


def fidelity_table(rows: Sequence[FidelityRow]) -> Table:
    """One row a model and choice of methods, in dB of signal over noise."""
    result = table(
        "model",
        "methods",
        ">samples",
        ">output",
        ">95 % interval",
        ">median",
        ">logits",
        ">same class",
        ">top-1",
        ">float",
    )
    for row in rows:
        f = row.fidelity
        low, high = f.interval_db
        result.add_row(
            row.name,
            row.methods,
            str(row.samples),
            _decibels(f.output_db),
            f"{_decibels(low)} to {_decibels(high)}",
            _decibels(f.median_db),
            _decibels(f.logits_db),
            f"{f.agreement:.3f}",
            _share(f.top1),
            _share(f.float_top1),
        )
    return result


def _decibels(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

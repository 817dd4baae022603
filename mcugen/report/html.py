"""A build's report as one page of HTML: figures, inputs and outputs, layers, and the memory map as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rich.table import Table

from mcugen.report.memory import memory_svg
from mcugen.report.text import folder_text

STYLE = (
    "body{font:15px sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}.number{text-align:right}svg{max-width:100%}"
)


def report_html(report: Mapping[str, Any], folder: str) -> str:
    """A self-contained document: no script, and nothing from elsewhere."""
    name = escape(str(report["name"]))
    parts = [
        _table(part) if isinstance(part, Table) else f"<p>{escape(part)}</p>" for part in folder_text(report, folder)
    ]
    body = "\n".join(part for part in parts if part != "<p></p>")
    picture = memory_svg(report)
    picture = picture[picture.index("<svg") :]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style></head>\n'
        f"<body><h1>{name}</h1>\n{body}\n<h2>Memory</h2>\n{picture}\n</body></html>\n"
    )


def _table(table: Table) -> str:
    right = [column.justify == "right" for column in table.columns]
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    headers = [str(column.header) for column in table.columns]
    head = [_row("th", headers, right)] if table.show_header and any(headers) else []
    return "\n".join(["<table>", *head, *(_row("td", [str(cell) for cell in row], right) for row in rows), "</table>"])


def _row(kind: str, cells: Sequence[str], right: Sequence[bool]) -> str:
    marks = (' class="number"' if number else "" for number in right)
    return "<tr>" + "".join(f"<{kind}{m}>{escape(c)}</{kind}>" for m, c in zip(marks, cells, strict=True)) + "</tr>"

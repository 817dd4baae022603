"""Numbers as C spells them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

LINE = 120


def c_numbers(values: Iterable[Any], indent: str = "    ") -> str:
    """Integers as comma-separated C literals, wrapped."""
    lines, line = [], indent
    for value in values:
        item = c_literal(int(value)) + ", "
        if len(line) + len(item) > LINE:
            lines.append(line.rstrip())
            line = indent
        line += item
    return "\n".join([*lines, line.rstrip().rstrip(",")])


def c_literal(value: int) -> str:
    """An integer in a form that has its value in C (INT32_MIN has no literal)."""
    if value == -(2**31):
        return "(-2147483647 - 1)"
    return f"{value}u" if value > 2**31 - 1 else str(value)


def c_float(value: float) -> str:
    """A float literal with all the digits of a float32."""
    text = f"{np.float32(value):.9g}"
    return text + ("f" if any(c in text for c in ".en") else ".0f")

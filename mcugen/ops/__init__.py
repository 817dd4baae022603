"""The operators, found by being files of this folder."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from mcugen.ops.operator import Operator


@cache
def operators() -> dict[str, Operator]:
    """All operators by name."""
    found: dict[str, Operator] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Operator) and value.__module__ == loaded.__name__ and value.name:
                found[value.name] = value()
    return dict(sorted(found.items()))


def operator(name: str) -> Operator:
    return operators()[name]


@cache
def onnx_operators() -> dict[str, Operator]:
    """The operator that imports each ONNX operator."""
    return {onnx_name: op for op in operators().values() for onnx_name in op.onnx}

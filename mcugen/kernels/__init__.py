"""Kernel variants: one file packs one operator's constants for one C kernel and says when it applies and what it costs.

A file is found by being here; it exposes `OP` (the operator's name) and `candidates(layer, target) -> Iterator[KernelCall]`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target


@cache
def _modules() -> tuple[ModuleType, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(m for m in (importlib.import_module(f"{__name__}.{name}") for name in names) if hasattr(m, "OP"))


def variants(op: str, layer: Any, target: Target) -> Iterator[KernelCall]:
    """Every kernel call by which a variant in this folder can run `layer` on `target`."""
    for module in _modules():
        if op == module.OP:
            yield from module.candidates(layer, target)

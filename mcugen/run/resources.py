"""Where the start-up files are, and how packages are imported that only some commands need."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from mcugen.errors import ToolchainError
from mcugen.resources import resource_folder


def baremetal_folder() -> Path:
    """The folder of start-up files and linker scripts."""
    return resource_folder("runtime_c") / "baremetal"


def require(module: str, *, package: str | None = None, purpose: str) -> ModuleType:
    """Imports an optional module; a missing one is a ToolchainError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = package or module.partition(".")[0]
        raise ToolchainError(
            f"{purpose} needs the Python package '{name}': {error}", hint=f"pip install {name}"
        ) from None

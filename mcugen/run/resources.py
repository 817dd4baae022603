"""Where the C files are that mcugen brings, and how optional Python packages are imported."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from mcugen.errors import ToolchainError

_PACKAGE = Path(__file__).resolve().parents[1]


def baremetal_folder() -> Path:
    """The folder of start-up files and linker scripts: inside an installed package, or beside it in a checkout."""
    inside = _PACKAGE / "runtime_c" / "baremetal"
    return inside if inside.is_dir() else _PACKAGE.parent / "runtime_c" / "baremetal"


def require(module: str, *, package: str | None = None, purpose: str) -> ModuleType:
    """Imports an optional module; a missing one is a ToolchainError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = package or module.partition(".")[0]
        raise ToolchainError(
            f"{purpose} needs the Python package '{name}': {error}", hint=f"pip install {name}"
        ) from None

"""Where the templates and the runtime lie: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """The folder `templates` or `runtime_c`."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name

"""Single files that a command is asked for: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mcugen.errors import McugenError


def write_whole(path: Path, data: bytes, *, option: str) -> None:
    """Write a file beside its place and move it there, so that a full disk leaves what was there before.

    What is no plain file (a pipe, /dev/null) is written to as it is.  `option`: what chose the place.  Raises McugenError.
    """
    plain = path.is_file() or not path.exists()
    partial = path.with_name(f".{path.name}.new") if plain else path
    try:
        partial.write_bytes(data)
        if plain:
            os.replace(partial, path)
    except OSError as error:
        if plain:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        raise McugenError(
            f"{path}: cannot write: {error.strerror or error}",
            hint=f"choose another place with `{option}`, or make room",
        ) from None

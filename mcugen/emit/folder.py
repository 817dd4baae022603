"""The output folder: written whole or not at all, and only where something changed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mcugen.errors import McugenError

MANIFEST = "mcugen.files.json"


def write_folder(folder: Path, files: Mapping[str, str | bytes]) -> list[str]:
    """Make `folder` hold exactly `files` (and whatever else the user put there); returns the paths that changed.

    All files are first written to a new folder beside it, so that a full disk or a crash leaves the old content.  Files that an
    earlier build wrote and this one does not are removed.  Raises McugenError where the place cannot be written, or holds files
    that mcugen did not write.
    """
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        check_place(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            staged = Path(temporary) / "new"
            texts = dict(files) | {MANIFEST: json.dumps({"files": sorted(files)}, indent=1) + "\n"}
            for name, content in texts.items():
                path = staged / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            return _install(staged, folder, list(texts))
    except OSError as error:
        _remove_empty(made)
        raise McugenError(
            f"{folder}: cannot write the output folder: {error.strerror or error}",
            hint="choose another place with `--output DIR`, or make room",
        ) from None


def _remove_empty(folders: list[Path]) -> None:
    """Take back the folders that were made on the way, innermost first."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def check_place(folder: Path) -> None:
    """Raise McugenError where `write_folder` would refuse to write."""
    if folder.exists() and not folder.is_dir():
        raise McugenError(f"{folder}: is a file, not a folder", hint="choose another place with `--output DIR`")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise McugenError(
            f"{folder}: holds files that mcugen did not write", hint="choose an empty or new folder with `--output DIR`"
        )


def _install(staged: Path, folder: Path, names: list[str]) -> list[str]:
    if not folder.exists():
        os.rename(staged, folder)
        folder.chmod(0o777 & ~_umask())
        return sorted(names)
    old = _previous(folder)
    changed = []
    for name in names:
        target = folder / name
        if not target.is_file() or target.read_bytes() != (staged / name).read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, target)
            changed.append(name)
    for name in set(old) - set(names):
        path = folder / name
        path.unlink(missing_ok=True)
        while path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
            path = path.parent
            shutil.rmtree(path)
    return sorted(changed)


def _previous(folder: Path) -> list[str]:
    """Names the last build wrote; a name that would leave the folder is ignored."""
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return []
    root = folder.resolve()
    return [name for name in names if isinstance(name, str) and (root / name).resolve().is_relative_to(root)]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

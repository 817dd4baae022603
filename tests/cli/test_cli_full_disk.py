"""Files that commands are asked for are written whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models

Run = Callable[..., Any]


def test_a_full_disk_leaves_every_file_as_it_was(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, place, data = tmp_path / "out", tmp_path / "place", tmp_path / "x.npz"
    run("build", model, "--target", "cortex-m4", "-o", folder)
    np.savez(data, x=small_models.samples())
    commands = {
        "--html": ("inspect", folder, "--html", place / "page.html"),
        "--outputs": ("run", folder, "--inputs", data, "--outputs", place / "y.npz"),
        "--elf": ("simulate", folder, "--vectors", "1", "--elf", place / "program.elf"),
        "--dump": ("build", model, "-o", tmp_path / "other", "--dump", place, "--no-verify"),
    }
    place.mkdir()
    for name in ("page.html", "y.npz", "program.elf", "float.txt"):
        (place / name).write_text("mine", encoding="utf-8")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.parent != place:
            return write(path, content)
        write(path, content[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        for option, command in commands.items():
            stderr = run(*command, code=1).stderr
            assert "cannot write: No space left on device" in stderr and option in stderr
    assert {path.name: path.read_text(encoding="utf-8") for path in place.iterdir()} == dict.fromkeys(
        ("page.html", "y.npz", "program.elf", "float.txt"), "mine"
    )
    assert not (tmp_path / "other").exists()
    for command in commands.values():
        run(*command)
    assert (place / "program.elf").read_bytes().startswith(b"\x7fELF")
    run("run", folder, "--inputs", data, "--outputs", os.devnull)
    assert not Path(os.devnull).is_file()

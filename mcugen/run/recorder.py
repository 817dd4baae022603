"""Recording what runs in Unicorn through callbacks in C, since Python's would take most of the time."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcugen.errors import ToolchainError
from mcugen.run.resources import require
from mcugen.run.toolchain import compile_host, find_host_compiler, user_cache_folder
from mcugen.run.trace import BlockTrace, Int64Array

_SOURCE = Path(__file__).with_name("recorder.c")


@dataclass(frozen=True)
class Recorder:
    """Callbacks on one Unicorn engine; keep it as long as the engine runs."""

    library: Any
    handle: Any

    def clear(self) -> None:
        """Forgets what was recorded."""
        self.library.recorder_clear(self.handle)

    def trace(self) -> BlockTrace:
        """What was recorded since `clear`."""
        return BlockTrace(
            blocks=self._items(0),
            stack_pointers=self._items(1),
            unaligned=self._items(2),
            culprits=self._items(3),
        )

    def close(self) -> None:
        """Frees the memory; the engine must not run any more."""
        self.library.recorder_delete(self.handle)

    def _items(self, which: int) -> Int64Array:
        count = ctypes.c_size_t()
        items = self.library.recorder_items(self.handle, which, ctypes.byref(count))
        if count.value == 0:
            return np.zeros(0, np.int64)
        recorded: Int64Array = np.ctypeslib.as_array(items, shape=(count.value,)).copy()
        return recorded


def attach_recorder(engine: Any, *, registers: tuple[int, int, int], accesses: bool) -> Recorder:
    """Puts the callbacks on an engine that has not run yet; `accesses` also records unaligned loads and stores.

    `registers` are Unicorn's numbers of program counter, stack pointer, and Arm's CPSR or -1.  Raises ToolchainError
    where the callbacks do not compile or Unicorn's Python package is not as expected.
    """
    api = require("unicorn", purpose="the emulator")
    library = _load(_built_library())
    try:
        unicorn = require("unicorn.unicorn_py3.unicorn", package="unicorn", purpose="counting cycles").uclib
        raw = engine._uch
    except AttributeError as error:
        raise ToolchainError(f"this unicorn cannot count: {error}", hint="pip install 'unicorn>=2.1,<3'") from None
    read, write = (ctypes.cast(function, ctypes.c_void_p) for function in (unicorn.uc_reg_read, unicorn.uc_reg_write))
    recorder = Recorder(library, library.recorder_new((ctypes.c_int * 3)(*registers), read, write))
    hooks = [(api.UC_HOOK_BLOCK, library.recorder_on_block)]
    if accesses:
        hooks.append((api.UC_HOOK_MEM_READ | api.UC_HOOK_MEM_WRITE, library.recorder_on_access))
    for kind, callback in hooks:
        # a range whose begin is behind its end means everywhere
        begin, end = ctypes.c_uint64(1), ctypes.c_uint64(0)
        hook = ctypes.c_size_t()
        pointer = ctypes.cast(callback, ctypes.c_void_p)
        user = ctypes.c_void_p(recorder.handle)
        status = unicorn.uc_hook_add(raw, ctypes.byref(hook), ctypes.c_int(kind), pointer, user, begin, end)
        if status != api.UC_ERR_OK:
            raise ToolchainError(f"unicorn refuses a hook: error {status}")
    return recorder


def _built_library() -> Path:
    """The compiled callbacks, built once for a user and kept in the user's cache."""
    digest = hashlib.sha256(_SOURCE.read_bytes() + sys.platform.encode()).hexdigest()[:16]
    folder = user_cache_folder()
    library = folder / f"recorder-{platform.machine()}-{digest}.so"
    if not library.is_file():
        with tempfile.TemporaryDirectory(prefix="mcugen-", dir=folder) as name:
            built = compile_host(find_host_compiler(), [_SOURCE], shared=True, out=Path(name) / "recorder.so")
            built.replace(library)
    return library


def _load(path: Path) -> Any:
    library = ctypes.CDLL(str(path))
    handle = ctypes.c_void_p
    library.recorder_new.argtypes = [ctypes.POINTER(ctypes.c_int), handle, handle]
    library.recorder_new.restype = handle
    library.recorder_delete.argtypes = library.recorder_clear.argtypes = [handle]
    library.recorder_delete.restype = library.recorder_clear.restype = None
    library.recorder_items.argtypes = [handle, ctypes.c_int, handle]
    library.recorder_items.restype = ctypes.POINTER(ctypes.c_int64)
    return library

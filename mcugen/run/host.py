"""Running a generated model on this computer: many samples a call, layer by layer, or under the sanitizers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import VerificationFailed
from mcugen.run.bench import ARENA_POISON, Progress
from mcugen.run.interface import Int8Array, ModelInterface
from mcugen.run.resources import require
from mcugen.run.toolchain import Compiler, compile_host, find_host_compiler

_GUARD = 64
_BATCH_BYTES = 1 << 22
_BENCH = Path(__file__).with_name("host_bench.c")
_DECLARATIONS = """
size_t bench_arena_size(void);
void bench_reset(void *memory);
int bench_batch(void *memory, const int8_t *in, int8_t *out, size_t count, size_t *done);
const unsigned char *bench_trace_data(void);
size_t bench_trace_size(void);
void bench_trace_clear(void);
"""
_SANITIZERS = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
_REPORT_WORDS = ("ERROR", "runtime error", "SUMMARY", "    #0", "    #1")

TraceRecord = tuple[int, int, bytes]
"""Step, output of the step, and the bytes of that tensor."""


class HostModel:
    """A model compiled for this computer.

    `arena_size` and `arena_align` are what the model's header promises.  With `trace` every layer can be read back.
    `isolated` runs the model in a process of its own, so that a crash becomes an error; `sanitize` also builds it with
    AddressSanitizer and UndefinedBehaviorSanitizer (gcc or clang).  Otherwise it is loaded into this process.
    Compiling raises ToolchainError; a crash, a report of a sanitizer, a non-zero return or a write outside the arena
    raises VerificationFailed.  Close it, or use it in a `with` block, to remove its files.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        includes: Sequence[Path] = (),
        *,
        interface: ModelInterface,
        arena_size: int,
        arena_align: int,
        compiler: Compiler | None = None,
        flags: Sequence[str] = ("-O2",),
        defines: Sequence[str] = (),
        trace: bool = False,
        sanitize: bool = False,
        isolated: bool = False,
        timeout: float = 600.0,
    ) -> None:
        chosen = compiler or find_host_compiler(sanitizers=sanitize)
        self.interface = interface
        self.compiler = chosen.version
        self._tracing = trace
        self._timeout = timeout
        self._directory = tempfile.TemporaryDirectory(prefix="mcugen-host-")
        folder = Path(self._directory.name)
        (folder / "mcugen_bench.h").write_text(interface.header(), encoding="utf-8")
        files = [*map(Path, sources), _BENCH]
        folders = [*map(Path, includes), folder]
        macros = [*defines, *(["MCUGEN_TRACE"] if trace else [])]
        self._program: Path | None = None
        self._library: _Library | None = None
        try:
            if isolated or sanitize:
                self._program = compile_host(
                    chosen,
                    files,
                    folders,
                    flags=_SANITIZERS if sanitize else flags,
                    defines=[*macros, "HOST_PROGRAM"],
                    out=folder / "model.exe",
                )
            else:
                # dlopen knows a library by its path: each build lies in a folder of its own
                out = compile_host(
                    chosen, files, folders, flags=flags, defines=macros, shared=True, out=folder / "model.so"
                )
                self._library = _open_library(out, interface, arena_size, arena_align)
        except BaseException:
            self._directory.cleanup()
            raise

    def run(self, inputs: Sequence[Int8Array], *, progress: Progress | None = None) -> list[Int8Array]:
        """Outputs, one int8 array [samples, bytes] an output, for one int8 array [samples, bytes] an input."""
        rows = self.interface.pack(inputs)
        if self._library is None:
            data = self._run_program("run", rows)
            outputs = np.frombuffer(data, np.int8).reshape(len(rows), self.interface.output_bytes).copy()
        else:
            outputs = np.empty((len(rows), self.interface.output_bytes), np.int8)
            self._library.reset()
            step = max(1, _BATCH_BYTES // max(1, self.interface.input_bytes))
            for first in range(0, len(rows), step):
                outputs[first : first + step] = self._library.run(rows[first : first + step], first)
                if progress is not None:
                    progress(min(first + step, len(rows)), len(rows))
        return self.interface.unpack(outputs)

    def trace(self, sample: Sequence[Int8Array]) -> list[TraceRecord]:
        """What each step wrote for one sample, in order; the model must have been built with `trace`.

        Of a stateful model the samples are runs one after the other, and the last is traced.
        """
        if not self._tracing:
            raise ValueError("the model was not built with trace=True")
        rows = self.interface.pack(sample)
        if len(rows) != 1 and not self.interface.stateful:
            raise ValueError(f"{len(rows)} samples to trace, expected one")
        if self._library is not None:
            return _records(self._library.trace(rows))
        records = _records(self._run_program("trace", rows))
        return records[-(len(records) // len(rows)) :]

    def close(self) -> None:
        """Unloads the model and removes its files."""
        if self._library is not None:
            self._library.close()
            self._library = None
        self._directory.cleanup()

    def __enter__(self) -> HostModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _run_program(self, mode: str, rows: Int8Array) -> bytes:
        if self._program is None:
            raise ValueError("the model was closed")
        with tempfile.TemporaryDirectory(prefix="mcugen-host-") as name:
            source, sink = Path(name) / "in.bin", Path(name) / "out.bin"
            source.write_bytes(rows.tobytes())
            try:
                done = subprocess.run(
                    [str(self._program), mode, str(source), str(sink)],
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=self._timeout,
                    check=False,
                    stdin=subprocess.DEVNULL,
                )
            except subprocess.TimeoutExpired:
                raise VerificationFailed(
                    f"{self.interface.name} on the host did not finish in {self._timeout:g} s"
                ) from None
            if done.returncode != 0:
                raise VerificationFailed(
                    f"{self.interface.name} on the host {_how_it_ended(done.returncode, done.stderr)}"
                )
            return sink.read_bytes()


@dataclass
class _Library:
    """The model loaded into this process, with its arena between two guards."""

    ffi: Any
    handle: Any
    name: str
    memory: npt.NDArray[np.uint8]
    offset: int
    size: int
    output_bytes: int

    @property
    def arena(self) -> Any:
        return self.ffi.cast("void *", self.memory.ctypes.data + self.offset)

    def reset(self) -> None:
        self.memory[:] = ARENA_POISON
        self.handle.bench_reset(self.arena)

    def run(self, rows: Int8Array, first: int) -> Int8Array:
        outputs = np.empty((len(rows), self.output_bytes), np.int8)
        done = self.ffi.new("size_t *")
        status = self.handle.bench_batch(
            self.arena,
            self.ffi.cast("int8_t *", rows.ctypes.data),
            self.ffi.cast("int8_t *", outputs.ctypes.data),
            len(rows),
            done,
        )
        if status != 0:
            raise VerificationFailed(f"{self.name}_run returned {status} on sample {first + done[0]}")
        before, after = self.memory[: self.offset], self.memory[self.offset + self.size :]
        if (before != ARENA_POISON).any() or (after != ARENA_POISON).any():
            raise VerificationFailed(f"{self.name}_run wrote outside its arena", hint="sanitize=True names the line")
        return outputs

    def trace(self, rows: Int8Array) -> bytes:
        self.reset()
        self.run(rows[:-1], 0)
        self.handle.bench_trace_clear()
        self.run(rows[-1:], len(rows) - 1)
        data = bytes(self.ffi.buffer(self.handle.bench_trace_data(), self.handle.bench_trace_size()))
        self.handle.bench_trace_clear()
        return data

    def close(self) -> None:
        self.ffi.dlclose(self.handle)


def _open_library(path: Path, interface: ModelInterface, arena_size: int, arena_align: int) -> _Library:
    ffi = require("cffi", purpose="running a model on the host").FFI()
    ffi.cdef(_DECLARATIONS)
    try:
        handle = ffi.dlopen(str(path))
    except OSError as error:
        raise VerificationFailed(f"{interface.name} cannot be loaded: {error}") from None
    real = handle.bench_arena_size()
    if real != arena_size:
        raise VerificationFailed(f"struct {interface.name}_arena has {real} bytes, expected {arena_size}")
    memory = np.empty(arena_size + 2 * _GUARD + 2 * arena_align, np.uint8)
    # aligned as promised and no more
    start = memory.ctypes.data + _GUARD
    offset = _GUARD + (arena_align - start) % (2 * arena_align)
    return _Library(ffi, handle, interface.name, memory, offset, arena_size, interface.output_bytes)


def _records(data: bytes) -> list[TraceRecord]:
    records: list[TraceRecord] = []
    position = 0
    while position < len(data):
        step, output = (int(v) for v in np.frombuffer(data, np.int32, 2, position))
        size = int(np.frombuffer(data, np.uint64, 1, position + 8)[0])
        records.append((step, output, data[position + 16 : position + 16 + size]))
        position += 16 + size
    return records


def _how_it_ended(code: int, text: str) -> str:
    if code == 3:
        return f"returned an error: {text.strip()}"
    lines = [line for line in text.splitlines() if any(word in line for word in _REPORT_WORDS)]
    how = f"was ended by signal {-code}" if code < 0 else f"failed with status {code}"
    return how + "".join("\n  " + line.strip() for line in lines[:6])

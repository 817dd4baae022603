"""Samples that stay on disk: rows of .npy files and of members of .npz archives, read when they are asked for."""

from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import CalibrationError
from mcugen.execute import Rows
from mcugen.graph import Graph

Array = npt.NDArray[Any]

STREAM_BYTES = 1 << 26
"""Samples that take more than this as float32 stay on disk."""
COPY_BYTES = 1 << 20
LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a member of a zip archive: the lengths of its name and of its extra field, at the end of the fixed part."""


@dataclass(frozen=True)
class FileRows:
    """An array `[N, ...]` in a file from byte `offset` on, in C order; an index or a slice reads rows, as they are stored."""

    file: IO[bytes]
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: slice | Array) -> Array:
        if not isinstance(index, slice):
            return np.concatenate([self[int(i) : int(i) + 1] for i in index])
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self[np.arange(start, stop, step)]
        width = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        self.file.seek(self.offset + start * width)
        data = self.file.read(max(0, stop - start) * width)
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])


@dataclass(frozen=True)
class FolderRows:
    """One sample a file, `[N, ...]` in the order of the files' names."""

    paths: tuple[Path, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: slice | Array) -> Array:
        paths = self.paths[index] if isinstance(index, slice) else [self.paths[int(i)] for i in index]
        arrays = [np.load(path, allow_pickle=False) for path in paths]
        sizes = {array.size for array in arrays}
        if sizes - {int(np.prod(self.shape[1:], dtype=np.int64))}:
            raise CalibrationError("the samples have different shapes", hint="cut or pad them to the input's shape")
        return np.stack([array.reshape(self.shape[1:]) for array in arrays])


@dataclass(frozen=True)
class StreamedSamples:
    """The samples of one input, float32 `[N, *tail]`, read from `rows` when they are asked for; refuses NaN and infinity."""

    rows: FileRows | FolderRows
    tail: tuple[int, ...]
    label: str

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | Array) -> Array:
        found = self.rows[index]
        result = found.astype(np.float32).reshape(len(found), *self.tail)
        bad = int(result.size - np.count_nonzero(np.isfinite(result)))
        if bad:
            raise CalibrationError(
                f"{self.label} holds {bad} values that are NaN or infinite", hint="remove these samples"
            )
        return result


def stored_rows(graph: Graph, path: Path) -> dict[str, FileRows | FolderRows] | None:
    """The arrays of a large .npy, .npz or folder of .npy by name, left on disk; None for what is small enough to be held.

    Errors of the files' formats come as NumPy and zipfile raise them.
    """
    if path.is_dir():
        return _folder_rows(graph, sorted(path.glob("*.npy")))
    if not zipfile.is_zipfile(path):
        found = _npy_rows(path)
        return {"x": found} if _is_large(found) else None
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        headers = {info.filename: _member_header(archive, info) for info in members}
    wanted = {*graph.inputs, "x"}
    names = [n for n in headers if n.removesuffix(".npy") in wanted]
    if not any(_is_large(headers[name]) for name in names):
        return None
    return {name.removesuffix(".npy"): _member_rows(path, name) for name in names}


def hold(samples: Mapping[str, Rows]) -> dict[str, Array]:
    """The samples as arrays: all that are in memory already, of streamed ones as many as fit `STREAM_BYTES`, evenly spread."""
    arrays = {name: rows for name, rows in samples.items() if isinstance(rows, np.ndarray)}
    if len(arrays) == len(samples):
        return arrays
    total = len(next(iter(samples.values())))
    size = sum(rows[0:1].nbytes for rows in samples.values())
    index = np.unique(np.linspace(0, total - 1, max(1, min(total, STREAM_BYTES // size))).astype(int))
    return {name: rows[index] for name, rows in samples.items()}


def _is_large(rows: FileRows | FolderRows) -> bool:
    return int(np.prod(rows.shape, dtype=np.int64)) * 4 > STREAM_BYTES


def _folder_rows(graph: Graph, paths: list[Path]) -> dict[str, FileRows | FolderRows] | None:
    stems = {path.stem: path for path in paths}
    if paths and set(graph.inputs) <= set(stems):
        named = {name: _npy_rows(stems[name]) for name in graph.inputs}
        return dict(named) if any(_is_large(rows) for rows in named.values()) else None
    if not paths or len(graph.inputs) != 1:
        return None
    first = np.load(paths[0], allow_pickle=False)
    shape = graph.tensors[graph.inputs[0]].shape
    single = shape[1:] if first.size == np.prod(shape) else first.shape
    rows = FolderRows(tuple(paths), (len(paths), *single), first.dtype)
    return {graph.inputs[0]: rows} if _is_large(rows) else None


def _npy_rows(path: Path) -> FileRows:
    file = path.open("rb")
    return replace(_header(file), file=file, offset=file.tell())


def _header(stream: IO[bytes]) -> FileRows:
    """Shape and type from the head of an .npy, which is read up to the data."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"a .npy of version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if fortran and len(shape) > 1:
        raise ValueError("an array in Fortran order: store it with numpy.ascontiguousarray")
    return FileRows(stream, 0, tuple(shape), dtype)


def _member_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> FileRows:
    with archive.open(info) as stream:
        return _header(stream)


def _member_rows(path: Path, name: str) -> FileRows:
    """A member as it lies in the archive, or decompressed into a temporary file a piece at a time."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            file = tempfile.TemporaryFile()  # noqa: SIM115
            with archive.open(info) as stream:
                shutil.copyfileobj(stream, file, COPY_BYTES)
            file.seek(0)
            return replace(_header(file), file=file, offset=file.tell())
    plain = path.open("rb")
    plain.seek(info.header_offset)
    name_length, extra_length = LOCAL_HEADER.unpack(plain.read(LOCAL_HEADER.size))
    plain.seek(name_length + extra_length, 1)
    found = _header(plain)
    return replace(found, offset=plain.tell())

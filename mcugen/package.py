"""A built folder: its report, graphs and sources, read back by every command that works on a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.channel_map import ChannelMap, read_channel_maps
from mcugen.errors import McugenError
from mcugen.execute import is_stateful
from mcugen.graph import Graph
from mcugen.graph_file import read_graph
from mcugen.run.interface import ModelInterface
from mcugen.streaming import Stream

Array = npt.NDArray[Any]

SCHEMA = 1
VECTORS = "model/{name}.vectors.npz"
INTEGER_GRAPH = "model/{name}.int8.npz"
CHANNELS = "model/{name}.channels.json"
FLOAT_GRAPH = "model/{name}.float.npz"
WINDOW_GRAPH = "model/{name}.window.npz"


@dataclass(frozen=True)
class Package:
    """The folder that a build wrote."""

    folder: Path
    report: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.report["name"])

    @cached_property
    def graph(self) -> Graph:
        """The integer graph: the meaning of the C."""
        return read_graph(self.folder / INTEGER_GRAPH.format(name=self.name))

    @property
    def stream(self) -> Stream | None:
        """How the model takes its input where it is a stream."""
        record = self.report.get("stream")
        return None if record is None else Stream.from_dict(record)

    @cached_property
    def window_graph(self) -> Graph:
        """The integer graph over whole windows; of a stream, what it is proved equal to."""
        if self.stream is None:
            return self.graph
        return read_graph(self.folder / WINDOW_GRAPH.format(name=self.name))

    @cached_property
    def float_graph(self) -> Graph:
        """The model as it came, canonical, before pruning and quantization."""
        return read_graph(self.folder / FLOAT_GRAPH.format(name=self.name))

    @cached_property
    def channels(self) -> dict[str, ChannelMap]:
        """How the integer graph's channels stand for the float graph's, by tensor, where they differ."""
        path = self.folder / CHANNELS.format(name=self.name)
        try:
            return read_channel_maps(path.read_text(encoding="utf-8"), path.name)
        except OSError as error:
            raise McugenError(f"{path}: cannot read: {error.strerror}", hint="build the folder again") from None

    @cached_property
    def vectors(self) -> dict[str, Array]:
        """Integer inputs `[N, ...]` by input name: the first calibration samples."""
        with np.load(self.folder / VECTORS.format(name=self.name), allow_pickle=False) as stored:
            return {name: stored[f"input_{i}"] for i, name in enumerate(self.graph.inputs)}

    @property
    def interface(self) -> ModelInterface:
        inputs, outputs = (
            tuple((name, self.graph.tensors[name].nbytes) for name in names)
            for names in (self.graph.inputs, self.graph.outputs)
        )
        rows = self.report.get("input_rows") or {}
        return ModelInterface(self.name, inputs, outputs, int(rows.get("rows", 0)), is_stateful(self.graph))

    @property
    def sources(self) -> list[Path]:
        return [self.folder / "src" / f"{self.name}.c", self.folder / "src" / f"{self.name}_weights.c"]

    @property
    def includes(self) -> list[Path]:
        return [self.folder / "src"]


def open_package(folder: str | Path) -> Package:
    """The package in a folder; raises McugenError if none is there."""
    folder = Path(folder)
    if not folder.is_dir():
        raise McugenError(f"{folder}: no such folder", hint="`mcugen build model.onnx` makes one")
    for path in sorted(folder.glob("*.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(report, dict) and report.get("generator") == "mcugen":
            if report.get("schema") != SCHEMA:
                raise McugenError(f"{path}: written by another version of mcugen", hint="build the folder again")
            return Package(folder, report)
    raise McugenError(f"{folder}: not a folder that mcugen built", hint="`mcugen build model.onnx` makes one")

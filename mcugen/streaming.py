"""Streams: how windows along time become calls with a few new frames each, and what a stream reports of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.errors import McugenError, UnsupportedModel
from mcugen.execute import reference
from mcugen.graph import DynamicQuantParams, Graph
from mcugen.passes.stream_in_time import Streamed, stream_in_time

Array = npt.NDArray[Any]

PADDINGS = ("exact", "causal")
RECORDED_WINDOWS = 8
"""How many samples, one behind the other, are the recording that a stream is proved on."""


@dataclass(frozen=True)
class Stream:
    """A model that takes `frames` new frames a call: `axes[input]` is the axis of time in a window of `windows[input]` frames.

    `rows[layer] = (computed in a call, in the window)`; `newest[output] = (axis, first, last)` where an output shows only
    these rows of a window's, time first.
    """

    axes: Mapping[str, int]
    windows: Mapping[str, int]
    frames: int
    padding: str = "exact"
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    newest: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """The calls that bring a whole window."""
        return max(-(-rows // self.frames) for rows in self.windows.values())

    @property
    def exact(self) -> bool:
        return self.padding == "exact"

    def to_dict(self) -> dict[str, Any]:
        return {
            "axes": dict(self.axes),
            "windows": dict(self.windows),
            "frames": self.frames,
            "warmup_calls": self.calls,
            "padding": self.padding,
            "rows": {name: list(rows) for name, rows in self.rows.items()},
            "newest": {name: list(rows) for name, rows in self.newest.items()},
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Stream:
        keys = ("axes", "windows", "frames", "padding", "rows", "newest")
        return Stream(**{key: record[key] for key in keys})


def stream_graph(graph: Graph, axes: Mapping[str, int], *, padding: str = "exact") -> tuple[Graph, Stream]:
    """The streaming form of an integer graph (see stream_in_time); axes may count from the end.

    Raises McugenError for inputs and axes that are not there, UnsupportedModel where nothing could be kept.
    """
    if any(isinstance(graph.tensors[name].quant, DynamicQuantParams) for name in graph.inputs):
        raise UnsupportedModel(
            f"{graph.name}: with `--activations dynamic` every window has scales of its own, so that nothing of it holds for the next",
            hint="build the stream with `--activations static`",
        )
    chosen = {name: _axis(graph, name, axis) for name, axis in axes.items()}
    streamed: Streamed = stream_in_time(graph, chosen, causal=padding == "causal")
    windows = {name: graph.tensors[name].shape[axis] for name, axis in chosen.items()}
    return streamed.graph, Stream(chosen, windows, streamed.frames, padding, streamed.rows, streamed.newest)


def axes_of(graph: Graph, asked: Mapping[str, int]) -> dict[str, int]:
    """The axis of each input; the name '' stands for the only one.  Raises McugenError."""
    if "" not in asked:
        return dict(asked)
    if len(graph.inputs) > 1:
        raise McugenError(
            f"{graph.name} has the inputs {', '.join(graph.inputs)}: which of them run along time?",
            hint=f"`--stream {graph.inputs[0]}:AXIS`, with commas between several",
        )
    return {graph.inputs[0]: asked[""]}


def _axis(graph: Graph, name: str, axis: int) -> int:
    if name not in graph.inputs:
        raise McugenError(f"{graph.name} has no input '{name}'", hint=f"its inputs are {', '.join(graph.inputs)}")
    shape = graph.tensors[name].shape
    if not -len(shape) <= axis < len(shape) or shape[axis] < 2:
        raise McugenError(
            f"input '{name}' of shape {list(shape)} has no axis {axis} with several frames",
            hint="axes are counted from 0; `--stream` takes the one along which the frames follow one another",
        )
    return axis % len(shape)


def frames_of(stream: Stream, graph: Graph, name: str, windows: Array) -> Array:
    """Windows `[N, ...]` of an input of the window's graph as frames `[N, T, ...]`."""
    axis = stream.axes[name] + (graph.tensors[name].shape[:1] != (1,))
    return np.moveaxis(windows, axis, 1)


def calls_of_windows(stream: Stream, graph: Graph, windows: Mapping[str, Array]) -> dict[str, Array]:
    """For integer windows `[N, ...]` the calls `[N, calls, frames, ...]` that bring each of them, from a fresh state on.

    Where a window is no whole number of calls, zero points come before it: they have left the window by its end.
    """
    result = {}
    for name, array in windows.items():
        if name not in stream.axes:
            result[name] = np.repeat(array[:, None], stream.calls, axis=1)
            continue
        frames = frames_of(stream, graph, name, array)
        missing = stream.calls * stream.frames - frames.shape[1]
        quant = graph.tensors[name].quant
        assert quant is not None
        fill = np.full((len(frames), missing, *frames.shape[2:]), int(quant.zero_point), frames.dtype)
        whole = np.concatenate([fill, frames], axis=1)
        result[name] = whole.reshape(len(frames), stream.calls, stream.frames, *frames.shape[2:])
    return result


def recording(stream: Stream, graph: Graph, windows: Mapping[str, Array]) -> dict[str, Array]:
    """The first windows one behind the other as one stream: calls `[N, frames, ...]` by input."""
    few = {name: array[:RECORDED_WINDOWS] for name, array in windows.items()}
    calls = calls_of_windows(stream, graph, few)
    return {name: array.reshape(-1, *array.shape[2:]) for name, array in calls.items()}


def windows_of(stream: Stream, graph: Graph, calls: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
    """The sliding windows `[N, ...]` that calls `[M, frames, ...]` end with, and the first call that ends a whole one."""
    first = stream.calls - 1
    result = {}
    for name, array in calls.items():
        if name not in stream.axes:
            result[name] = array[first:]
            continue
        size, shape = stream.windows[name], graph.tensors[name].shape
        rest = [d for i, d in enumerate(shape) if i != stream.axes[name] and (i > 0 or d != 1)]
        frames = array.reshape(-1, *rest)
        ends = (np.arange(first, len(array)) + 1) * stream.frames
        cut = frames[ends[:, None] - size + np.arange(size)]
        axis = stream.axes[name] + (shape[:1] != (1,))
        result[name] = np.moveaxis(cut.reshape(len(cut), size, *rest), 1, axis)
    return result, first


def window_outputs(stream: Stream, graph: Graph, windows: Mapping[str, Array]) -> dict[str, Array]:
    """What the whole windows' graph gives for integer windows, as the stream shows it."""
    return newest(stream, reference(graph, windows))


def newest(stream: Stream, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs `[N, ...]` of whole windows, cut to the rows that the stream shows."""
    result = dict(outputs)
    for name, (axis, low, high) in stream.newest.items():
        result[name] = np.moveaxis(np.take(outputs[name], np.arange(low, high), axis=axis), axis, 1)
    return result

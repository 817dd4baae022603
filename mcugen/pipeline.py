"""The compiler on one screen: each stage is a plain function of the one before."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcugen.channel_map import ChannelMap, channel_maps, channel_maps_text
from mcugen.emit.folder import write_folder
from mcugen.emit.render import render
from mcugen.errors import DoesNotFit
from mcugen.evaluation import quantize_input
from mcugen.execute import Rows, reference
from mcugen.graph import Graph
from mcugen.graph_file import EPOCH, graph_bytes
from mcugen.onnx_reader import read_onnx
from mcugen.package import CHANNELS, FLOAT_GRAPH, INTEGER_GRAPH, VECTORS, WINDOW_GRAPH, Package
from mcugen.passes.apply_quantization import apply_quantization
from mcugen.passes.fold_affine import fold_affine
from mcugen.passes.fold_transpose_into_weights import fold_transpose_into_weights
from mcugen.passes.fuse_clip import fuse_clip
from mcugen.passes.merge_reshapes import merge_reshapes
from mcugen.passes.move_transposes import move_transposes
from mcugen.passes.name_nodes_apart import name_nodes_apart
from mcugen.passes.remove_dead_channels import dead_channel_report, split_dead_channels
from mcugen.passes.use_dynamic_ranges import use_dynamic_ranges
from mcugen.passes.use_tflite_arithmetic import use_tflite_arithmetic
from mcugen.plan.schedule import Goal, build_program
from mcugen.program import Buffer, Program
from mcugen.quantize.calibration import synthetic_samples
from mcugen.quantize.coarser import coarser_layers
from mcugen.quantize.data_checks import check_data, coarse_inputs
from mcugen.quantize.imported import import_notes, is_imported, open_tensors, quantize_imported, random_samples
from mcugen.quantize.integer_graph import integer_graph
from mcugen.quantize.precision import (
    ACTIVATIONS,
    INT8_THROUGHOUT,
    Precision,
    check_dynamic,
    check_precision,
    precision_report,
)
from mcugen.quantize.quantizer import quantize_graph, share_parameters
from mcugen.quantize.sample_files import hold
from mcugen.report.json_report import build_report, json_text, window_record
from mcugen.report.memory import memory_svg
from mcugen.streaming import Stream, axes_of, recording, stream_graph
from mcugen.targets import Target, load_target

Array = npt.NDArray[Any]
Progress = Callable[[str, int, int], None]

FLOAT_PASSES = (
    move_transposes, merge_reshapes, fold_transpose_into_weights, move_transposes, merge_reshapes, fold_affine, fuse_clip,
    apply_quantization, name_nodes_apart,
)  # fmt: skip

VECTOR_BYTES = 1 << 18
GOLDEN_VECTORS = 2


@dataclass(frozen=True)
class Quantized:
    """An integer graph, the float graph it stands for, and the samples it was calibrated on."""

    graph: Graph
    float_graph: Graph
    samples: Mapping[str, Array]
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the stages report of themselves, by stage; part of the build's report."""
    channels: Mapping[str, ChannelMap] = field(default_factory=dict)
    """How the integer graph's channels stand for the float graph's, where they differ."""
    sample_count: int = 0
    """How many samples it was calibrated on; `samples` holds fewer where they were streamed from disk."""
    stream: Stream | None = None
    window_graph: Graph | None = None
    """Of a stream: the integer graph over the whole window."""

    @property
    def integer_samples(self) -> dict[str, Array]:
        """Integer inputs; of a stream its calls, one after the other."""
        samples = {name: quantize_input(self.graph, name, self.samples[name]) for name in self.graph.inputs}
        if self.stream is None or self.window_graph is None:
            return samples
        return recording(self.stream, self.window_graph, samples)


def load(path: str | Path, *, shapes: Mapping[str, Sequence[int]] | None = None, outputs: Sequence[str] = ()) -> Graph:
    """The canonical float graph of an ONNX file: channels-last, constants folded, activations fused (see onnx_reader)."""
    return canonical(read_onnx(path, shapes=shapes, outputs=outputs))


def canonical(graph: Graph) -> Graph:
    """The float graph after all exact rewriting, checked after every pass."""
    for run in FLOAT_PASSES:
        graph = run(graph).check()
    return graph


def quantize(
    graph: Graph,
    samples: Mapping[str, Rows] | None = None,
    *,
    observer: str = "auto",
    effort: str = "default",
    arithmetic: str = "default",
    precision: Precision = INT8_THROUGHOUT,
    activations: str = "static",
    float_graph: Graph | None = None,
    kept: Mapping[str, Array] | None = None,
    progress: Progress | None = None,
) -> Quantized:
    """The integer graph of a float graph, calibrated on samples `[N, ...]` by input name (None: synthetic noise).

    `observer` and `effort` are `quantize_graph`'s.  `float_graph` is the model to be compared with, where `graph` has
    been pruned, and `kept` the masks of the channels that were left.  A model that names parameters of its own keeps
    them, and needs no samples where it names all.  `arithmetic`: "default", or "tflite" for the integers of TensorFlow
    Lite's reference kernels.  `activations`: "static", or "dynamic" for ranges that fully connected and recurrent layers
    find at run time; a model of such layers alone needs no samples.  Raises McugenError for a `precision` beside int8 where the model
    names its own, and with the arithmetic of TensorFlow Lite.
    """
    imported, original = is_imported(graph), float_graph or graph
    check_precision(graph, precision, imported=imported, arithmetic=arithmetic)
    ranges = None
    if activations not in ACTIVATIONS:
        raise ValueError(f"no activations '{activations}': {', '.join(ACTIVATIONS)}")
    if activations == "dynamic":
        check_dynamic(graph, precision, arithmetic=arithmetic)
        ranges = use_dynamic_ranges(graph)
        graph = ranges.graph
    given = imported or not open_tensors(graph)
    data: Mapping[str, Rows] = (
        samples if samples is not None else (random_samples if given else synthetic_samples)(graph)
    )
    step = _staged(progress, "quantize")
    if given:
        model = quantize_imported(graph, data, observer=observer, progress=step)
    else:
        model = quantize_graph(graph, data, observer=observer, effort=effort, precision=precision, progress=step)
    if arithmetic == "tflite":
        source = use_tflite_arithmetic(model.source)
        chosen = model.activations if imported else share_parameters(source, model.activations)
        model = replace(model, graph=integer_graph(source, chosen, model.weights))
    integer, live = split_dead_channels(model.graph)
    facts = {
        "dead_channels": dead_channel_report(model.graph, integer).to_dict(),
        "quantization": [asdict(note) for note in model.notes],
    }
    if precision:
        facts["precision"] = precision_report(model.source, precision)
    options = {"observer": observer, "effort": effort, "arithmetic": arithmetic}
    open_notes = tuple(import_notes(graph)) if imported else ()
    warnings: tuple[str, ...] = ()
    if not imported and samples is not None:
        warnings = (*check_data(graph, data), *coarse_inputs(graph, data, model.activations))
    held = hold(data)
    synthetic = samples is None and (bool(open_notes) or not given)
    notes = (*original.notes, *open_notes)
    if precision:
        notes = (*notes, *map(str, coarser_layers(model.source, model.activations, precision.weights)))
    if ranges is not None:
        options["activations"] = activations
        facts["dynamic_ranges"] = {"dynamic": list(ranges.dynamic), "static": list(ranges.static)}
        notes = (*notes, *ranges.notes())
    channels = channel_maps(original, integer, pruned=kept, scales=model.scales, live=live)
    count = len(next(iter(data.values())))
    return Quantized(integer, original, held, synthetic, (*notes, *warnings), options, facts, channels, count)


def stream(quantized: Quantized, axes: Mapping[str, int], *, padding: str = "exact") -> Quantized:
    """The streaming form of an integer graph: see streaming.stream_graph."""
    window = quantized.graph
    graph, made = stream_graph(window, axes_of(window, axes), padding=padding)
    return replace(quantized, graph=graph, stream=made, window_graph=window)


def _staged(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(stage, done, total)


@dataclass(frozen=True)
class Compiled:
    """A program and the files of its output folder, not yet written."""

    program: Program
    target: Target
    files: Mapping[str, str | bytes]
    report: Mapping[str, Any]

    def stage(self, folder: Path) -> Package:
        """Write the files to an empty temporary folder and open them as a package."""
        write_folder(folder, self.files)
        return Package(folder, dict(self.report))

    def write(self, folder: str | Path) -> Package:
        """Write the output folder, whole or not at all."""
        write_folder(Path(folder), self.files)
        return Package(Path(folder), dict(self.report))


def compile_model(
    quantized: Quantized,
    *,
    target: str | Target = "cortex-m",
    goal: Goal | None = None,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Compiled:
    """Plan and emit an integer graph for a target.

    Raises DoesNotFit where the program exceeds the goal's RAM or the constants alone its flash.
    """
    chosen = load_target(target) if isinstance(target, str) else target
    goal = goal or Goal()
    c_name = c_identifier(name or quantized.graph.name)
    program = build_program(quantized.graph, chosen, goal, name=c_name)
    check_fits(program, chosen, goal)
    integers = quantized.integer_samples
    # a stream's vectors fill the window, and go on
    count = GOLDEN_VECTORS + (quantized.stream.calls if quantized.stream else 0)
    golden = {n: array[:count] for n, array in integers.items()}
    expected = reference(quantized.graph, golden)
    texts = render(
        program,
        chosen.name,
        ([golden[n] for n in quantized.graph.inputs], list(expected.values())),
        stream=quantized.stream.to_dict() if quantized.stream else None,
    )
    report = build_report(program, quantized.graph, chosen, {**quantized.options, **(options or {})}, quantized)
    if quantized.window_graph is not None:
        window = build_program(quantized.window_graph, chosen, Goal(goal.optimize), name=c_name)
        report["stream"]["window"] = window_record(window)
    files: dict[str, str | bytes] = dict(texts)
    files[f"{c_name}.json"] = json_text(report)
    files[f"{c_name}_memory.svg"] = memory_svg(report)
    files[INTEGER_GRAPH.format(name=c_name)] = graph_bytes(quantized.graph)
    files[FLOAT_GRAPH.format(name=c_name)] = graph_bytes(quantized.float_graph)
    files[CHANNELS.format(name=c_name)] = channel_maps_text(quantized.channels)
    files[VECTORS.format(name=c_name)] = _vector_bytes(quantized.graph, integers)
    if quantized.window_graph is not None:
        files[WINDOW_GRAPH.format(name=c_name)] = graph_bytes(quantized.window_graph)
    return Compiled(program, chosen, dict(sorted(files.items())), report)


def c_identifier(name: str) -> str:
    """A C name from any text: lower case, letters, digits and underscores; no keyword, standard header or CMake target."""
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return f"model_{text}" if text[0].isdigit() or text in C_KEYWORDS | TAKEN_NAMES else text


C_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main class new "
    "delete this template private public protected virtual operator namespace bool true false mcugen".split()
)

TAKEN_NAMES = frozenset(
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbool "
    "stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype "
    "all clean help install package test".split()
)
"""The model's header would hide the standard one of that name; CMake refuses a library of that name."""


def check_fits(program: Program, target: Target, goal: Goal) -> None:
    """Raise DoesNotFit where RAM, or the constants alone, exceed the goal's or the target's limits."""
    ram = goal.ram if goal.ram is not None else target.budget.ram
    if ram is not None and program.arena_size > ram:
        raise DoesNotFit(
            f"{program.name} does not fit: it needs {program.arena_size} bytes of RAM, the limit is {ram}; {_peak(program)}",
            hint="; ".join(filter(None, [program.advice, _trade(goal, ram), SMALLER])),
        )
    flash = goal.flash if goal.flash is not None else target.budget.flash
    constants = sum(step.call.weight_bytes for step in program.steps)
    if flash is not None and constants > flash:
        raise DoesNotFit(
            f"{program.name} does not fit: its constants alone take {constants} bytes of flash, the limit is {flash}",
            hint="`--optimize size` or `--prune-channels 0.3` make it smaller",
        )


SMALLER = "a smaller input or fewer channels in that layer help most"


def _trade(goal: Goal, ram: int) -> str:
    return f"`--ram {ram}` trades speed for memory" if goal.ram is None else ""


def _peak(program: Program) -> str:
    """The step in which the arena is full, what it holds there, and what was tried against it."""

    def live(step: int) -> list[Buffer]:
        return [b for b in program.buffers if b.first <= step <= b.last]

    top = max(range(len(program.steps)), key=lambda i: sum(b.size + b.tail for b in live(i)))
    parts = " + ".join(f"{b.name} {b.size}" for b in sorted(live(top), key=lambda b: -b.size))
    kernels = len(program.notes) - len(program.regions)
    traded = f"; {kernels} exchanges of kernels for smaller ones went before" if kernels else ""
    if program.regions:
        spans = ", ".join(f"{region.first} to {region.last}" for region in program.regions)
        traded += f"; layers {spans} run row by row already" + (", as does the input" if program.input_rows else "")
    return f"the peak is at step {top} '{program.steps[top].name}' ({parts}, as far as they do not share){traded}"


def _vector_bytes(graph: Graph, integers: Mapping[str, Array]) -> bytes:
    """The first samples, as many as fit VECTOR_BYTES."""
    per_sample = sum(graph.tensors[name].nbytes for name in graph.inputs)
    count = max(1, VECTOR_BYTES // per_sample)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for i, name in enumerate(graph.inputs):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(integers[name][:count]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"input_{i}.npy", EPOCH), member.getvalue())
    return buffer.getvalue()


def file_digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def with_notes(quantized: Quantized, notes: Sequence[str]) -> Quantized:
    return replace(quantized, notes=(*quantized.notes, *notes))

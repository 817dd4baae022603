"""The whole way from an ONNX file to a verified folder of C; nothing is written before everything has passed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcugen import pipeline, verbs
from mcugen.auto_precision import AutoPrecision, Limits, choose_automatically
from mcugen.config import BuildOptions
from mcugen.emit.folder import check_place
from mcugen.errors import DoesNotFit, McugenError, ToolchainError, VerificationFailed
from mcugen.execute import Rows
from mcugen.graph import Graph
from mcugen.layer_fidelity import study_layers
from mcugen.package import Package
from mcugen.pipeline import Compiled, Quantized
from mcugen.quantize.calibration import open_samples
from mcugen.quantize.imported import is_imported
from mcugen.quantize.precision import AUTO, INT8, Precision, check_precision, choose_precision
from mcugen.report.json_report import json_text
from mcugen.report.units import bytes_text
from mcugen.run.toolchain import Compiler, find_cross_compiler, find_host_compiler
from mcugen.simulation import flash_record, link
from mcugen.targets import Target, load_target, placed
from mcugen.verbs import Pruned
from mcugen.verification import verification_vectors
from mcugen.whole_file import write_whole

Progress = Callable[[str, int, int], None]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """A finished build: the folder and its report."""

    package: Package

    @property
    def folder(self) -> Path:
        return self.package.folder

    @property
    def report(self) -> Mapping[str, Any]:
        return self.package.report

    def to_dict(self) -> dict[str, Any]:
        return {**self.report, "folder": str(self.folder)}


def build(model: str | Path, *, progress: Progress | None = None, warn: Warn | None = None, **options: Any) -> Built:
    """Build an ONNX file into a folder of C, verified on this computer; `options` are the fields of BuildOptions.

    Raises UnsupportedModel, CalibrationError, DoesNotFit, VerificationFailed or ToolchainError, with nothing written.
    """
    return build_with(Path(model), BuildOptions(**options), progress=progress, warn=warn)


def build_with(
    model: Path, options: BuildOptions, *, progress: Progress | None = None, warn: Warn | None = None
) -> Built:
    """As `build`, with the options as one record."""
    warn = warn or _ignore
    target = placed(load_target(options.target), options.place)
    name = pipeline.c_identifier(options.name or model.stem)
    output = Path(options.output or Path("build") / name)
    check_place(output)
    host = _host_compiler(options)
    dump = Dump(None if options.dump is None else Path(options.dump))
    quantized = prepare(model, options, dump=dump, progress=progress)
    for note in quantized.notes:
        warn(note)
    compiled = pipeline.compile_model(
        quantized, target=target, goal=options.goal, name=name, options=options.for_report()
    )
    dump.write("program.json", json_text(compiled.report))
    facts: dict[str, Any] = {"model": {"file": model.name, "sha256": pipeline.file_digest(model)}}
    with tempfile.TemporaryDirectory(prefix="mcugen-") as folder:
        staged = compiled.stage(Path(folder) / name)
        facts["verified"] = False
        if host is not None:
            facts["verified"] = True
            facts["verification"] = _verify(staged, quantized, options, progress)
        if options.layers:
            facts["layer_fidelity"] = _layer_fidelity(quantized, progress)
        facts |= _measure(staged, target, options, warn)
    finished = with_facts(compiled, facts)
    package = finished.write(output)
    return Built(package)


def prepare(
    model: Path, options: BuildOptions, *, dump: Dump | None = None, progress: Progress | None = None
) -> Quantized:
    """Load, prune if asked, and quantize."""
    dump = dump or Dump(None)
    graph = verbs.load(model, shapes=options.shape, outputs=options.outputs)
    dump.graph("float.txt", graph)
    samples = None if options.calibrate is None else open_samples(graph, options.calibrate)
    pruned: Graph | Pruned = graph
    if options.prune is not None or options.prune_channels is not None:
        pruned = verbs.prune(
            graph, samples, weights=options.prune, scope=options.prune_scope, channels=options.prune_channels
        )
        dump.graph("pruned.txt", pruned.graph)
    found = _automatic(pruned if isinstance(pruned, Graph) else pruned.graph, samples, options, progress)
    quantized = verbs.quantize(
        pruned,
        samples,
        observer=options.observer,
        effort=options.effort,
        arithmetic=options.arithmetic,
        precision=options.precision if found is None else found.precision,
        layer_precision=options.layer_precision,
        activations=options.activations,
        progress=progress,
    )
    if found is not None:
        quantized = dataclasses.replace(quantized, facts={**quantized.facts, "precision_search": found.facts})
    dump.graph("int8.txt", quantized.graph)
    if options.stream and options.input_rows:
        raise McugenError(
            "`--stream` and `--input-rows` are two ways to take an input piece by piece",
            hint="leave one out: a stream's call takes whole frames",
        )
    if options.stream:
        quantized = verbs.stream(quantized, options.stream, padding=options.stream_padding)
        dump.graph("stream.txt", quantized.graph)
    return quantized


def _automatic(
    graph: Graph, samples: Mapping[str, Rows] | None, options: BuildOptions, progress: Progress | None
) -> AutoPrecision | None:
    """The mix of precisions, where one is asked for."""
    if options.precision != AUTO:
        if options.max_loss is not None or options.max_cycles is not None:
            raise McugenError(
                "`--max-loss` and `--max-cycles` are limits of `--precision auto`",
                hint="add `--precision auto`, or leave them out",
            )
        return None
    if samples is None:
        raise McugenError(
            f"{graph.name}: `--precision auto` measures on calibration data, and there is none",
            hint="give real inputs with `--calibrate data.npz`",
        )
    if options.activations != "static":
        raise McugenError(
            f"{graph.name}: `--precision auto` measures what int8 with fixed ranges costs, which dynamic ranges have not",
            hint="leave `--activations` or `--precision` out",
        )
    base = choose_precision(graph, INT8, options.layer_precision)
    check_precision(
        graph, Precision({graph.inputs[0]: "int16"}), imported=is_imported(graph), arithmetic=options.arithmetic
    )
    return choose_automatically(
        graph,
        samples,
        Limits(options.goal, options.max_loss, options.max_cycles),
        target=load_target(options.target),
        labels=verbs.stored_labels(options.calibrate),
        observer=options.observer,
        effort=options.effort,
        base=base,
        progress=progress,
    )


@dataclass(frozen=True)
class Dump:
    """Where `--dump` wants every stage printed; None prints nothing."""

    folder: Path | None

    def graph(self, name: str, graph: Graph) -> None:
        self.write(name, graph.to_text())

    def write(self, name: str, text: str) -> None:
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise McugenError(
                f"{self.folder}: cannot write the dump: {error.strerror}", hint="choose another `--dump DIR`"
            ) from None
        write_whole(self.folder / name, text.encode(), option="--dump")


def _ignore(_text: str) -> None:
    """The default for `warn`: the notes are in the report as well."""


def _host_compiler(options: BuildOptions) -> Compiler | None:
    """The compiler that proves the C; looked for first, because without one all other work is in vain."""
    if not options.verify:
        return None
    try:
        return find_host_compiler(_host_choice(options.compiler))
    except ToolchainError as error:
        raise ToolchainError(
            f"{error.message}, so the C cannot be verified", hint=f"{error.hint}; `--no-verify` builds without proof"
        ) from None


def _host_choice(compiler: str | None) -> str | None:
    """`--compiler` chooses for the target; this computer follows where it has a compiler of that name."""
    if compiler not in ("gcc", "clang", "zig"):
        return None
    try:
        find_host_compiler(compiler)
    except ToolchainError:
        return None
    return compiler


def _cross_choice(compiler: str | None) -> str | None:
    return None if compiler == "clang" else compiler


def _verify(staged: Package, quantized: Quantized, options: BuildOptions, progress: Progress | None) -> dict[str, Any]:
    vectors = verification_vectors(quantized.graph, quantized.integer_samples)
    result = verbs.verify(
        staged, vectors=vectors, layers=options.layers, compiler=_host_choice(options.compiler), progress=progress
    )
    record = result.to_dict()
    record.pop("compiler")  # the report says the same whichever compiler proved it
    return record


def _layer_fidelity(quantized: Quantized, progress: Progress | None) -> dict[str, Any]:
    """What quantization did to every layer, on the calibration data."""
    step = None if progress is None else lambda done, total: progress("layers", done, total)
    integer = quantized.graph if quantized.window_graph is None else quantized.window_graph
    return study_layers(quantized.float_graph, integer, quantized.channels, quantized.samples, progress=step).to_dict()


def _measure(staged: Package, target: Target, options: BuildOptions, warn: Warn) -> dict[str, Any]:
    """Flash as linked for the target, and cycles where a limit asks for them; raises DoesNotFit beyond the limits."""
    if target.family == "host":
        return {"flash": None}
    compiler = _cross_compiler(target, options, warn)
    if compiler is None:
        return {"flash": None}
    linked = link(staged, target, compiler)
    flash = flash_record(linked.sizes)
    limit = options.flash if options.flash is not None else target.budget.flash
    if limit is not None and flash["total"] > limit:
        raise DoesNotFit(
            f"{staged.name} does not fit {target.name}: it takes {bytes_text(flash['total'])} of flash "
            f"(weights {bytes_text(flash['weights'])}, code {bytes_text(flash['code'] + flash['runtime'])}), "
            f"the limit is {bytes_text(limit)}",
            hint="`--optimize size` makes the code smaller; `--prune-channels 0.3` makes the weights smaller",
        )
    data = linked.sizes.data + linked.sizes.bss
    facts: dict[str, Any] = {"flash": flash, "compiler": compiler.version}
    facts["ram"] = {**staged.report["ram"], "stack": linked.stack, "data": data}
    if options.cycles is not None:
        facts["cycles"] = _check_cycles(staged, target, options)
    return facts


def _cross_compiler(target: Target, options: BuildOptions, warn: Warn) -> Compiler | None:
    try:
        return find_cross_compiler(target, _cross_choice(options.compiler))
    except ToolchainError as error:
        if options.compiler is not None or options.flash is not None or options.cycles is not None:
            raise
        warn(f"{error.message}: flash is not measured ({error.hint})")
        return None


def _check_cycles(staged: Package, target: Target, options: BuildOptions) -> int | None:
    limit = options.cycles
    assert limit is not None
    result = verbs.simulate(staged, target, vectors=1, compiler=_cross_choice(options.compiler))
    if result.cycles is None:
        raise McugenError(
            f"the cycles of {target.name} are not modelled, so `--cycles` cannot be checked",
            hint="leave `--cycles` out",
        )
    if result.cycles > limit:
        slow = max(result.layers, key=lambda layer: layer.cycles or 0)
        raise DoesNotFit(
            f"{staged.name} does not fit {target.name}: one inference takes {result.cycles:,} cycles, the limit "
            f"is {limit:,}; the slowest is layer {slow.index} '{slow.name}' with {slow.cycles or 0:,}",
            hint="`--optimize speed`, or `--prune-channels 0.3`",
        )
    return result.cycles


def with_facts(compiled: Compiled, facts: Mapping[str, Any]) -> Compiled:
    """The compiled model with more in its report."""
    report = {**compiled.report, **facts}
    report["options_sha256"] = hashlib.sha256(json.dumps(report["options"], sort_keys=True).encode()).hexdigest()
    files = {**compiled.files, f"{compiled.program.name}.json": json_text(report)}
    return dataclasses.replace(compiled, report=report, files=files)


__all__ = ["Built", "VerificationFailed", "build", "build_with", "prepare", "with_facts"]

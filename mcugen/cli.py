"""The command line: options and printing only; the work is in verbs, build_flow and bench."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

import mcugen
from mcugen import config
from mcugen.cli_options import (
    AUTO_PRECISION,
    COMPILER,
    COUNT,
    EFFORT,
    FRACTION,
    LAYER_PRECISION,
    MAX_CYCLES,
    NAMES,
    OBSERVER,
    PATH,
    PLACES,
    PRECISION,
    SHAPE,
    SIZE,
    STREAM,
    file_options,
)
from mcugen.cli_support import Commands, common, example, note, progress_bars, show, warn
from mcugen.errors import McugenError
from mcugen.prune.magnitude import SCOPES
from mcugen.quantize.precision import ACTIVATIONS
from mcugen.report import text
from mcugen.report.html import report_html
from mcugen.report.layers import layer_study_text
from mcugen.report.memory import memory_text
from mcugen.report.precision import precision_tables
from mcugen.streaming import PADDINGS
from mcugen.whole_file import write_whole


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(mcugen.__version__, prog_name="mcugen")
def main() -> None:
    """Compile ONNX models to standalone int8 C for microcontrollers.

    Exit codes: 0 done, 1 a mistake in the model or its data, or Ctrl-C, 2 in the command line, 3 the result does not fit,
    4 the C and the reference disagree.
    """


@main.command(short_help="Show what a model or a built folder holds.", epilog=example("mcugen inspect model.onnx"))
@click.argument("model", type=PATH)
@click.option("--shape", type=SHAPE, multiple=True, help="Static shape of an input, e.g. input=1,3,32,32.")
@click.option("--outputs", type=NAMES, default=(), help="Cut the graph at these tensors.")
@click.option("--memory", is_flag=True, help="Of a folder: the map of its arena, step by step.")
@click.option("--html", type=PATH, help="Of a folder: write its report here as a page, the memory map as a picture.")
@common
def inspect(
    model: Path, shape: tuple[Any, ...], outputs: tuple[str, ...], memory: bool, html: Path | None, as_json: bool
) -> None:
    """Show what MODEL (an ONNX file, or a folder that mcugen built) holds, and what of it is not supported."""
    if (memory or html) and not model.is_dir():
        raise McugenError(
            f"{model}: is not a folder that mcugen built, so it has no memory map",
            hint="`mcugen build` it first: the map depends on the target",
        )
    if model.is_dir():
        report = mcugen.open_package(model).report
        if html is not None:
            write_whole(html, report_html(report, model.name).encode(), option="--html")
        if memory and not as_json:
            click.echo(memory_text(report), nl=False)
            return
        search = report.get("precision_search")
        more = precision_tables(search) if search else []
        show("inspect", report, lambda: [*text.folder_text(report, str(model)), *more], as_json=as_json)
        return
    from mcugen.inspection import inspect_model

    record = inspect_model(model, shapes=dict(shape), outputs=outputs)
    show("inspect", record, lambda: text.inspect_text(record), as_json=as_json)


@main.command(
    short_help="Build a model into a folder of verified C.",
    epilog=example("mcugen build model.onnx --calibrate calib.npz --target cortex-m4"),
)
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, help="The folder to write (default: build/NAME).")
@click.option("-t", "--target", default="cortex-m", show_default=True, help="See `mcugen targets`, or a .toml file.")
@click.option("-c", "--calibrate", type=PATH, help="Real inputs: .npz, .npy or a folder of .npy.")
@click.option("--name", help="The name in C (default: the file's).")
@click.option("--shape", type=SHAPE, multiple=True, help="Static shape of an input, e.g. input=1,3,32,32.")
@click.option("--outputs", type=NAMES, default=(), help="Cut the graph at these tensors, e.g. boxes,scores.")
@OBSERVER
@EFFORT
@click.option(
    "--arithmetic",
    type=click.Choice(config.ARITHMETICS),
    default="default",
    show_default=True,
    help="tflite: the integers of TensorFlow Lite's reference kernels.",
)
@AUTO_PRECISION
@click.option(
    "--layer-precision", type=LAYER_PRECISION, default={}, help="Of some layers, e.g. conv1=int16,fc2=int4,input=int16."
)
@click.option(
    "--activations",
    type=click.Choice(ACTIVATIONS),
    default="static",
    show_default=True,
    help="dynamic: fully connected and recurrent layers find their ranges at run time, without calibration.",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(0),
    metavar="POINTS|DB",
    help="With auto: 4-bit weights as far as this loss goes, in top-1 points where there are labels, else in dB.",
)
@click.option(
    "--max-cycles",
    type=MAX_CYCLES,
    help="With auto: int16 as far as these cycles go, as a count or a ratio to int8 (default: --cycles, or 1.2x).",
)
@click.option(
    "--optimize", type=click.Choice(config.GOALS), default="balanced", show_default=True, help="What to prefer."
)
@click.option("--flash", type=SIZE, help="Limit of flash, e.g. 64K.")
@click.option("--ram", type=SIZE, help="Limit of the arena in RAM, e.g. 20K.")
@click.option("--cycles", type=COUNT, help="Limit of modelled cycles of an inference, e.g. 5M.")
@click.option(
    "--input-rows/--no-input-rows",
    default=None,
    help="Take the input row by row, NAME_push_row (default: where --ram asks for it).",
)
@click.option("--prune", type=FRACTION, help="Fraction of weights to zero.")
@click.option("--prune-scope", type=click.Choice(SCOPES), default="global", show_default=True, help="Of --prune.")
@click.option("--prune-channels", type=FRACTION, help="Fraction of channels to remove.")
@COMPILER
@click.option("--verify/--no-verify", default=True, show_default=True, help="Prove the C against the reference first.")
@click.option("--layers", is_flag=True, help="Verify every layer, and report what quantization did to it.")
@click.option("--place", type=PLACES, default={}, help="Linker sections, e.g. weights=.flash,arena=.dtcm.")
@click.option("--stream", type=STREAM, default={}, help="The input's axis of time: each call takes only new frames.")
@click.option(
    "--stream-padding",
    type=click.Choice(PADDINGS),
    default="exact",
    show_default=True,
    help="exact: as the whole window; causal: padding only before the first frame.",
)
@click.option("--dump", type=PATH, help="A folder that takes every stage as text.")
@click.option("--config", "config_file", type=PATH, help="Options (default: mcugen.toml by the model, or here).")
@common
def build(model: Path, config_file: Path | None, as_json: bool, **params: Any) -> None:
    """Build MODEL into a folder of C, verified on this computer and measured for the target."""
    from mcugen.build_flow import build_with

    found = config_file or config.find_config(model)
    if found is not None:
        params |= file_options(click.get_current_context(), found)
        note(f"options from {found}")
    params["shape"] = dict(params["shape"])
    with progress_bars() as progress:
        built = build_with(model, config.BuildOptions(**params), progress=progress, warn=warn)
    show("build", built.to_dict(), lambda: text.build_text(built.report, str(built.folder)), as_json=as_json)


@main.command(
    short_help="Compare the C with the reference, on this computer.",
    epilog=example("mcugen verify build/model --layers"),
)
@click.argument("folder", type=PATH)
@click.option("--data", type=PATH, help="Compare on these inputs instead of the calibration samples.")
@click.option("--layers", is_flag=True, help="Compare every layer.")
@COMPILER
@common
def verify(folder: Path, data: Path | None, layers: bool, compiler: str | None, as_json: bool) -> None:
    """Compile FOLDER's C for this computer and compare every byte with the NumPy reference."""
    package = mcugen.open_package(folder)
    with progress_bars() as progress:
        result = mcugen.verify(package, data=data, layers=layers, compiler=compiler, progress=progress)
    record = {"name": package.name, "folder": str(folder), **result.to_dict()}
    show("verify", record, lambda: text.verification_text(package.name, result), as_json=as_json)


@main.command(
    short_help="Run the C on this computer on a file of inputs.",
    epilog=example("mcugen run build/model --inputs inputs.npz --outputs outputs.npz"),
)
@click.argument("folder", type=PATH)
@click.option("--inputs", type=PATH, required=True, help="Inputs as for --calibrate.")
@click.option("--outputs", type=PATH, required=True, help="The .npz to write, arrays named as the model's outputs.")
@click.option("--raw", is_flag=True, help="Integers in and out, instead of real values.")
@COMPILER
@common
def run(folder: Path, inputs: Path, outputs: Path, as_json: bool, **options: Any) -> None:
    """Run FOLDER's C on this computer on every sample of a file."""
    from mcugen.verbs import write_outputs

    package = mcugen.open_package(folder)
    written = write_outputs(outputs, mcugen.infer(package, inputs, **options))
    record = {"name": package.name, "samples": written.samples, "outputs": written.shapes, "file": str(outputs)}
    show("run", record, lambda: [f"{package.name}: {written.samples} samples run, {outputs} written"], as_json=as_json)


@main.command(
    short_help="Run the C on an emulated core: cycles, stack, flash.",
    epilog=example("mcugen simulate build/model --target cortex-m4 --elf model.elf"),
)
@click.argument("folder", type=PATH)
@click.option("-t", "--target", help="The core (default: what the folder was built for).")
@click.option("--cpu", help="A core of the target's family, for a target that runs on several.")
@click.option("--elf", type=PATH, help="Keep the program here.")
@click.option("--vectors", type=click.IntRange(1), default=8, show_default=True, help="How many vectors to compare.")
@COMPILER
@click.option("--emulator", type=click.Choice(("unicorn", "qemu")), help="Instead of the target's own.")
@common
def simulate(folder: Path, as_json: bool, **params: Any) -> None:
    """Run FOLDER's C on an emulated core: bit-exactness, cycles by layer, stack, flash and RAM."""
    package = mcugen.open_package(folder)
    with progress_bars() as progress:
        result = mcugen.simulate(package, progress=progress, **params)
    show("simulate", result.to_dict(), lambda: text.simulation_text(result), as_json=as_json)


@main.command(
    short_help="Compare the C with the float model on data.",
    epilog=example("mcugen evaluate build/model --data eval.npz"),
)
@click.argument("folder", type=PATH)
@click.option("--data", type=PATH, required=True, help="Inputs as for --calibrate; an array y holds the labels.")
@click.option("--layers", is_flag=True, help="Also every layer: its noise, saturation, range use, worst channels.")
@COMPILER
@common
def evaluate(folder: Path, data: Path, layers: bool, compiler: str | None, as_json: bool) -> None:
    """Compare FOLDER's compiled C with the float model on data: SQNR, agreement, top-1."""
    package = mcugen.open_package(folder)
    with progress_bars() as progress:
        result = mcugen.evaluate(package, data, compiler=compiler, progress=progress)
        study = mcugen.evaluate_layers(package, data, progress=progress) if layers else None
    record = {"name": package.name, **result.to_dict()}
    if study is not None:
        record["layers"] = study.to_dict()
    lines = text.evaluation_text(package.name, result) + (layer_study_text(study) if study else [])
    show("evaluate", record, lambda: lines, as_json=as_json)


@main.command(
    short_help="Table of how close integers come to float.",
    epilog=example("mcugen fidelity model.onnx --calibrate calib.npz --data eval.npz --methods"),
)
@click.argument("models", type=PATH, nargs=-1, required=True, metavar="MODEL...")
@click.option("-c", "--calibrate", type=PATH, help="Calibration data (default: NAME_calib.npz beside each model).")
@click.option("--data", type=PATH, help="Unseen data; an array y holds the labels (default: NAME_eval.npz).")
@click.option("--methods", is_flag=True, help="A row for every method of the quantizer: what it gains.")
@EFFORT
@common
def fidelity(models: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Quantize every MODEL (ONNX files, or folders of them) and compare it with float on data that it never saw."""
    from mcugen.fidelity import fidelity_rows
    from mcugen.report.fidelity import fidelity_table

    with progress_bars() as progress:
        rows = list(fidelity_rows(models, progress=progress, **options))
    record = {"rows": [row.to_dict() for row in rows]}
    show("fidelity", record, lambda: [fidelity_table(rows)], as_json=as_json)


@main.command(
    short_help="Table of costs of models on targets.",
    epilog=example("mcugen bench examples --target cortex-m4 --target cortex-m0plus"),
)
@click.argument("models", type=PATH, nargs=-1, metavar="[MODEL]...")
@click.option("--kernels", is_flag=True, help="Measure every kind of layer alone instead of models.")
@click.option("-t", "--target", "targets", multiple=True, default=("cortex-m4",), show_default=True)
@click.option(
    "--optimize", type=click.Choice(config.GOALS), help="What to prefer (default: balanced; speed with --kernels)."
)
@OBSERVER
@EFFORT
@PRECISION
@COMPILER
@common
def bench(models: tuple[Path, ...], targets: tuple[str, ...], kernels: bool, as_json: bool, **options: Any) -> None:
    """Build and simulate every MODEL (ONNX files, or folders of them) for every target; print one table.

    Calibration data is looked for beside each model: NAME_calib.npz, that of a part of its name, or calib.npz.  With
    --kernels: cycles per MAC, or per element, of every kind of layer alone, beside CMSIS-NN's figure where there is one.
    """
    from mcugen.bench import bench_models

    if kernels == bool(models):
        raise click.UsageError("give models, or --kernels")
    options["optimize"] = options["optimize"] or ("speed" if kernels else "balanced")
    if kernels:
        _bench_kernels(targets, options, as_json=as_json)
        return
    with progress_bars() as progress:
        rows = bench_models(models, targets, progress=progress, warn=warn, **options)
    records = [dataclasses.asdict(row) for row in rows]
    show("bench", {"rows": records}, lambda: [text.bench_table(records)], as_json=as_json)
    failed = [row.exit_code for row in rows if row.error]
    if failed:
        for row in rows:
            if row.error:
                warn(f"{row.name} on {row.target}: {row.error}")
        click.get_current_context().exit(failed[0])


def _bench_kernels(targets: tuple[str, ...], options: dict[str, Any], *, as_json: bool) -> None:
    from mcugen.bench_kernels import bench_kernels

    records: list[dict[str, Any]] = []
    given = {name: options[name] for name in ("optimize", "compiler", "precision")}
    with progress_bars() as progress:
        for target in targets:
            rows = bench_kernels(target, **given, progress=progress)
            records += [{"target": target, **dataclasses.asdict(row)} for row in rows]
    show("bench", {"kernels": records}, lambda: [text.kernel_table(records)], as_json=as_json)


@main.command(short_help="List the operators.", epilog=example("mcugen ops --json"))
@common
def ops(as_json: bool) -> None:
    """List the operators, and the ONNX operators that each imports."""
    from mcugen.ops import operators

    rows = [{"name": name, "onnx": list(operator.onnx)} for name, operator in operators().items()]
    show("ops", {"operators": rows}, lambda: [text.operators_table(rows)], as_json=as_json)


@main.command(short_help="List the targets and what is installed for them.", epilog=example("mcugen targets"))
@common
def targets(as_json: bool) -> None:
    """List the targets, and which compiler and emulator is installed for each."""
    from mcugen.inspection import target_records

    rows = target_records()
    show("targets", {"targets": rows}, lambda: [text.targets_table(rows)], as_json=as_json)

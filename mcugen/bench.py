"""Cycles, flash, RAM and stack of models on targets, in one table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcugen import pipeline, verbs
from mcugen.build_flow import prepare
from mcugen.config import BuildOptions
from mcugen.errors import CalibrationError, McugenError
from mcugen.pipeline import Quantized
from mcugen.plan.schedule import Goal
from mcugen.quantize.precision import INT8

Progress = Callable[[str, int, int], None]
Warn = Callable[[str], None]

VECTORS = 2


@dataclass(frozen=True)
class BenchRow:
    """One model on one target; `error` says why the rest is None.  Sizes in bytes."""

    name: str
    target: str
    macs: int | None = None
    cycles: int | None = None
    cycles_per_mac: float | None = None
    instructions: int | None = None
    flash: Mapping[str, int] | None = None
    ram: Mapping[str, int] | None = None
    stack: int | None = None
    bit_exact: bool | None = None
    calibration: str | None = None
    error: str | None = None
    exit_code: int = 0


def bench_models(
    models: Sequence[Path],
    targets: Sequence[str],
    *,
    optimize: str = "balanced",
    observer: str = "auto",
    effort: str = "default",
    precision: str = INT8,
    compiler: str | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
) -> list[BenchRow]:
    """A row for every model and target: built, run on the emulated core, and compared with the reference there.

    `models` are ONNX files, or folders searched for them.  Raises McugenError where there is none.
    """
    files = list(find_models(models))
    if not files:
        raise McugenError(
            f"{', '.join(map(str, models))}: no .onnx file there", hint="give ONNX files, or folders of them"
        )
    rows: list[BenchRow] = []
    for file in files:
        try:
            data, quantized = _prepared(file, observer=observer, effort=effort, precision=precision)
        except Exception as error:
            rows += [_failed(file, target, error) for target in targets]
            continue
        if quantized.synthetic and warn is not None:
            warn(f"{file.name}: no calibration data beside it: cycles and sizes hold, its accuracy would not")
        for target in targets:
            calibration = None if data is None else data.name
            rows.append(_row(file, target, quantized, goal=Goal(optimize), compiler=compiler, calibration=calibration))
            if progress is not None:
                progress("bench", len(rows), len(files) * len(targets))
    return rows


def find_models(places: Sequence[Path]) -> Iterator[Path]:
    """ONNX files, those in folders in the order of their names."""
    for place in places:
        yield from (sorted(place.rglob("*.onnx")) if place.is_dir() else [place])


def find_calibration(model: Path) -> list[Path]:
    """Calibration files that may belong to a model, best first: by its name, by parts of its name, or `calib.npz`."""
    parts = model.stem.split("_")
    prefixes = ["_".join(parts[:count]) for count in range(len(parts), 0, -1)]
    exact = [model.parent / f"{stem}_calib.npz" for stem in (*prefixes, *parts[1:])]
    longer = [path for part in parts for path in sorted(model.parent.glob(f"{part}_*_calib.npz"))]
    found = dict.fromkeys([*exact, model.parent / "calib.npz", *longer])
    return [path for path in found if path.is_file()]


def _prepared(model: Path, **options: str) -> tuple[Path | None, Quantized]:
    """The quantized model, with the first calibration file that fits its inputs."""
    for path in find_calibration(model):
        try:
            return path, prepare(model, BuildOptions(calibrate=path, **options))  # type: ignore[arg-type]
        except CalibrationError:
            continue
    return None, prepare(model, BuildOptions(**options))  # type: ignore[arg-type]


def _failed(model: Path, target: str, error: Exception) -> BenchRow:
    """A row for what went wrong: even a defect of mcugen in one model must not cost the table of the others."""
    if isinstance(error, McugenError):
        return BenchRow(model.stem, target, error=error.message, exit_code=error.exit_code)
    return BenchRow(model.stem, target, error=f"unexpected {type(error).__name__}: {error}", exit_code=1)


def _row(
    model: Path, target: str, quantized: Quantized, *, goal: Goal, compiler: str | None, calibration: str | None
) -> BenchRow:
    try:
        compiled = pipeline.compile_model(quantized, target=target, goal=goal, name=model.stem)
        with tempfile.TemporaryDirectory(prefix="mcugen-") as folder:
            package = compiled.stage(Path(folder) / "model")
            result = verbs.simulate(package, target, vectors=VECTORS, compiler=compiler)
    except Exception as error:
        return _failed(model, target, error)
    record = result.to_dict()
    return BenchRow(
        name=model.stem,
        target=target,
        macs=result.macs,
        cycles=result.cycles,
        cycles_per_mac=result.cycles_per_mac,
        instructions=result.instructions,
        flash=record["flash"],
        ram=record["ram"],
        stack=result.stack,
        bit_exact=True,
        calibration=calibration,
    )

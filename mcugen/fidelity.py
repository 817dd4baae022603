"""How close integers come to float, for many models or for many choices of methods, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcugen import pipeline
from mcugen.bench import find_calibration, find_models
from mcugen.errors import CalibrationError, McugenError
from mcugen.graph import Graph
from mcugen.quantize.ablation import Fidelity, ablation, ablation_size, measure
from mcugen.quantize.calibration import load_samples
from mcugen.quantize.imported import is_imported
from mcugen.verbs import stored_labels

Progress = Callable[[str, int, int], None]

DEFAULT = "default"


@dataclass(frozen=True)
class FidelityRow:
    """A model quantized with some methods ("default", "without NAME", "with NAME", "none") and what it is worth on `samples`
    evaluation samples."""

    name: str
    methods: str
    samples: int
    fidelity: Fidelity

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "methods": self.methods, "samples": self.samples, **asdict(self.fidelity)}


def fidelity_rows(
    models: Sequence[Path],
    *,
    calibrate: Path | None = None,
    data: Path | None = None,
    effort: str = "default",
    methods: bool = False,
    progress: Progress | None = None,
) -> Iterator[FidelityRow]:
    """A row for every ONNX file of `models` (files, or folders of them); with `methods` one for every choice of methods.

    Calibrated on `calibrate`, measured on `data`; by default on NAME_calib.npz and NAME_eval.npz beside the model, with NAME the
    model's or a part of it, or on calib.npz and eval.npz.  Raises McugenError where there is no model, CalibrationError where
    there is no data for one.
    """
    files = list(find_models(models))
    if not files:
        raise McugenError(
            f"{', '.join(map(str, models))}: no .onnx file there", hint="give ONNX files, or folders of them"
        )
    for number, file in enumerate(files):
        if progress is not None:
            progress("models", number, len(files))
        yield from _rows(file, calibrate, data, effort, methods, progress)


def _rows(
    file: Path, calibrate: Path | None, data: Path | None, effort: str, methods: bool, progress: Progress | None
) -> Iterator[FidelityRow]:
    graph = pipeline.load(file)
    seen_at, unseen_at = _data(file, graph, calibrate, data)
    seen, unseen, labels = load_samples(graph, seen_at), load_samples(graph, unseen_at), stored_labels(unseen_at)
    count = len(next(iter(unseen.values())))
    if not methods:
        quantized = pipeline.quantize(graph, seen, effort=effort, progress=progress)
        yield FidelityRow(file.stem, DEFAULT, count, measure(graph, quantized.graph, unseen, labels))
        return
    if is_imported(graph):
        raise McugenError(f"{file.name}: comes quantized, so there are no methods to choose", hint="give a float model")
    for done, row in enumerate(ablation(graph, seen, unseen, labels=labels, effort=effort)):
        if progress is not None:
            progress(file.stem, done + 1, ablation_size())
        yield FidelityRow(file.stem, row.name, count, row.fidelity)


def _data(file: Path, graph: Graph, calibrate: Path | None, data: Path | None) -> tuple[Path, Path]:
    """Where the calibration and the evaluation data are."""
    if data is not None and not data.is_file():
        raise CalibrationError(f"{data}: no such file", hint="`--data` takes an .npz or .npy of data to measure on")
    same = False
    for found in [calibrate] if calibrate is not None else find_calibration(file):
        place = data or found.with_name(found.name.replace("calib", "eval"))
        same = same or place == found
        if place == found or not place.is_file():
            continue
        try:
            load_samples(graph, found)
        except CalibrationError:
            if calibrate is not None:
                raise
            continue
        return found, place
    if same:
        raise CalibrationError(
            f"{file.name}: it would be measured on the data that calibrates it, {data or calibrate}",
            hint="give `--data` samples that calibration does not see",
        )
    raise CalibrationError(
        f"{file.name}: no calibration and evaluation data that fit it",
        hint="put NAME_calib.npz and NAME_eval.npz beside it, or give `--calibrate` and `--data`",
    )

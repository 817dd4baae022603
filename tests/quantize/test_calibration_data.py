"""Calibration data as users have it: large files, compressed, in folders; odd samples; of another normalisation."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mcugen.execute
from mcugen.errors import CalibrationError
from mcugen.graph import Graph
from mcugen.graph_file import graph_bytes
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import load, quantize
from mcugen.quantize import sample_files
from mcugen.quantize.ablation import measure
from mcugen.quantize.calibration import load_samples, open_samples
from mcugen.quantize.data_checks import check_data
from mcugen.quantize.quantizer import quantize_graph
from mcugen.quantize.sample_files import StreamedSamples

Array = np.ndarray
Write = Callable[[Path, Array], Path]
EXAMPLES = Path(__file__).parents[2] / "examples"
SIDE = 16


def small_network() -> Graph:
    rng = np.random.default_rng(1)
    builder = GraphBuilder("small")
    x = builder.input("x", (1, SIDE, SIDE, 3))
    window = {"strides": (4, 4), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
    w, b = builder.constant(rng.normal(size=(4, 4, 4, 3)) / 7, "w"), builder.constant(rng.normal(size=4), "b")
    h = builder.emit("conv2d", [x, w, b], groups=1, clip_min=0.0, **window)
    flat = builder.emit("reshape", [h], shape=(1, SIDE * SIDE // 4))
    return builder.output(builder.emit("fully_connected", [flat, builder.constant(rng.normal(size=(3, 64)), "v")]))


def as_npy(folder: Path, data: Array) -> Path:
    np.save(folder / "data.npy", data)
    return folder / "data.npy"


def as_npz(folder: Path, data: Array) -> Path:
    np.savez(folder / "data.npz", x=data, y=np.zeros(len(data), np.int64))
    return folder / "data.npz"


def as_compressed(folder: Path, data: Array) -> Path:
    np.savez_compressed(folder / "data.npz", x=data)
    return folder / "data.npz"


def as_input_folder(folder: Path, data: Array) -> Path:
    np.save(folder / "x.npy", data)
    return folder


def as_sample_folder(folder: Path, data: Array) -> Path:
    for i, sample in enumerate(data):
        np.save(folder / f"sample_{i:05}.npy", sample)
    return folder


WRITERS = (as_npy, as_npz, as_compressed, as_input_folder, as_sample_folder)


@pytest.mark.parametrize("write", WRITERS)
def test_streamed_samples_are_those_of_the_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(2).normal(size=(50, SIDE, SIDE, 3))
    graph, path = small_network(), write(tmp_path, data)
    held = load_samples(graph, path)["x"]
    assert isinstance(open_samples(graph, path)["x"], np.ndarray), "small files are held"
    monkeypatch.setattr(sample_files, "STREAM_BYTES", 10_000)
    streamed = open_samples(graph, path)
    assert isinstance(streamed["x"], StreamedSamples) and len(streamed["x"]) == 50
    assert np.array_equal(streamed["x"][7:19], held[7:19])
    assert np.array_equal(streamed["x"][np.array([49, 0, 3])], held[[49, 0, 3]])
    assert graph_bytes(quantize_graph(graph, streamed).graph) == graph_bytes(quantize_graph(graph, {"x": held}).graph)


@pytest.mark.parametrize("write", [as_npy, as_npz, as_compressed])
def test_memory_is_bounded_whatever_the_number_of_samples(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(3).integers(0, 256, (400, SIDE, SIDE, 3), np.uint8)
    path = write(tmp_path, np.tile(images, (60, 1, 1, 1)))
    whole = 24_000 * SIDE * SIDE * 3 * 4
    monkeypatch.setattr(sample_files, "STREAM_BYTES", 1 << 20)
    monkeypatch.setattr(mcugen.execute, "BATCH_BYTES", 1 << 20)
    graph = small_network()
    tracemalloc.start()
    try:
        quantized = quantize(graph, open_samples(graph, path), effort="fast")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert quantized.sample_count == 24_000 and len(quantized.samples["x"]) < 400
    assert peak < 16 << 20 < whole / 4


def test_what_is_streamed_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_files, "STREAM_BYTES", 1000)
    graph = small_network()
    data = np.zeros((40, SIDE, SIDE, 3), np.float32)
    data[31, 2, 2, 1] = np.nan
    rows = open_samples(graph, as_npy(tmp_path, data))["x"]
    assert not rows[0:30].any()
    with pytest.raises(CalibrationError, match="1 values that are NaN"):
        rows[30:40]
    with pytest.raises(CalibrationError, match=r"has shape \[40, 16, 16\]"):
        open_samples(graph, as_npy(tmp_path, data[..., 0]))
    with pytest.raises(CalibrationError, match="Fortran order"):
        open_samples(graph, as_npy(tmp_path, np.asfortranarray(data)))
    (tmp_path / "cut.npz").write_bytes(as_npz(tmp_path, data).read_bytes()[:-900])
    with pytest.raises(CalibrationError, match=r"cut.npz: not a readable .npz or .npy"):
        open_samples(graph, tmp_path / "cut.npz")
    with pytest.raises(CalibrationError, match="no such file"):
        open_samples(graph, tmp_path / "none.npz")


def example(name: str) -> tuple[Graph, dict[str, Array]]:
    graph = load(EXAMPLES / name / f"{name}.onnx")
    return graph, load_samples(graph, EXAMPLES / name / "calib.npz")


@pytest.mark.parametrize("name", ["digits", "motion", "tabular"])
def test_data_of_the_right_normalisation_is_taken_without_a_word(name: str) -> None:
    graph, samples = example(name)
    assert check_data(graph, samples) == []
    assert check_data(graph, load_samples(graph, EXAMPLES / name / "eval.npz")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * 255, "far too large"),
        (lambda x: x / 255, "far too small"),
        (lambda x: x + 6 * x.std(), "lie far off"),
        (lambda x: x - 6 * x.std(), "lie far off"),
    ],
)
@pytest.mark.parametrize("name", ["digits", "motion", "tabular"])
def test_data_of_another_normalisation_is_told(name: str, change: Callable[[Array], Array], words: str) -> None:
    graph, samples = example(name)
    (warning,) = check_data(graph, {key: change(x).astype(np.float32) for key, x in samples.items()})
    assert words in warning and warning.endswith("same scale, same offset")


def test_a_build_tells_what_is_wrong_with_the_data() -> None:
    graph, samples = example("tabular")
    (note,) = quantize(graph, {key: x * 255 for key, x in samples.items()}, effort="fast").notes
    assert "far too large" in note


def test_the_offset_that_is_missing_is_estimated() -> None:
    graph, samples = example("digits")
    ((name, x),) = samples.items()
    (warning,) = check_data(graph, {name: x - 2})
    expected = float(warning.split("about ")[1].split(" ")[0])
    assert abs(expected - x.mean()) < 0.3


def test_odd_samples_are_told() -> None:
    graph, samples = example("digits")
    ((name, x),) = samples.items()
    outlier = x.copy()
    outlier[5] *= 100
    assert any("sample 5 reaches 100" in warning for warning in check_data(graph, {name: outlier}))
    assert "only 1 calibration sample:" in check_data(graph, {name: x[:1]})[0]
    assert any("has the value 0.5 throughout" in w for w in check_data(graph, {name: np.full_like(x, 0.5)}))


def test_an_outlier_does_not_spoil_the_others() -> None:
    graph = small_network()
    rng = np.random.default_rng(5)
    clean, unseen = ({"x": rng.normal(size=(60, SIDE, SIDE, 3)).astype(np.float32)} for _ in range(2))
    dirty = {"x": clean["x"].copy()}
    dirty["x"][3, 2, 2, 0] = 40.0
    first, second = (
        measure(graph, quantize_graph(graph, samples).graph, unseen).output_db for samples in (clean, dirty)
    )
    assert second > first - 10


def test_dead_inputs_cost_nothing() -> None:
    graph = small_network()
    rng = np.random.default_rng(6)
    clean, unseen = ({"x": rng.normal(size=(60, SIDE, SIDE, 3)).astype(np.float32)} for _ in range(2))
    for samples in (clean, unseen):
        samples["x"][..., 1] = 0
    assert check_data(graph, clean) == []
    assert measure(graph, quantize_graph(graph, clean).graph, unseen).output_db > 30


def test_recurrent_layers_tell_it_by_their_gates() -> None:
    rng = np.random.default_rng(8)
    builder = GraphBuilder("recurrent")
    x = builder.input("x", (1, 10, 6))
    shapes = ((32, 6), (32,), (32, 8), (32,), (8,), (8,))
    arrays = [
        builder.constant(rng.normal(size=shape) / np.sqrt(shape[-1] if len(shape) > 1 else 1), "w") for shape in shapes
    ]
    graph = builder.output(builder.emit("lstm", [x, *arrays], reverse=False, sequence=False))
    data = rng.normal(size=(40, 10, 6)).astype(np.float32)
    assert check_data(graph, {"x": data}) == []
    assert "far too small" in check_data(graph, {"x": data / 255})[0]
    assert "far too large" in check_data(graph, {"x": data * 255})[0]
    assert "lie far off" in check_data(graph, {"x": data + 20})[0]

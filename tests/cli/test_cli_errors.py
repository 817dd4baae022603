"""Bad input of every kind: one message with where, what, limit and remedy, the exit code, no trace on disk."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_models
from click.testing import CliRunner
from conftest import ROOT, Done

import mcugen
from mcugen import verbs
from mcugen.cli import main
from mcugen.package import open_package

Run = Callable[..., Done]
SOUND_EXITS = (0, 1)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 0.99])
def test_truncated_model(refuse: Run, tmp_path: Path, part: float) -> None:
    whole = (ROOT / "examples/digits/digits.onnx").read_bytes()
    model = tmp_path / "cut.onnx"
    model.write_bytes(whole[: int(part * len(whole))])
    refuse(model, parts=["cut.onnx"])


@pytest.mark.parametrize("seed", range(24))
def test_fuzzed_model(run: Run, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray((ROOT / "examples/tabular/tabular.onnx").read_bytes())
    for _ in range(int(rng.integers(1, 8))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    model = tmp_path / "fuzzed.onnx"
    model.write_bytes(bytes(data))
    done = run("inspect", model, code=None)
    assert done.code in SOUND_EXITS and "unexpected" not in done.stderr
    built = run("build", model, "--no-verify", "--output", tmp_path / "out", code=None)
    assert built.code in SOUND_EXITS and "unexpected" not in built.stderr and "Traceback" not in built.stderr
    assert (tmp_path / "out").exists() == (built.code == 0)


def test_missing_model_and_something_else(refuse: Run, tmp_path: Path) -> None:
    refuse(tmp_path / "none.onnx", parts=["none.onnx", "no such file"])
    text = tmp_path / "text.onnx"
    text.write_text("this is no model", encoding="utf-8")
    refuse(text, parts=["text.onnx"])


def test_unsupported_operators_all_at_once(refuse: Run, tmp_path: Path) -> None:
    model = small_models.unsupported(tmp_path / "odd.onnx")
    refuse(
        model,
        parts=["odd.onnx", "2 nodes", "'determinant' (Det)", "'places_of_hits' (NonZero)", "mcugen ops", "--outputs"],
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(refuse: Run, tmp_path: Path, value: float) -> None:
    weights = small_models.dense_weights()
    weights["w"][1, 2] = value
    model = small_models.classifier(tmp_path / "bad.onnx", weights=weights)
    refuse(model, parts=["bad.onnx", "'w'", "1 of 48 values", "NaN or infinite"])


def test_dynamic_shapes(refuse: Run, tmp_path: Path) -> None:
    model = small_models.dynamic_image(tmp_path / "image.onnx")
    refuse(model, parts=["image.onnx", "'x'", "'H', 'W'", "--shape x=1,3,?,?"])
    refuse(model, "--shape", "x=1,3,8", parts=["[1, 3, 8]", "'x'"])
    refuse(model, "--shape", "y=1,3,8,8", parts=["no input named y", "its inputs: x"])


def test_an_unknown_output(refuse: Run, model: Path) -> None:
    refuse(model, "--outputs", "logits,nothing", parts=["net.onnx", "nothing", "mcugen inspect"])


CALIBRATION = {
    "other names": ({"image": small_models.samples(), "noise": small_models.samples()}, ["'x'", "image, noise"]),
    "other shape": ({"x": small_models.samples(8, 5)}, ["'x'", "[8, 5]", "['N', 12]"]),
    "one sample without batch": ({"x": small_models.samples()[0]}, ["'x'", "[12]", "['N', 12]"]),
    "strings": ({"x": np.full((4, 12), "a")}, ["'x'", "<U1", "float32"]),
    "complex": ({"x": small_models.samples() * 1j}, ["'x'", "complex", "float32"]),
    "not finite": ({"x": np.full((4, 12), np.nan)}, ["'x'", "48 values", "NaN"]),
    "nothing": ({"x": np.zeros((0, 12))}, ["'x'", "no sample"]),
}


@pytest.mark.parametrize("kind", CALIBRATION)
def test_wrong_calibration_data(refuse: Run, model: Path, tmp_path: Path, kind: str) -> None:
    arrays, parts = CALIBRATION[kind]
    np.savez(tmp_path / "wrong.npz", **arrays)
    refuse(model, "--calibrate", tmp_path / "wrong.npz", parts=["wrong.npz", *parts])


def test_unreadable_calibration_data(refuse: Run, model: Path, tmp_path: Path) -> None:
    refuse(model, "--calibrate", tmp_path / "none.npz", parts=["none.npz", "no such file"])
    broken = tmp_path / "broken.npz"
    broken.write_bytes((model.parent / "calib.npz").read_bytes()[:300])
    refuse(model, "--calibrate", broken, parts=["broken.npz", "not a readable"])
    np.savez(tmp_path / "objects.npz", x=np.array([{"a": 1}], object))
    refuse(model, "--calibrate", tmp_path / "objects.npz", parts=["objects.npz"])


def test_inputs_with_different_numbers_of_samples(refuse: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "uneven.npz", x_left=np.zeros((4, 6)), x_right=np.zeros((5, 3)))
    model = small_models.two_inputs(tmp_path / "pair.onnx")
    refuse(model, "--calibrate", tmp_path / "uneven.npz", parts=["uneven.npz", "x_left", "4", "x_right", "5"])


def test_an_accumulator_that_could_overflow(refuse: Run, tmp_path: Path) -> None:
    refuse(
        small_models.overflowing(tmp_path / "wide.onnx"),
        parts=["wide", "'huge", "accumulator of output channel", "could overflow", "2^31"],
    )


@pytest.mark.parametrize(
    ("limit", "value", "parts"),
    [
        ("--flash", "100", ["constants", "bytes of flash", "limit is 100"]),
        ("--flash", "1K", ["cortex-m4", "of flash", "weights", "code", "the limit is 1.0 KiB"]),
        ("--ram", "10", ["bytes of RAM", "the limit is 10", "the peak is at step"]),
        ("--cycles", "50", ["one inference takes", "cycles", "the limit is 50", "the slowest is layer"]),
    ],
)
def test_it_does_not_fit(refuse: Run, model: Path, limit: str, value: str, parts: list[str]) -> None:
    refuse(model, "--target", "cortex-m4", limit, value, parts=["net", "does not fit", *parts], code=3)


def test_an_unknown_target(refuse: Run, model: Path, tmp_path: Path) -> None:
    refuse(model, "--target", "cortex-m5", parts=["unknown target 'cortex-m5'", "cortex-m"])
    refuse(model, "--target", "./none.toml", parts=["none.toml", "no such target file"])


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A computer without any C compiler, and without ziglang."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    for name in ("CC", "MCUGEN_ARM_GCC", "MCUGEN_RISCV_GCC"):
        monkeypatch.delenv(name, raising=False)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ziglang" else find_spec(name, *rest)
    )


@pytest.mark.usefixtures("no_compiler")
def test_no_compiler(refuse: Run, run: Run, model: Path, tmp_path: Path) -> None:
    refuse(model, parts=["no C compiler for this computer", "ziglang", "gcc", "--no-verify"])
    refuse(
        model, "--no-verify", "--flash", "64K", "--target", "cortex-m4", parts=["no compiler for cortex-m4", "ziglang"]
    )
    refuse(model, "--compiler", "gcc", "--no-verify", parts=["no arm-none-eabi-gcc", "ziglang"])
    folder = tmp_path / "plain"
    done = run("build", model, "--no-verify", "--output", folder, "--json")
    assert done.record["verified"] is False and done.record["flash"] is None
    assert "flash is not measured" in done.stderr
    for command in (("verify", folder), ("simulate", folder, "--target", "cortex-m4")):
        failed = run(*command, code=1)
        assert "compiler" in failed.stderr and "hint: " in failed.stderr


def test_a_compiler_that_is_none(refuse: Run, model: Path, tmp_path: Path) -> None:
    refuse(model, "--compiler", tmp_path / "cc", parts=[str(tmp_path / "cc"), "does not start", "--compiler"])


def test_a_file_in_the_place_of_the_folder(run: Run, model: Path, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("mine", encoding="utf-8")
    done = run("build", model, "--output", place, code=1)
    assert f"error: {place}: is a file" in done.stderr and "--output" in done.stderr
    assert place.read_text(encoding="utf-8") == "mine"
    below = run("build", model, "--output", place / "below", code=1)
    assert f"error: {place}" in below.stderr and "hint: " in below.stderr
    assert place.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_holds_other_things(run: Run, model: Path, tmp_path: Path) -> None:
    place = tmp_path / "work"
    place.mkdir()
    (place / "thesis.txt").write_text("mine", encoding="utf-8")
    done = run("build", model, "--output", place, code=1)
    assert "mcugen did not write" in done.stderr and "--output" in done.stderr
    assert [path.name for path in place.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_place_that_cannot_be_written(
    refuse: Run, model: Path, monkeypatch: pytest.MonkeyPatch, number: int, tmp_path: Path
) -> None:
    write = Path.write_bytes

    def refusing(path: Path, data: bytes) -> int:
        if path.is_relative_to(tmp_path / "out"):
            raise OSError(number, os.strerror(number), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refusing)
    refuse(model, parts=[str(tmp_path / "out/model"), os.strerror(number), "--output"])


def test_a_full_disk_leaves_the_old_folder(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    run("build", model, "--output", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    run("build", model, "--calibrate", model.parent / "calib.npz", "--output", folder, code=1)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_c_that_differs_is_found_and_named(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    data = ("--calibrate", model.parent / "calib.npz", "--outputs", "logits")
    run("build", model, *data, "--target", "cortex-m4", "--output", folder)
    source = folder / "src/net.c"
    text = source.read_text(encoding="utf-8")
    found = re.search(r"\.out_zero_point = (-?\d+)", text)
    assert found is not None
    source.write_text(text.replace(found[0], f".out_zero_point = {int(found[1]) - 9}", 1), encoding="utf-8")
    for command in (("verify", folder), ("verify", folder, "--layers")):
        done = run(*command, code=4)
        for part in ("error: net: layer 0", "fully_connected", "expected", "got", "vector", "hint: "):
            assert part in done.stderr
    done = run("simulate", folder, code=4)
    assert "net on cortex-m4" in done.stderr and "expected" in done.stderr


def test_verification_stops_a_build(refuse: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def different(*_arguments: object, **_options: object) -> None:
        raise mcugen.VerificationFailed("net: layer 0 differs", hint="report it")

    monkeypatch.setattr(verbs.verification, "verify_package", different)
    refuse(model, parts=["net: layer 0 differs"], code=4)


def test_folders_that_mcugen_did_not_build(run: Run, model: Path, tmp_path: Path) -> None:
    for command in ("verify", "simulate", "inspect"):
        assert "no folder" in _failed(run, command, tmp_path / "none") or command == "inspect"
        assert "not a folder that mcugen built" in _failed(run, command, tmp_path)
    folder = tmp_path / "out"
    run("build", model, "--output", folder)
    (folder / "model/net.int8.npz").write_bytes(b"nonsense")
    assert "not a graph file" in _failed(run, "verify", folder)
    (folder / "net.json").write_text('{"generator": "mcugen", "schema": 99}', encoding="utf-8")
    assert "another version" in _failed(run, "verify", folder)


def _failed(run: Run, *command: object) -> str:
    done = run(*command, code=1)
    assert done.stderr.startswith("error: ") and "hint: " in done.stderr
    return done.stderr.replace("no such folder", "no folder")


def test_data_for_evaluate_and_run(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run("build", model, "--output", folder)
    np.savez(tmp_path / "labels.npz", x=small_models.samples(), y=np.zeros(3, int))
    assert "labels 'y'" in _failed(run, "evaluate", folder, "--data", tmp_path / "labels.npz")
    np.savez(tmp_path / "big.npz", x=np.full((2, 12), 300))
    raw = ("run", folder, "--inputs", tmp_path / "big.npz", "--outputs", tmp_path / "y.npz", "--raw")
    assert "-128 to 127" in _failed(run, *raw)
    np.savez(tmp_path / "good.npz", x=np.zeros((2, 12)))
    nowhere = ("run", folder, "--inputs", tmp_path / "good.npz", "--outputs", tmp_path / "none/y.npz")
    assert "cannot write" in _failed(run, *nowhere)
    assert not (tmp_path / "y.npz").exists()


def test_cores_that_do_not_go_together(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run("build", model, "--output", folder)
    assert "riscv" in _failed(run, "simulate", folder, "--cpu", "riscv32")
    assert "host" in _failed(run, "simulate", folder, "--target", "host")
    assert "qemu" in _failed(run, "simulate", folder, "--target", "cortex-m55", "--emulator", "unicorn")


def test_an_unexpected_error_is_one_line(refuse: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(verbs.pipeline, "quantize", broken)
    refuse(model, parts=["unexpected KeyError: 'lost'", "--traceback", "report"])
    assert isinstance(CliRunner().invoke(main, ["build", str(model), "--traceback"]).exception, KeyError)


def test_external_data_that_is_missing(refuse: Run, tmp_path: Path) -> None:
    model = small_models.classifier(tmp_path / "whole.onnx")
    proto = onnx.load(model)
    split = tmp_path / "split.onnx"
    onnx.save(proto, split, save_as_external_data=True, location="split.data", size_threshold=0)
    (tmp_path / "split.data").unlink()
    refuse(split, parts=["split.onnx", "external data"])


def test_a_package_from_python(model: Path, tmp_path: Path) -> None:
    with pytest.raises(mcugen.McugenError, match="no such folder"):
        open_package(tmp_path / "none")

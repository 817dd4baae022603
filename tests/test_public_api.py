"""The Python API: what is public, documented and typed, and the same way through the compiler as the commands take."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugen
from mcugen.sqnr import sqnr_db

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "examples/digits/digits.onnx"
CALIBRATION = ROOT / "examples/digits/calib.npz"
VERBS = ("build", "load", "prune", "quantize", "compile", "verify", "simulate", "evaluate", "infer")


def images(count: int = 40) -> np.ndarray:
    with np.load(CALIBRATION) as stored:
        return stored["x"][:count]


@pytest.fixture(scope="module")
def graph() -> mcugen.Graph:
    return mcugen.load(DIGITS)


@pytest.fixture(scope="module")
def package(graph: mcugen.Graph, tmp_path_factory: pytest.TempPathFactory) -> mcugen.Package:
    quantized = mcugen.quantize(graph, CALIBRATION)
    return mcugen.compile(quantized, target="cortex-m4").write(tmp_path_factory.mktemp("api") / "digits")


@pytest.mark.parametrize("name", mcugen.__all__)
def test_public_names_are_documented(name: str) -> None:
    thing = getattr(mcugen, name)
    assert inspect.getdoc(thing), name
    assert name in dir(mcugen)


@pytest.mark.parametrize("name", VERBS)
def test_verbs_are_typed_and_take_options_by_name(name: str) -> None:
    verb = getattr(mcugen, name)
    assert inspect.isfunction(verb)
    signature = inspect.signature(verb)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(positional) <= 2


def test_import_is_light() -> None:
    script = "import sys, mcugen; sys.exit(any(name in sys.modules for name in ('numpy', 'onnx', 'rich', 'click')))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_folders_of_the_same_name_do_not_hide_verbs() -> None:
    script = (
        "import mcugen.quantize.ranges, mcugen.prune.magnitude, mcugen, inspect;"
        "from mcugen import quantize, prune;"
        "assert inspect.isfunction(mcugen.quantize) and inspect.isfunction(prune) and inspect.isfunction(quantize)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(mcugen, "nothing")  # noqa: B009


def test_the_whole_way(package: mcugen.Package) -> None:
    verified = mcugen.verify(package, layers=True)
    assert verified.vectors > 200 and verified.layers_compared > 0
    simulated = mcugen.simulate(package, vectors=2)
    assert simulated.cycles is not None and simulated.cycles > simulated.macs
    assert simulated.sizes.flash_total > 0 and simulated.target == "cortex-m4"
    evaluated = mcugen.evaluate(package, ROOT / "examples/digits/eval.npz")
    assert evaluated.top1 is not None and evaluated.top1 > 0.95


def test_a_folder_opened_again_is_the_same(package: mcugen.Package) -> None:
    again = mcugen.open_package(package.folder)
    assert again.report == package.report and again.graph.to_text() == package.graph.to_text()
    np.testing.assert_array_equal(
        mcugen.infer(again, images())["logits"], mcugen.infer(package.folder, images())["logits"]
    )


def test_build_does_it_all(tmp_path: Path) -> None:
    stages: dict[str, int] = {}
    warnings: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        stages[stage] = done

    options: dict[str, Any] = {
        "calibrate": images(),
        "target": "cortex-m0",
        "name": "Small Digits",
        "output": str(tmp_path / "out"),
    }
    built = mcugen.build(DIGITS, progress=progress, warn=warnings.append, **options)
    assert built.folder == tmp_path / "out" and built.package.name == "small_digits" and warnings == []
    assert built.report["verified"] is True and built.report["options"]["calibrate"] == "arrays"
    assert {"quantize", "verify"} <= set(stages)
    with pytest.raises(TypeError, match="calibration"):
        mcugen.build(DIGITS, calibration=images())


def samples_in_every_form(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    x = images()
    np.save(tmp_path / "x.npy", x)
    folder = tmp_path / "samples"
    folder.mkdir()
    for i, image in enumerate(x):
        np.save(folder / f"{i:03d}.npy", image)
    yield "npz", CALIBRATION
    yield "npy", tmp_path / "x.npy"
    yield "folder", folder
    yield "array", x
    yield "mapping", {"image": x}
    yield "iterator", iter(x)
    yield "iterator of mappings", ({"image": image} for image in x)


def test_samples_in_every_form(graph: mcugen.Graph, tmp_path: Path) -> None:
    wanted = mcugen.quantize(graph, images()).graph.to_text()
    for form, samples in samples_in_every_form(tmp_path):
        quantized = mcugen.quantize(graph, samples)
        count = len(quantized.samples["image"])
        assert (count == 40 and quantized.graph.to_text() == wanted) or (form == "npz" and count == 200), form
        assert not quantized.synthetic


def test_without_samples_it_says_so(graph: mcugen.Graph) -> None:
    quantized = mcugen.quantize(graph)
    assert quantized.synthetic and "no calibration data" in quantized.notes[0]


def test_pruning_is_compared_with_the_model_as_it_was(graph: mcugen.Graph, tmp_path: Path) -> None:
    pruned = mcugen.prune(graph, CALIBRATION, channels=0.2, weights=0.2)
    assert pruned.before is graph and pruned.report.macs_after < pruned.report.macs_before
    package = mcugen.compile(mcugen.quantize(pruned, CALIBRATION)).write(tmp_path / "pruned")
    assert package.report["pruning"]["macs_after"] == pruned.report.macs_after
    assert package.float_graph.to_text() == graph.to_text()
    cost = mcugen.evaluate(package, CALIBRATION).sqnr_db
    whole = pruned.report.outputs["logits"]
    assert whole is not None and abs(cost - whole) < 3


def test_infer_is_close_to_float(package: mcugen.Package, graph: mcugen.Graph) -> None:
    from mcugen.execute import evaluate

    wanted = evaluate(graph, {"image": images()})["logits"]
    assert sqnr_db(wanted, mcugen.infer(package, images())["logits"]) > 25


def test_errors_carry_message_hint_and_exit_code() -> None:
    kinds = (
        mcugen.UnsupportedModel,
        mcugen.CalibrationError,
        mcugen.DoesNotFit,
        mcugen.ToolchainError,
        mcugen.VerificationFailed,
    )
    assert [kind.exit_code for kind in kinds] == [1, 1, 3, 1, 4]
    with pytest.raises(mcugen.McugenError) as caught:
        mcugen.load("nowhere.onnx")
    assert "nowhere.onnx" in caught.value.message and caught.value.hint and caught.value.hint in str(caught.value)

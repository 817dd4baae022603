"""The output folder as a firmware sees it: strict compilers, C++, two models in one program, reproducible, safe to write."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from strict import WARNINGS

from mcugen import pipeline
from mcugen.emit import folder as folder_module
from mcugen.emit.folder import MANIFEST, write_folder
from mcugen.errors import McugenError
from mcugen.package import Package
from mcugen.quantize.calibration import load_samples
from mcugen.run.host import HostModel
from mcugen.verification import verification_vectors, verify_package

ROOT = Path(__file__).parents[2]
STRICT = ("-std=c99", *WARNINGS)
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


def compiled(example: str, target: str) -> pipeline.Compiled:
    graph = pipeline.load(ROOT / f"examples/{example}/{example}.onnx")
    samples = load_samples(graph, ROOT / f"examples/{example}/calib.npz")
    few = {name: array[:32] for name, array in samples.items()}
    return pipeline.compile_model(pipeline.quantize(graph, few, effort="fast"), target=target)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folders")


@pytest.fixture(scope="module")
def digits(place: Path) -> Package:
    return compiled("digits", "cortex-m").write(place / "digits")


@pytest.fixture(scope="module")
def motion(place: Path) -> Package:
    return compiled("motion", "cortex-m4").write(place / "motion")


def call(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("emulate", ["", "-DMCUGEN_EMULATE_DSP=1", "-DMCUGEN_EMULATE_MVE=1"])
@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_selftest_passes_under_strict_warnings(
    compiler: str, level: str, emulate: str, digits: Package, motion: Package, tmp_path: Path
) -> None:
    for package in (digits, motion):
        program = tmp_path / package.name
        test = package.folder / f"test/{package.name}_selftest.c"
        defines = [emulate] if emulate else []
        call(compiler, *STRICT, level, *defines, f"-I{package.folder / 'src'}", *package.sources, test, "-o", program)
        assert "all outputs equal" in call(program)


def test_make_builds_and_tests(digits: Package, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    shutil.copytree(digits.folder, folder)
    assert "all outputs equal" in call("make", "-C", folder, "test")


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_builds_and_tests(digits: Package, tmp_path: Path) -> None:
    call("cmake", "-S", digits.folder, "-B", tmp_path, "-DDIGITS_SELFTEST=ON")
    call("cmake", "--build", tmp_path)
    assert "all outputs equal" in call(tmp_path / "digits_selftest")


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_headers_are_clean_in_cpp_and_two_models_share_a_firmware(
    digits: Package, motion: Package, tmp_path: Path
) -> None:
    source = tmp_path / "main.cpp"
    source.write_text(
        '#include "digits.h"\n#include "motion.h"\n'
        "static union { digits_arena a; motion_arena b; } arena;\n"
        "int main() { return digits_run(&arena.a) + motion_run(&arena.b) + (digits_quantize_input(0.5f) == 127); }\n"
    )
    objects = []
    for package in (digits, motion):
        for path in package.sources:
            objects.append(tmp_path / f"{path.stem}.o")
            call("gcc", *STRICT, "-O2", "-ffunction-sections", "-c", f"-I{path.parent}", path, "-o", objects[-1])
    includes = [f"-I{package.folder / 'src'}" for package in (digits, motion)]
    program = tmp_path / "both"
    flags = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-Wl,--gc-sections"]
    call("g++", *flags, *includes, source, *objects, "-o", program)
    call(program)


def test_same_input_gives_the_same_bytes() -> None:
    first, second = (compiled("tabular", "cortex-m").files for _ in range(2))
    assert first == second


def test_no_path_date_or_user_in_the_output(digits: Package) -> None:
    for path in digits.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert str(ROOT).encode() not in data, path
            assert str(digits.folder.parent).encode() not in data, path


def test_only_kernels_in_use_are_there(digits: Package) -> None:
    there = {path.name for path in (digits.folder / "src/mcugen").iterdir()}
    text = (digits.folder / "src/digits.c").read_text() + "".join(
        path.read_text() for path in (digits.folder / "src/mcugen").iterdir()
    )
    assert {name for name in there if f'"{name}"' not in text and f"mcugen/{name}" not in text} == set()
    assert "transpose_s8.h" not in there


def test_generated_code_is_freestanding(digits: Package) -> None:
    for path in (digits.folder / "src").rglob("*.[ch]"):
        for line in path.read_text().splitlines():
            if line.strip().startswith("#include <"):
                assert line.strip() in (
                    "#include <stdint.h>",
                    "#include <stddef.h>",
                    "#include <stdbool.h>",
                    "#include <arm_mve.h>",
                )
            assert "malloc" not in line


def test_runs_are_reentrant_and_keep_no_state(digits: Package) -> None:
    ram = digits.report["ram"]
    vectors = verification_vectors(digits.graph, digits.vectors)
    with HostModel(
        digits.sources,
        digits.includes,
        interface=digits.interface,
        arena_size=ram["arena"],
        arena_align=ram["alignment"],
        sanitize=True,
    ) as model:
        assert verify_package(digits, model, vectors).vectors == len(next(iter(vectors.values())))


def test_writable_globals_are_absent(digits: Package, tmp_path: Path) -> None:
    for path in digits.sources:
        out = tmp_path / f"{path.stem}.o"
        call("gcc", "-O2", "-c", f"-I{digits.folder / 'src'}", path, "-o", out)
        kinds = {line.split()[-2] for line in call("nm", out).splitlines() if len(line.split()) == 3}
        assert kinds.isdisjoint({"d", "D", "b", "B", "C"}), path


def test_report_is_whole(digits: Package) -> None:
    report = json.loads((digits.folder / "digits.json").read_text())
    assert report["name"] == "digits"
    assert report["ram"]["arena"] == digits.report["ram"]["arena"]
    assert sum(layer["macs"] for layer in report["layers"]) == report["macs"] > 0
    assert {"name", "op", "variant", "macs", "constants"} <= set(report["layers"][0])


def test_writes_only_what_changed_and_removes_what_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_folder(folder, {"a.txt": "1", "sub/b.txt": "2"})
    (folder / "mine.txt").write_text("kept")
    before = (folder / "a.txt").stat().st_mtime_ns
    assert "c.txt" in write_folder(folder, {"a.txt": "1", "c.txt": "3"})
    assert (folder / "a.txt").stat().st_mtime_ns == before
    assert sorted(p.name for p in folder.iterdir()) == ["a.txt", "c.txt", "mcugen.files.json", "mine.txt"]


def test_refuses_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(McugenError, match="did not write"):
        write_folder(tmp_path, {"a.txt": "1"})
    assert not (tmp_path / MANIFEST).exists()


def test_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    write_folder(folder, {"a.txt": "old"})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module.Path, "write_bytes", full)
    with pytest.raises(McugenError, match="No space left"):
        write_folder(folder, {"a.txt": "new"})
    assert (folder / "a.txt").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_generated_code_refuses_another_runtime(digits: Package, tmp_path: Path) -> None:
    folder = tmp_path / "src"
    shutil.copytree(digits.folder / "src", folder)
    header = folder / "mcugen/mcugen.h"
    header.write_text(header.read_text().replace("#define MCUGEN_API ", "#define MCUGEN_API 9"))
    done = subprocess.run(
        ["gcc", "-fsyntax-only", f"-I{folder}", str(folder / "digits.c")], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "another version" in done.stderr


def test_run_returns_errors_for_null_and_misaligned_arenas(digits: Package, tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text(
        '#include "digits.h"\n'
        "static struct digits_arena two[2];\n"
        "int main(void) {\n"
        "    struct digits_arena *odd = (struct digits_arena *)(void *)((char *)two + 1);\n"
        "    return digits_run(0) == -1 && digits_run(odd) == -2 ? 0 : 1;\n}\n"
    )
    program = tmp_path / "main"
    call("gcc", "-O1", f"-I{digits.folder / 'src'}", source, *digits.sources, "-o", program)
    call(program)


def test_selftest_fails_when_weights_change(motion: Package, tmp_path: Path) -> None:
    folder = tmp_path / "motion"
    shutil.copytree(motion.folder, folder)
    weights = folder / "src/motion_weights.c"
    text = weights.read_text()
    weights.write_text(re.sub(r"\b([1-9][0-9]+)(?=u?,)", lambda found: str(int(found.group(1)) // 2), text))
    done = subprocess.run(["make", "-C", str(folder), "test"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FAILED" in done.stdout


def test_invoke_copies_in_and_out(digits: Package, tmp_path: Path) -> None:
    pixels = ", ".join(str(int(v)) for v in digits.vectors[digits.graph.inputs[0]][0].reshape(-1))
    source = tmp_path / "main.c"
    source.write_text(
        '#include "digits.h"\n'
        "static struct digits_arena arena;\n"
        f"static const int8_t in[DIGITS_INPUT_SIZE] = {{{pixels}}};\n"
        "int main(void) {\n    int8_t out[DIGITS_OUTPUT_SIZE];\n"
        "    if (digits_invoke(&arena, in, out) != 0) { return 1; }\n"
        "    const int8_t *same = digits_output(&arena);\n"
        "    for (int i = 0; i < DIGITS_OUTPUT_SIZE; ++i) { if (out[i] != same[i]) { return 2; } }\n    return 0;\n}\n"
    )
    program = tmp_path / "main"
    call("gcc", *STRICT, f"-I{digits.folder / 'src'}", source, *digits.sources, "-o", program)
    call(program)


def test_golden_vectors_are_the_first_samples(digits: Package) -> None:
    text = (digits.folder / "test/digits_golden.h").read_text()
    numbers = text.split("golden_input")[1].split("{", 2)[2].split("}")[0]
    first = digits.vectors[digits.graph.inputs[0]][0].reshape(-1)
    np.testing.assert_array_equal(np.array([int(n) for n in numbers.split(",")]), first)

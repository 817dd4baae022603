"""Streams as C: on this computer under the sanitizers, on emulated cores, and through the commands."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from time_networks import drawn

import mcugen
from mcugen import pipeline
from mcugen.cli import main
from mcugen.config import parse_stream
from mcugen.errors import UnsupportedModel
from mcugen.package import Package
from mcugen.pipeline import Quantized, compile_model
from mcugen.quantize.calibration import load_samples
from mcugen.run.host import HostModel
from mcugen.run.toolchain import find_host_compiler
from mcugen.simulation import core_of, simulate_package
from mcugen.verification import verification_vectors, verify_package

MOTION = Path(__file__).parents[2] / "examples/motion"


def on_host(package: Package, **options: object) -> HostModel:
    ram = package.report["ram"]
    return HostModel(
        package.sources,
        package.includes,
        interface=package.interface,
        arena_size=ram["arena"],
        arena_align=ram["alignment"],
        **options,  # type: ignore[arg-type]
    )


@given(
    seed=st.integers(0, 2**32 - 1), depth=st.integers(2, 6), padding=st.sampled_from(["exact", "causal"]),
    target=st.sampled_from(["cortex-m4", "cortex-m0"]),
)  # fmt: skip
@settings(
    max_examples=5, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_any_stream_runs_as_c(
    tmp_path_factory: pytest.TempPathFactory, seed: int, depth: int, padding: str, target: str
) -> None:
    model, axis = drawn(seed, depth)
    try:
        model = pipeline.stream(model, {"x": axis}, padding=padding)
    except UnsupportedModel:
        assume(False)
    package = compile_model(model, target=target, name="along_time").write(tmp_path_factory.mktemp("stream") / "out")
    vectors = verification_vectors(package.graph, package.vectors)
    with on_host(package, defines=("MCUGEN_EMULATE_DSP=1",), sanitize=True, trace=True) as host:
        result = verify_package(package, host, vectors, traced=host)
    assert result.layers_compared > 0
    assert (result.windows > 0) == (padding == "exact")


@cache
def quantized_motion() -> Quantized:
    graph = pipeline.load(MOTION / "motion.onnx")
    return pipeline.quantize(graph, load_samples(graph, MOTION / "calib.npz"), effort="fast")


@cache
def window_simulation(target: str, folder: Path) -> mcugen.Simulation:
    package = compile_model(quantized_motion(), target=target, name="motion").write(folder / "window")
    return simulate_package(package, core_of(target, None), vectors=1)


@pytest.mark.parametrize(("padding", "share"), [("exact", 0.35), ("causal", 0.13)])
def test_a_call_costs_a_part_of_the_window_on_an_emulated_core(padding: str, share: float, tmp_path: Path) -> None:
    model = pipeline.stream(quantized_motion(), {"window": 2}, padding=padding)
    package = compile_model(model, target="cortex-m4", name="motion").write(tmp_path / "out")
    call = simulate_package(package, core_of("cortex-m4", None))
    whole = window_simulation("cortex-m4", tmp_path)
    assert call.vectors == package.stream.calls + 1
    assert call.cycles is not None and whole.cycles is not None
    assert call.cycles < share * whole.cycles
    assert call.sizes.arena <= whole.sizes.arena
    assert call.stack <= 768


def test_the_generic_build_streams_on_a_core_without_packed_arithmetic(tmp_path: Path) -> None:
    model = pipeline.stream(quantized_motion(), {"window": 2})
    package = compile_model(model, target="cortex-m", name="motion").write(tmp_path / "out")
    assert simulate_package(package, core_of("cortex-m", "cortex-m0")).instructions > 0


def test_the_commands_work_on_a_stream(tmp_path: Path) -> None:
    def run(*arguments: object) -> dict[str, object]:
        result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.stdout)
        return found

    folder = tmp_path / "stream"
    options = (MOTION / "motion.onnx", "-c", MOTION / "calib.npz", "--effort", "fast", "--target", "cortex-m4")
    built = run("build", *options, "--stream", "-1", "--layers", "-o", folder)
    stream = built["stream"]
    assert isinstance(stream, dict)
    assert (stream["frames"], stream["warmup_calls"], stream["windows"]) == (8, 16, {"window": 128})
    assert stream["estimated_cycles"] < stream["window"]["estimated_cycles"]
    assert stream["rows"]["node_Conv_55_2"][0] < stream["rows"]["node_Conv_55_2"][1] == 128
    assert built["verification"]["windows"] > 0  # type: ignore[index]
    assert built["options"]["stream"] == {"": -1}  # type: ignore[index]
    assert built["layer_fidelity"]["layers"]  # type: ignore[index]
    assert run("verify", folder)["windows"] == built["verification"]["windows"]  # type: ignore[index]
    plain = compile_model(quantized_motion(), target="cortex-m4", name="motion").write(tmp_path / "plain")
    with np.load(MOTION / "eval.npz") as stored:
        few, labels = stored["x"][:24], stored["y"][:24]
    np.savez(tmp_path / "few.npz", x=few, y=labels)
    assert run("evaluate", folder, "--data", tmp_path / "few.npz")["sqnr_db"] == mcugen.evaluate(plain, few).sqnr_db
    np.testing.assert_array_equal(mcugen.infer(folder, few)["logits"], mcugen.infer(plain, few)["logits"])
    page = tmp_path / "report.html"
    assert "8 of 128 frames a call" in CliRunner().invoke(main, ["inspect", str(folder), "--html", str(page)]).output
    text = page.read_text(encoding="utf-8")
    assert "8 of 128 frames a call" in text
    assert text.count("<svg") == text.count("</svg>") == 1
    assert str(tmp_path) not in text


def test_the_self_test_and_the_header_know_the_stream(tmp_path: Path) -> None:
    package = compile_model(pipeline.stream(quantized_motion(), {"window": 2}), name="motion").write(tmp_path / "out")
    compiler = find_host_compiler()
    sources = [*package.sources, package.folder / "test" / "motion_selftest.c"]
    command = [*compiler.command, "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{package.folder / 'src'}"]
    subprocess.run([*command, *map(str, sources), "-o", str(tmp_path / "selftest")], check=True)
    subprocess.run([str(tmp_path / "selftest")], check=True)
    (snippet,) = re.findall(r"```c\n(.*?)```", (MOTION / "README.md").read_text(), re.DOTALL)
    (tmp_path / "snippet.c").write_text(
        snippet + "int main(void) { static float samples[48]; begin(); return classify(samples) + 1; }\n"
    )
    subprocess.run(
        [*command, str(tmp_path / "snippet.c"), *map(str, package.sources), "-o", str(tmp_path / "snippet")], check=True
    )
    subprocess.run([str(tmp_path / "snippet")], check=True)
    header = (package.folder / "src" / "motion.h").read_text()
    assert "#define MOTION_FRAMES 8\n#define MOTION_WARMUP_CALLS 16\n" in header
    assert "int motion_reset(struct motion_arena *arena);" in header
    assert "one arena may serve several models in turn" not in header


def test_the_option_names_inputs_and_axes() -> None:
    assert parse_stream("1") == {"": 1}
    assert parse_stream("audio:1, motion:-2") == {"audio": 1, "motion": -2}
    for text in ("", "time", "a:b", "1,2"):
        with pytest.raises(ValueError, match="is not an axis"):
            parse_stream(text)


def test_mistakes_on_the_command_line(tmp_path: Path) -> None:
    for axis, words in (("1", "nothing can be streamed"), ("5", "no axis 5"), ("sound:1", "no input 'sound'")):
        arguments = [
            "build",
            str(MOTION / "motion.onnx"),
            "--stream",
            axis,
            "-o",
            str(tmp_path / "out"),
            "--effort",
            "fast",
        ]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert "hint:" in result.stderr

"""Names of a model that would be something else in C: they neither end a comment nor meet in one macro."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import c_identifier, compile_model, quantize
from mcugen.program import comment_text

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only")


@pytest.mark.parametrize("text", ["*/ evil /*", "*/*", "/*/", "**//", "line\nbreak", "größe\u202e"])
def test_comment_text_stays_in_its_comment(text: str) -> None:
    safe = comment_text(text)
    assert "*/" not in safe and "/*" not in safe and safe.isprintable() and safe.isascii()


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (("a.b", "a_b", "A b"), ("y.1", "y_1", "Y 1")),
        (("1", "4", "0"), ("2", "5", "3")),
        (('*/ #error "x', "/*", "//"), ("int", "größe", "??/")),
    ],
)
def test_names_of_every_kind_compile(inputs: tuple[str, ...], outputs: tuple[str, ...], tmp_path: Path) -> None:
    builder = GraphBuilder("names")
    weights = builder.constant(np.random.default_rng(0).normal(size=(4, 3)), "w")
    for given, made in zip(inputs, outputs, strict=True):
        hidden = builder.emit("fully_connected", [builder.input(given, (1, 3)), weights], stem=f'*/ #error "{given}')
        builder.output(builder.emit("table", [hidden], function="Sigmoid", stem=made))
    package = compile_model(quantize(builder.graph, effort="fast"), target="cortex-m4").write(tmp_path / "names")
    for source in (*package.sources, package.folder / "test/names_selftest.c"):
        subprocess.run(["gcc", *STRICT, f"-I{package.folder / 'src'}", source], check=True)
    for ports in (package.report["inputs"], package.report["outputs"]):
        assert len({port["c_name"] for port in ports}) == len(ports)


@pytest.mark.parametrize("name", ["stdint", "signal", "Time", "test", "all", "int", "3d", "***"])
def test_a_model_takes_no_name_that_is_taken(name: str) -> None:
    assert c_identifier(name).startswith("model")
    assert c_identifier("motion") == "motion"

"""Builds that run row by row: chosen where a limit of RAM asks for it, in both forms of input, on every executor."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strict import SANITIZERS, WARNINGS

import mcugen
from mcugen.errors import DoesNotFit, UnsupportedModel
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.package import Package
from mcugen.pipeline import Quantized, compile_model, quantize, stream
from mcugen.plan.schedule import Goal
from mcugen.run.toolchain import find_host_compiler

SAME: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1)}
POINT = SAME | {"pads": (0, 0, 0, 0)}
STACK_LIMIT = 768
WHOLE, IN_ARENA, BY_ROWS = 9360, 6000, 4000
"""Bytes of the network's arena: with no limit, and limits for its layers and then its input row by row."""
SLOWER = 1.15


def network() -> Graph:
    """A first layer, a residual block, two separable ones and a classifier on 24 x 24 pixels."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder("small")
    x = builder.input("image", (1, 24, 24, 3))

    def weighted(op: str, source: str, shape: tuple[int, ...], **attrs: Any) -> str:
        weights = builder.constant(rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])))
        return builder.emit(op, [source, weights, builder.constant(rng.normal(size=shape[0]) * 0.1)], **attrs)

    x = weighted("conv2d", x, (8, 3, 3, 3), groups=1, clip_min=0.0, **SAME)
    y = weighted("conv2d", x, (8, 3, 3, 8), groups=1, clip_min=0.0, **SAME)
    x = builder.emit("add", [y, x], subtract=False, clip_min=0.0)
    for width, stride in ((16, 2), (16, 1)):
        channels = builder.graph.tensors[x].shape[3]
        x = weighted("depthwise_conv2d", x, (channels, 3, 3, 1), clip_min=0.0, **(SAME | {"strides": (stride, stride)}))
        x = weighted("conv2d", x, (width, 1, 1, channels), groups=1, clip_min=0.0, **POINT)
    pool = {"kernel": (12, 12), "count_pads": (0, 0, 0, 0), "divide": True}
    x = builder.emit("reshape", [builder.emit("average_pool2d", [x], **pool, **POINT)], shape=(1, 16))
    return builder.output(weighted("fully_connected", x, (4, 16)))


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    samples = np.random.default_rng(2).uniform(-1, 1, (8, 24, 24, 3)).astype(np.float32)
    return quantize(network(), {"image": samples}, effort="fast")


def package(quantized: Quantized, folder: Path, target: str = "cortex-m4", **goal: Any) -> Package:
    return compile_model(quantized, target=target, goal=Goal(**goal), name="small").write(folder)


def test_rows_are_streamed_only_where_a_limit_asks(quantized: Quantized, tmp_path: Path) -> None:
    report = package(quantized, tmp_path / "a", ram=20_000).report
    assert "row_regions" not in report
    assert not (tmp_path / "a" / "src" / "mcugen" / "row_stream.h").exists()
    assert report["ram"]["arena"] == package(quantized, tmp_path / "b").report["ram"]["arena"]


@pytest.mark.parametrize("pushed", [False, True])
def test_a_limit_is_kept_at_nearly_the_same_cycles(quantized: Quantized, pushed: bool, tmp_path: Path) -> None:
    plain = mcugen.simulate(package(quantized, tmp_path / "plain"), vectors=1)
    limit = BY_ROWS if pushed else IN_ARENA
    built = package(quantized, tmp_path / "small", ram=limit)
    assert bool(built.report["input_rows"]) == pushed
    assert any("row by row" in note for note in built.report["ram"]["traded"])
    result = mcugen.simulate(built, vectors=3)
    assert result.sizes.arena == built.report["ram"]["arena"] <= limit < plain.sizes.arena
    assert result.sizes.data == result.sizes.bss == 0
    assert result.stack <= STACK_LIMIT
    assert result.cycles is not None
    assert plain.cycles is not None
    assert result.cycles <= SLOWER * plain.cycles
    assert all(layer.cycles for layer in result.layers)


@pytest.mark.parametrize(("target", "pushed"), [("cortex-m", False), ("cortex-m", True), ("cortex-m0plus", True)])
def test_every_layer_of_every_choice_of_kernels_is_exact(
    quantized: Quantized, target: str, pushed: bool, tmp_path: Path
) -> None:
    built = package(quantized, tmp_path / "small", target, ram=BY_ROWS if pushed else IN_ARENA, input_rows=pushed)
    result = mcugen.verify(built, layers=True)
    assert (result.variants > 1) == (target == "cortex-m")
    assert result.layers_compared > 0


@pytest.mark.parametrize("pushed", [False, True])
def test_the_selftest_runs_clean_under_warnings_and_sanitizers(
    quantized: Quantized, pushed: bool, tmp_path: Path
) -> None:
    folder = package(quantized, tmp_path / "small", ram=BY_ROWS if pushed else IN_ARENA, input_rows=pushed).folder
    done = run_c(folder, [folder / "test" / "small_selftest.c"], tmp_path)
    assert "all outputs equal" in done


MISUSE = """
#include "small.h"
#include "small_golden.h"
#include "mcugen/row_stream.h"
#include <stdio.h>
#include <string.h>

static struct small_arena arena;
static int8_t out[SMALL_OUTPUT_SIZE];

static int rows(int first, int count)
{
    int result = 0;
    for (int row = first; row < first + count; ++row) {
        int8_t *to = small_input_row(&arena);
        if (to != NULL) {
            memcpy(to, small_golden_input[1] + row * SMALL_INPUT_ROW_SIZE, SMALL_INPUT_ROW_SIZE);
        }
        result = small_push_row(&arena);
    }
    return result;
}

int main(void)
{
    memset(&arena, 0xa5, sizeof arena);
    printf("%d ", small_push_row(&arena));
    printf("%d ", small_push_row(NULL));
    printf("%d ", small_begin(NULL));
    printf("%d ", small_begin(&arena));
    printf("%d ", rows(3, 5)); /* and again from the start */
    printf("%d ", small_begin(&arena));
    printf("%d ", rows(0, SMALL_INPUT_ROWS - 1));
    printf("%d ", rows(SMALL_INPUT_ROWS - 1, 1));
    printf("%d ", memcmp(small_output(&arena), small_golden_output[1], SMALL_OUTPUT_SIZE));
    printf("%d ", small_input_row(&arena) == NULL);
    printf("%d ", small_push_row(&arena));
    printf("%d ", small_invoke(&arena, small_golden_input[0], out));
    printf("%d\\n", memcmp(out, small_golden_output[0], SMALL_OUTPUT_SIZE));
    return 0;
}
"""


def test_rows_pushed_out_of_turn_are_refused_and_begin_starts_anew(quantized: Quantized, tmp_path: Path) -> None:
    folder = package(quantized, tmp_path / "small", input_rows=True).folder
    source = tmp_path / "misuse.c"
    source.write_text(MISUSE)
    assert run_c(folder, [source], tmp_path).split() == "-3 -1 -1 0 0 0 0 1 0 1 -3 0 0".split()


def run_c(folder: Path, sources: list[Path], place: Path) -> str:
    """What a program of the generated C prints, compiled strictly and with the sanitizers."""
    compiler = find_host_compiler(sanitizers=True)
    files = [folder / "src" / "small.c", folder / "src" / "small_weights.c", *sources]
    flags = ["-std=c99", "-O1", "-g1", *SANITIZERS, *WARNINGS]
    includes = [f"-I{folder / part}" for part in ("src", "test")]
    program = place / "program"
    subprocess.run([*compiler.command, *flags, *includes, *files, "-o", program], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def test_asking_for_rows_gives_them_without_a_limit(quantized: Quantized, tmp_path: Path) -> None:
    built = package(quantized, tmp_path / "small", input_rows=True)
    assert built.report["input_rows"] == {"rows": 24, "row_bytes": 72}
    assert built.report["ram"]["arena"] < WHOLE
    assert "small_run" not in (tmp_path / "small" / "src" / "small.h").read_text()


def test_the_rows_of_an_image_of_one_channel_come_in_either_layout(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    builder = GraphBuilder("grey")
    x = builder.emit("reshape", [builder.input("pixels", (1, 1, 10, 8))], shape=(1, 10, 8, 1))
    weights = [builder.constant(rng.normal(size=shape)) for shape in ((4, 3, 3, 1), (4,))]
    graph = builder.output(builder.emit("conv2d", [x, *weights], groups=1, **SAME))
    model = quantize(graph, {"pixels": rng.uniform(-1, 1, (4, 1, 10, 8)).astype(np.float32)}, effort="fast")
    built = package(model, tmp_path / "grey", input_rows=True)
    assert built.report["input_rows"] == {"rows": 10, "row_bytes": 8}
    assert mcugen.verify(built, layers=True).layers_compared > 0


def test_a_limit_out_of_reach_says_what_was_reached(quantized: Quantized) -> None:
    with pytest.raises(DoesNotFit, match=r"layers 0 to \d run row by row already, as does the input"):
        compile_model(quantized, target="cortex-m4", goal=Goal(ram=1000))
    with pytest.raises(DoesNotFit) as found:
        compile_model(quantized, target="cortex-m4", goal=Goal(ram=BY_ROWS, input_rows=False))
    assert "`--input-rows` lets the input arrive row by row, and needs " in (found.value.hint or "")


def test_a_model_without_an_image_cannot_take_rows() -> None:
    builder = GraphBuilder("dense")
    x = builder.input("features", (1, 6))
    graph = builder.output(builder.emit("fully_connected", [x, builder.constant(np.eye(6))]))
    model = quantize(graph, {"features": np.ones((2, 6), np.float32)}, effort="fast")
    with pytest.raises(UnsupportedModel, match=r"cannot arrive row by row.*'features' int8 \[1, 6\]"):
        compile_model(model, goal=Goal(input_rows=True))


def test_an_image_of_planes_learns_how_to_take_rows() -> None:
    builder = GraphBuilder("planes")
    image = builder.emit("transpose", [builder.input("image", (1, 3, 8, 6))], perm=(0, 2, 3, 1))
    graph = builder.output(builder.emit("conv2d", [image, builder.constant(np.ones((2, 3, 3, 3)))], groups=1, **SAME))
    model = quantize(graph, effort="fast")
    with pytest.raises(UnsupportedModel, match=r"read by 'transpose' \(transpose\)") as found:
        compile_model(model, goal=Goal(input_rows=True))
    assert "[1, height, width, channels]" in (found.value.hint or "")


def test_rows_and_frames_are_not_streamed_at_once(quantized: Quantized) -> None:
    with pytest.raises(UnsupportedModel, match="keeps a part of it for the next call"):
        compile_model(stream(quantized, {"image": 1}), target="cortex-m4", goal=Goal(input_rows=True))

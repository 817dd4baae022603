"""The RAM of whole builds: what is planned is what is linked, limits are reached or refused with numbers, maps are drawn."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from elftools.elf.elffile import ELFFile

import mcugen
from mcugen.cli import main
from mcugen.errors import DoesNotFit, McugenError
from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import Compiled, Quantized, compile_model, quantize
from mcugen.plan.schedule import Goal
from mcugen.run.toolchain import find_cross_compiler
from mcugen.targets import load_target, placed

SAME: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (1, 1, 1, 1)}
PLAIN = SAME | {"pads": (0, 0, 0, 0)}
STACK_LIMIT = 768


def network() -> Graph:
    """A strided first layer, two separable blocks and a classifier."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder("small")
    x = builder.input("image", (1, 24, 24, 3))

    def weighted(op: str, source: str, shape: tuple[int, ...], **attrs: Any) -> str:
        weights = builder.constant(rng.normal(size=shape) / np.sqrt(np.prod(shape[1:])))
        return builder.emit(op, [source, weights, builder.constant(rng.normal(size=shape[0]) * 0.1)], **attrs)

    x = weighted("conv2d", x, (8, 3, 3, 3), groups=1, clip_min=0.0, **(SAME | {"strides": (2, 2)}))
    for width in (16, 16):
        channels = builder.graph.tensors[x].shape[3]
        x = weighted("depthwise_conv2d", x, (channels, 3, 3, 1), clip_min=0.0, **SAME)
        x = weighted("conv2d", x, (width, 1, 1, channels), groups=1, clip_min=0.0, **PLAIN)
    pool = {"kernel": (12, 12), "count_pads": (0, 0, 0, 0), "divide": True}
    x = builder.emit("average_pool2d", [x], **pool, **PLAIN)
    x = builder.emit("reshape", [x], shape=(1, 16))
    return builder.output(weighted("fully_connected", x, (4, 16)))


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    graph = network()
    samples = np.random.default_rng(2).uniform(-1, 1, (8, 24, 24, 3)).astype(np.float32)
    return quantize(graph, {"image": samples}, effort="fast")


def compiled(quantized: Quantized, **goal: Any) -> Compiled:
    return compile_model(quantized, target="cortex-m4", goal=Goal(**goal), name="small")


@pytest.mark.parametrize("optimize", ["speed", "balanced", "ram"])
def test_the_linked_program_has_the_planned_ram_and_no_more(quantized: Quantized, optimize: str, tmp_path: Path) -> None:
    built = compiled(quantized, optimize=optimize)
    package = built.write(tmp_path / "small")
    result = mcugen.simulate(package, vectors=2)
    assert result.sizes.arena == package.report["ram"]["arena"] == built.program.arena_size
    assert result.sizes.data == result.sizes.bss == 0
    assert result.stack <= STACK_LIMIT
    header = (tmp_path / "small" / "src" / "small.h").read_text()
    assert f"#define SMALL_ARENA_SIZE {built.program.arena_size}\n" in header


def test_goals_are_ordered_in_ram(quantized: Quantized) -> None:
    sizes = [compiled(quantized, optimize=goal).program.arena_size for goal in ("speed", "balanced", "ram")]
    assert sizes == sorted(sizes, reverse=True)


def test_a_limit_is_reached_by_exchanges_that_are_named(quantized: Quantized) -> None:
    fast, small = compiled(quantized, optimize="speed").program, compiled(quantized, optimize="ram").program
    assert small.arena_size < fast.arena_size
    limited = compiled(quantized, optimize="speed", ram=small.arena_size)
    assert limited.program.arena_size <= small.arena_size
    assert limited.program.notes and limited.report["ram"]["traded"] == list(limited.program.notes)


def test_a_limit_out_of_reach_is_refused_with_the_step_in_the_way(quantized: Quantized) -> None:
    with pytest.raises(DoesNotFit, match=r"needs \d+ bytes of RAM, the limit is 1000; the peak is at step \d+ '\w+'"):
        compiled(quantized, ram=1000)


def test_a_refusal_names_what_fills_the_arena() -> None:
    builder = GraphBuilder("skip")

    def layer(x: str, out: int) -> str:
        depth = builder.graph.tensors[x].shape[3]
        return builder.emit("conv2d", [x, builder.constant(np.ones((out, 3, 3, depth)))], groups=1, **SAME)

    early = layer(builder.input("x", (1, 16, 12, 2)), 6)
    small = builder.emit("max_pool2d", [early], kernel=(2, 2), minimum=False, **(PLAIN | {"strides": (2, 2)}))
    split = builder.emit("reshape", [layer(small, 9)], shape=(1, 8, 1, 6, 1, 9))
    sizes, steps = (-1, -1, 2, -1, 2, -1), (1, 1, 0, 1, 0, 1)
    large = builder.emit("slice", [split], starts=(0,) * 6, steps=steps, sizes=sizes)
    joined = builder.emit("concat", [early, builder.emit("reshape", [large], shape=(1, 16, 12, 9))], axis=3)
    model = quantize(builder.output(layer(joined, 5)), effort="fast")
    with pytest.raises(DoesNotFit) as found:
        compile_model(model, target="cortex-m4", goal=Goal(ram=2000, input_rows=False))
    needed, named = re.match(r".*needs (\d+) bytes.*\((.*), as far", str(found.value).splitlines()[0]).groups()
    assert sum(int(part.split()[-1]) for part in named.split(" + ")) >= int(needed)


def test_the_folder_holds_its_memory_map(quantized: Quantized, tmp_path: Path) -> None:
    built = compiled(quantized)
    built.write(tmp_path / "small")
    root = ElementTree.fromstring((tmp_path / "small" / "small_memory.svg").read_text())
    boxes = [one for one in root.iter() if one.get("class") == "buffer"]
    assert len(boxes) == len(built.program.buffers)
    shown = CliRunner().invoke(main, ["inspect", str(tmp_path / "small"), "--memory"])
    assert shown.exit_code == 0 and "<- peak" in shown.output and "lower bound" in shown.output
    for buffer in built.program.buffers:
        assert f"{buffer.offset:>8}  {buffer.offset + buffer.size:>8}" in shown.output


def test_a_model_file_has_no_memory_map(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    result = CliRunner().invoke(main, ["inspect", str(tmp_path / "model.onnx"), "--memory"])
    assert result.exit_code == 1 and "memory map" in result.output


def test_constants_and_arena_go_into_named_sections(quantized: Quantized, tmp_path: Path) -> None:
    target = placed(load_target("cortex-m4"), {"weights": ".qspi", "arena": ".dtcm"})
    package = compile_model(quantized, target=target, name="small").write(tmp_path / "small")
    main_c = tmp_path / "main.c"
    main_c.write_text('#include "small.h"\nstruct small_arena arena SMALL_ARENA_SECTION;\n')
    compiler = find_cross_compiler(target)
    sections: dict[str, int] = {}
    for source in (*package.sources, main_c):
        out = tmp_path / f"{source.stem}.o"
        flags = [*compiler.flags_for(target), "-c", *(f"-I{folder}" for folder in package.includes)]
        subprocess.run([*compiler.command, *flags, str(source), "-o", str(out)], check=True)
        with out.open("rb") as file:
            for section in ELFFile(file).iter_sections():
                sections[section.name] = sections.get(section.name, 0) + section["sh_size"]
    assert sections[".dtcm"] == package.report["ram"]["arena"]
    assert 0 <= sections[".qspi"] - package.report["constants"] < 4 * len(package.report["layers"]) * 4
    assert mcugen.simulate(package, vectors=2).sizes.arena == package.report["ram"]["arena"]


@pytest.mark.parametrize("place", [{"stack": ".dtcm"}, {"arena": 'x"y'}, {"weights": ""}])
def test_places_that_make_no_sense_are_refused(place: dict[str, str]) -> None:
    with pytest.raises(McugenError, match="cannot place"):
        placed(load_target("cortex-m4"), place)


def test_a_target_file_may_place_the_model(quantized: Quantized, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "cortex-m4"\nname = "mine"\n[place]\nweights = ".psram"\n')
    files = compile_model(quantized, target=load_target(tmp_path / "mine.toml"), name="small").files
    assert 'section(".psram")' in str(files["src/small_weights.c"])
    assert "SECTION" not in str(files["src/small.h"])

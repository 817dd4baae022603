"""Linking a model into a bare-metal program that runs it, on its own or for an attached emulator."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mcugen.run.elf import Image, read_image
from mcugen.run.interface import ModelInterface
from mcugen.run.resources import baremetal_folder
from mcugen.run.toolchain import FREESTANDING, Compiler, compile_objects, run_tool
from mcugen.targets import Target

_STARTUP = {"arm": "startup_arm.c", "riscv": "startup_riscv.c"}


@dataclass(frozen=True)
class Program:
    """A linked program on disk and what was read of it."""

    path: Path
    image: Image


def link_baremetal(
    target: Target,
    compiler: Compiler,
    sources: Sequence[Path],
    includes: Sequence[Path] = (),
    defines: Sequence[str] = (),
    *,
    harness: Sequence[Path] = (),
    script: str,
    out: Path,
    optimize: str | None = None,
) -> Program:
    """Compiles and links sources with mcugen's start-up code for a target.

    `sources` are the model's and are accounted to it in `read_sizes`; `harness` is the program around it, with `main`.
    `script` is a linker script of mcugen's or a path; `optimize` defaults to the target's.  Raises ToolchainError.
    """
    scripts = baremetal_folder()
    core, level = compiler.flags_for(target), optimize or target.optimize
    gcc = compiler.kind == "gcc"
    frames = "-fstack-usage" if gcc else "-fstack-size-section"
    # the harness must not call into the compiler's runtime: what it would pull in would be accounted to the model
    plain = ("-O1", "-fno-builtin", "-fno-unroll-loops", *(("-fno-tree-loop-distribute-patterns",) if gcc else ()))
    with tempfile.TemporaryDirectory(prefix="mcugen-") as name:
        folder = Path(name)
        objects = partial(compile_objects, compiler, folder=folder)
        model = objects(
            sources,
            flags=(*FREESTANDING, *core, frames, level),
            includes=includes,
            defines=defines,
            prefix="mcugen-model",
        )
        flags = (*FREESTANDING, *core, *plain)
        around = objects(
            [scripts / _STARTUP[target.family], scripts / "bench_marks.c", *harness],
            flags=flags,
            includes=(*includes, scripts),
            defines=defines,
            prefix="mcugen-harness",
        )
        memory = objects([scripts / "memory.c"], flags=flags, prefix="mcugen-runtime")
        linked = folder / "program.elf"
        place = Path(script) if Path(script).is_file() else scripts / script
        command = _link_command(compiler, (*core, level), (*model, *around, *memory), place, linked)
        # INCLUDE in a linker script is looked for in the current directory
        run_tool(command, folder=folder, what=f"linking for {target.name}", cwd=scripts)
        image = read_image(linked)
        if gcc:
            image = dataclasses.replace(image, stack_frames=_read_stack_usage(model))
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(linked, out)
    return Program(out, image)


def _link_command(
    compiler: Compiler, flags: Sequence[str], objects: Sequence[Path], script: Path, linked: Path
) -> list[str]:
    runtime, library = (("-nostdlib",), ("-lgcc",)) if compiler.kind == "gcc" else ((), ())
    collected = ("-Wl,--gc-sections", "-Wl,-e,Reset_Handler", "-T", str(script))
    files = (*map(str, objects), *library, "-o", str(linked))
    return [*compiler.command, *flags, *FREESTANDING, *runtime, *collected, *files]


def link_bench(
    target: Target,
    compiler: Compiler,
    sources: Sequence[Path],
    includes: Sequence[Path] = (),
    defines: Sequence[str] = (),
    *,
    interface: ModelInterface,
    script: str,
    out: Path,
    optimize: str | None = None,
    golden_input: bytes | None = None,
    golden_output: bytes | None = None,
) -> Program:
    """Links a model with the program that runs it on the golden vector and exits with 0 where the output is golden.

    An attached emulator can instead run vector after vector (see bench.py).
    """
    with tempfile.TemporaryDirectory(prefix="mcugen-") as name:
        folder = Path(name)
        header = interface.header(golden_input=golden_input, golden_output=golden_output)
        (folder / "mcugen_bench.h").write_text(header, encoding="utf-8")
        return link_baremetal(
            target,
            compiler,
            sources,
            (*includes, folder),
            # these linker scripts know no sections of the user's
            (*defines, f"{interface.name.upper()}_WEIGHTS_SECTION="),
            harness=[baremetal_folder() / "bench_main.c"],
            script=script,
            out=out,
            optimize=optimize,
        )


def _read_stack_usage(objects: Sequence[Path]) -> dict[str, int]:
    """Frame bytes of each function from the .su files that gcc's -fstack-usage writes beside its objects."""
    frames: dict[str, int] = {}
    for path in (item.with_suffix(".su") for item in objects):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
            place, size, _ = line.split("\t", 2)
            frames[place.rpartition(":")[2]] = int(size)
    return frames

"""Finding compilers, and what their failures look like to a user."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from run_programs import COMPILERS, PAIR, PAIR_SOURCES, PROGRAMS, cross_compiler

from mcugen.errors import ToolchainError
from mcugen.run import toolchain
from mcugen.run.baremetal import link_bench
from mcugen.run.elf import read_image
from mcugen.run.resources import require
from mcugen.run.toolchain import compile_objects, find_cross_compiler, find_host_compiler, first_errors
from mcugen.targets import load_target

M4 = load_target("cortex-m4")


def test_zig_is_used_where_no_gnu_compiler_is(tmp_path: Path) -> None:
    assert find_cross_compiler(M4, environment={"PATH": str(tmp_path)}).kind == "zig"
    assert find_host_compiler(environment={"PATH": str(tmp_path)}).kind == "zig"
    with pytest.raises(ToolchainError, match="no arm-none-eabi-gcc on the PATH, nor in MCUGEN_ARM_GCC"):
        find_cross_compiler(M4, "gcc", environment={"PATH": str(tmp_path)})


def test_no_compiler_at_all_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda _name: None)
    for find in (lambda env: find_cross_compiler(M4, environment=env), lambda env: find_host_compiler(environment=env)):
        with pytest.raises(ToolchainError, match="pip install ziglang"):
            find({"PATH": str(tmp_path)})


def test_a_gnu_compiler_named_by_the_environment_or_by_path(tmp_path: Path) -> None:
    fake = tmp_path / "my-gcc"
    runtime = tmp_path / "libgcc.a"
    runtime.touch()
    fake.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && echo 'my-gcc 99.1' || echo {runtime}\n", encoding="utf-8")
    fake.chmod(0o755)
    environment = {"PATH": str(tmp_path), "MCUGEN_ARM_GCC": str(fake)}
    found = find_cross_compiler(M4, environment=environment)
    assert (found.kind, found.command, found.version) == ("gcc", (str(fake),), "my-gcc 99.1")
    assert find_cross_compiler(M4, str(fake), environment={}).version == "my-gcc 99.1"
    runtime.unlink()
    assert find_cross_compiler(M4, environment=environment).kind == "zig"
    with pytest.raises(ToolchainError, match="has no libgcc for cortex-m4"):
        find_cross_compiler(M4, "gcc", environment=environment)


def test_zig_named_by_path() -> None:
    zig = find_cross_compiler(M4, "zig")
    assert find_cross_compiler(M4, zig.command[0]).kind == "zig"


@pytest.mark.parametrize("choice", ["./no-such-gcc", sys.executable + "-none"])
def test_an_impossible_compiler(choice: str) -> None:
    with pytest.raises(ToolchainError, match="does not start"):
        find_cross_compiler(M4, choice)


def test_compile_error_is_short(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text("int f(void) { return missing; }\n" + "unknown x;\n" * 20, encoding="utf-8")
    with pytest.raises(ToolchainError) as caught:
        compile_objects(find_host_compiler(), [source], flags=("-O0",), folder=tmp_path, prefix="x")
    assert "compiling bad.c failed" in caught.value.message and "missing" in caught.value.message
    assert len(caught.value.message.splitlines()) <= 7


def test_first_errors_prefers_lines_that_say_error() -> None:
    assert first_errors("note: a\nx.c:1: error: b\nwarning: c\n") == "  x.c:1: error: b"
    assert first_errors("something\nelse\n") == "  something\n  else"


@pytest.mark.parametrize("kind", COMPILERS)
def test_link_error_names_the_symbol(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"linking for cortex-m4 failed[\s\S]*pair_weights"):
        link_bench(M4, cross_compiler(M4, kind), PAIR_SOURCES[:1], [PROGRAMS], interface=PAIR, script="mps2.ld",
                   out=tmp_path / "a.elf")  # fmt: skip


@pytest.mark.parametrize("kind", COMPILERS)
def test_a_program_too_large_for_the_machine(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "small.ld"
    script.write_text(
        "MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 256\nRAM (rwx) : ORIGIN = 0x20000000, LENGTH = 64K }\n"
        "STACK_SIZE = 0x400;\nINCLUDE common.ld\n",
        encoding="utf-8",
    )
    with pytest.raises(ToolchainError, match="FLASH"):
        link_bench(M4, cross_compiler(M4, kind), PAIR_SOURCES, [PROGRAMS], interface=PAIR, script=str(script),
                   out=tmp_path / "a.elf")  # fmt: skip


def test_zig_cache_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert toolchain.zig_cache_folder() == toolchain.user_cache_folder() / "zig" == tmp_path / "mcugen" / "zig"
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path / "z"))
    assert toolchain.zig_cache_folder() == tmp_path / "z"


def test_missing_python_package_says_what_to_install() -> None:
    with pytest.raises(ToolchainError, match=r"counting needs the Python package 'no_such_module'[\s\S]*pip install"):
        require("no_such_module.part", purpose="counting")


def test_reading_what_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    path.write_bytes(b"no program")
    with pytest.raises(ToolchainError, match="not an ELF file"):
        read_image(path)

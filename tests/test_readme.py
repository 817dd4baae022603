"""What the README says is what happens: its C compiles and runs, its commands exist, its session runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcugen.run.toolchain import find_host_compiler

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def mcugen(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mcugen", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the demo's build leaves."""
    place = tmp_path_factory.mktemp("demo")
    digits = ROOT / "examples/digits"
    mcugen("build", digits / "digits.onnx", "--calibrate", digits / "calib.npz", "--target", "cortex-m", cwd=place)
    return place


def demo_commands() -> list[str]:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ndemo:")[1].split("\n\n")[0]
    return re.findall(r"\$\(BIN\)/mcugen (.*)", recipe)


def test_first_screen_is_a_sentence_and_two_commands() -> None:
    head = README.split("```sh")[0]
    assert head.count(".\n") == 1
    assert re.findall(r"^make (\w+)", blocks("sh")[0], re.MULTILINE) == ["demo", "test"]


def test_demo_session_runs(demo: Path) -> None:
    commands = demo_commands()
    assert [line.split()[0] for line in commands] == ["build", "evaluate", "simulate"]
    for line in commands[1:]:
        arguments = [str(ROOT / word) if word.startswith("examples/") else word for word in line.split()]
        result = json.loads(mcugen(*arguments, "--json", cwd=demo).stdout)
        if line.startswith("evaluate"):
            assert result["top1"] >= result["float_top1"] - 1 / result["samples"]
        else:
            assert result["bit_exact"] is True
            assert result["cycles"] > 0


def test_output_table_names_what_is_there(demo: Path) -> None:
    folder = demo / "build/digits"
    table = README.split("| file | what |")[1].split("\n\n")[0]
    names = [
        name.replace("model.", "digits.").replace("model_", "digits_") for name in re.findall(r"`([^`\s]+)`", table)
    ]
    missing = [n for n in names if "/" in n or "." in n if not (folder / n).exists() and n not in ("struct", "mcugen")]
    assert [n for n in missing if not n.startswith("struct")] == []


def test_c_example_compiles_and_recognises_a_digit(demo: Path, tmp_path: Path) -> None:
    source = tmp_path / "readme.c"
    (snippet,) = blocks("c")
    source.write_text(snippet + "int main(void) { static float pixels[64]; return classify(pixels) < 0; }\n")
    folder = demo / "build/digits"
    program = tmp_path / "readme"
    compiler = find_host_compiler()
    files = [str(source), *(str(folder / "src" / name) for name in ("digits.c", "digits_weights.c"))]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{folder / 'src'}", "-o", str(program)]
    subprocess.run([*compiler.command, *files, *flags], check=True)
    assert subprocess.run([str(program)], check=False).returncode == 0


@pytest.mark.parametrize("command", re.findall(r"^\| `mcugen (\w+)", README, re.MULTILINE))
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    assert "--help" in mcugen(command, "--help", cwd=tmp_path).stdout

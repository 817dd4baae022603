"""C compilers: finding them, compiling and linking with them, and turning their complaints into short messages."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mcugen.errors import ToolchainError
from mcugen.targets import Target

_JOBS = 2
_ERROR_LINES = 6
_GCC_OF_FAMILY = {
    "arm": ("arm-none-eabi-gcc", "MCUGEN_ARM_GCC"),
    "riscv": ("riscv64-unknown-elf-gcc", "MCUGEN_RISCV_GCC"),
}
_INSTALL = {
    "arm": "pip install ziglang, or install arm-none-eabi-gcc (Debian: apt install gcc-arm-none-eabi)",
    "riscv": "pip install ziglang, or install riscv64-unknown-elf-gcc (Debian: apt install gcc-riscv64-unknown-elf)",
    "host": "pip install ziglang, or install gcc or clang",
}
FREESTANDING = (
    "-std=c11",
    "-g",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fomit-frame-pointer",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)


@dataclass(frozen=True)
class Compiler:
    """A C compiler: `kind` is "gcc", "clang" or "zig"; `command` is what its flags are appended to."""

    kind: str
    command: tuple[str, ...]
    version: str

    def flags_for(self, target: Target) -> tuple[str, ...]:
        """The flags that select the target's core; none for the host."""
        if target.family == "host":
            return ("-fno-sanitize=all",) if self.kind == "zig" else ()
        if self.kind == "zig":
            if target.zig is None:
                raise ToolchainError(
                    f"target {target.name} does not say how zig compiles for it",
                    hint="give it a [zig] table, or use --compiler gcc",
                )
            # zig turns UBSan on by default; its runtime would dwarf the model
            return ("-target", target.zig.target, f"-mcpu={target.zig.cpu}", "-fno-sanitize=all")
        return target.gcc.flags


def find_cross_compiler(
    target: Target, choice: str | None = None, *, environment: Mapping[str, str] | None = None
) -> Compiler:
    """The compiler for a target: GNU if it is there and has a runtime library for the core, otherwise zig.

    `choice` is "gcc", "zig" or the path of a compiler.  Raises ToolchainError when there is none.
    """
    environment = os.environ if environment is None else environment
    if target.family == "host":
        return find_host_compiler(choice, environment=environment)
    name, variable = _GCC_OF_FAMILY[target.family]
    if choice not in (None, "gcc", "zig"):
        return _identified((str(choice),), str(choice))
    if choice != "zig":
        command = environment.get(variable) or shutil.which(name, path=environment.get("PATH"))
        if command is not None:
            compiler = _identified((command,), command)
            if _has_runtime(compiler, target):
                return compiler
            if choice == "gcc":
                raise ToolchainError(f"{command} has no libgcc for {target.name}", hint="use --compiler zig")
        elif choice == "gcc":
            raise ToolchainError(f"no {name} on the PATH, nor in {variable}", hint=_INSTALL[target.family])
    zig = _zig(environment)
    if zig is None:
        raise ToolchainError(f"no compiler for {target.name}", hint=_INSTALL[target.family])
    return zig


def find_host_compiler(
    choice: str | None = None, *, sanitizers: bool = False, environment: Mapping[str, str] | None = None
) -> Compiler:
    """The compiler for this computer: $CC, cc, gcc, clang, or zig; only one with AddressSanitizer where `sanitizers`.

    `choice` is "gcc", "clang", "zig" or the path of a compiler.  Raises ToolchainError when there is none.
    """
    environment = os.environ if environment is None else environment
    if choice == "zig":
        found = _zig(environment)
        candidates = [] if found is None else [found]
    else:
        names = [environment.get("CC", ""), "cc", "gcc", "clang"] if choice is None else [choice]
        commands = [tuple(name.split()) if shutil.which(name) is None else (name,) for name in names if name]
        candidates = [
            _identified(command, command[0])
            for command in commands
            if shutil.which(command[0], path=environment.get("PATH"))
        ]
        zig = _zig(environment) if choice is None else None
        candidates += [] if zig is None else [zig]
    candidates = [c for c in candidates if not sanitizers or c.kind != "zig"]
    if not candidates:
        what = "with AddressSanitizer " if sanitizers else ""
        raise ToolchainError(
            f"no C compiler {what}for this computer" + (f": {choice}" if choice else ""),
            hint="install gcc or clang (zig has no AddressSanitizer)" if sanitizers else _INSTALL["host"],
        )
    return candidates[0]


def compile_objects(
    compiler: Compiler,
    sources: Sequence[Path],
    *,
    flags: Sequence[str],
    includes: Sequence[Path] = (),
    defines: Sequence[str] = (),
    folder: Path,
    prefix: str,
) -> list[Path]:
    """Compiles each source to `folder/PREFIX-NUMBER-STEM.o`, two at a time; returns the objects in the sources' order.

    Raises ToolchainError with the compiler's first error lines.
    """
    common = [*flags, *(f"-D{define}" for define in defines), *(f"-I{path}" for path in includes)]
    objects = [folder / f"{prefix}-{number:03d}-{Path(source).stem}.o" for number, source in enumerate(sources)]

    def compile_one(job: tuple[Path, Path]) -> None:
        source, out = job
        run_tool(
            [*compiler.command, *common, "-c", str(source), "-o", str(out)],
            folder=folder,
            what=f"compiling {source.name}",
        )

    with ThreadPoolExecutor(_JOBS) as pool:
        list(pool.map(compile_one, [(Path(source), out) for source, out in zip(sources, objects, strict=True)]))
    return objects


def compile_host(
    compiler: Compiler,
    sources: Sequence[Path],
    includes: Sequence[Path] = (),
    *,
    flags: Sequence[str] = ("-O2",),
    defines: Sequence[str] = (),
    shared: bool = False,
    out: Path,
) -> Path:
    """Compiles sources into a program for this computer, or with `shared` into a shared library, and returns its path."""
    own = ("-fno-sanitize=all",) if compiler.kind == "zig" and not any("-fsanitize" in flag for flag in flags) else ()
    flags = (*own, *flags, "-fPIC") if shared else (*own, *flags)
    with tempfile.TemporaryDirectory(prefix="mcugen-") as name:
        folder = Path(name)
        objects = compile_objects(
            compiler,
            sources,
            flags=("-std=c11", *flags),
            includes=includes,
            defines=defines,
            folder=folder,
            prefix="host",
        )
        link = ("-shared",) if shared else ()
        run_tool(
            [*compiler.command, *flags, *link, *map(str, objects), "-o", str(out)],
            folder=folder,
            what=f"linking {out.name}",
        )
    return out


def run_tool(command: Sequence[str], *, folder: Path, what: str, cwd: Path | None = None) -> str:
    """Runs a compiler and returns its standard output; `folder` takes zig's short-lived cache.

    Raises ToolchainError with the first error lines when it fails.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "ZIG_GLOBAL_CACHE_DIR": str(zig_cache_folder()),
        "ZIG_LOCAL_CACHE_DIR": str(folder / "zig-cache"),
    }
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ToolchainError(f"{command[0]} does not start: {error}", hint=_INSTALL["host"]) from None
    if done.returncode != 0:
        raise ToolchainError(f"{what} failed ({Path(command[0]).name}):\n" + first_errors(done.stderr or done.stdout))
    return done.stdout


def first_errors(text: str) -> str:
    """The lines of a compiler's output that say what is wrong, at most six, indented."""
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if any(word in line for word in ("error", "undefined", "overflowed", "no room"))]
    return "\n".join("  " + line for line in (wrong or lines)[:_ERROR_LINES])


def zig_cache_folder() -> Path:
    """Where zig keeps the runtime libraries it has built: $ZIG_GLOBAL_CACHE_DIR, or a folder in the user's cache."""
    chosen = os.environ.get("ZIG_GLOBAL_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_folder() / "zig"


def user_cache_folder() -> Path:
    """A folder of mcugen's own in the user's cache, or in the temporary folder where there is none to write to."""
    for base in (os.environ.get("XDG_CACHE_HOME"), os.environ.get("LOCALAPPDATA"), os.path.expanduser("~/.cache")):
        if base and not base.startswith("~"):
            folder = Path(base) / "mcugen"
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(folder, os.W_OK):
                return folder
    folder = Path(tempfile.gettempdir()) / "mcugen-cache"
    folder.mkdir(exist_ok=True)
    return folder


def _identified(command: tuple[str, ...], shown: str) -> Compiler:
    """What kind of compiler a command is, by its own account."""
    for tail in (("--version",), ("cc", "--version")):
        try:
            done = subprocess.run(
                [*command, *tail],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ToolchainError(
                f"{shown} does not start: {error}", hint="--compiler takes gcc, zig or a path"
            ) from None
        if done.returncode == 0 and done.stdout.strip():
            first = done.stdout.splitlines()[0].strip()
            if tail[0] == "cc" or "ziglang" in str(command):
                return Compiler("zig", (*command, "cc") if tail[0] == "cc" else command, first)
            return Compiler("clang" if "clang" in first else "gcc", command, first)
    raise ToolchainError(
        f"{shown} is not a compiler that answers --version", hint="--compiler takes gcc, zig or a path"
    )


def _zig_binaries(environment: Mapping[str, str]) -> Iterator[Path]:
    spec = importlib.util.find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / ("zig.exe" if sys.platform == "win32" else "zig")
    found = shutil.which("zig", path=environment.get("PATH"))
    if found is not None:
        yield Path(found)


def _zig(environment: Mapping[str, str]) -> Compiler | None:
    for path in _zig_binaries(environment):
        if path.is_file():
            done = subprocess.run([str(path), "version"], capture_output=True, text=True, check=False)
            return Compiler("zig", (str(path), "cc"), f"zig {done.stdout.strip()}")
    return None


def _has_runtime(compiler: Compiler, target: Target) -> bool:
    """Whether a GNU compiler has the libgcc of this core (packages with a single multilib exist)."""
    if compiler.kind != "gcc":
        return True
    done = subprocess.run(
        [*compiler.command, *target.gcc.flags, "-print-libgcc-file-name"], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and Path(done.stdout.strip()).is_file()

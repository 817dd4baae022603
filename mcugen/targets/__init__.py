"""Targets: what mcugen knows of a core, as data in one TOML file each; a target exists by its file being here."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mcugen.errors import McugenError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).parent
_BAREMETAL_NAMES = ("script",)


@dataclass(frozen=True)
class Features:
    """What the core's instruction set offers beyond the architecture's minimum."""

    dsp: bool = False
    mve: bool = False
    unaligned: bool = False


@dataclass(frozen=True)
class GccFlags:
    """Flags that select the core for a GNU cross compiler."""

    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class ZigFlags:
    """`-target` and `-mcpu` of `zig cc`; a CPU's name alone gives neither FPU nor MVE: features are spelled out."""

    target: str
    cpu: str


@dataclass(frozen=True)
class CycleTable:
    """Cycles of each kind of instruction at zero wait states; everything that is not named here takes one.

    `taken_branch` and `jump` are what leaving the straight line adds.  `load_pipelined` is a load right after another
    load or store; `load_use` is what an instruction pays for using the result of the load just before it.
    """

    model: str
    load: int = 1
    load_pipelined: int = 1
    load_use: int = 0
    store: int = 1
    load_pair: int = 3
    store_pair: int = 3
    multiple_base: int = 1
    load_to_pc: int = 2
    multiply: int = 1
    multiply_accumulate: int = 1
    multiply_long: int = 1
    divide: int = 7
    float_divide: int = 14
    float_multiply_accumulate: int = 3
    table_branch: int = 2
    taken_branch: int = 2
    jump: int = 2
    unaligned: int = 1


@dataclass(frozen=True)
class UnicornModel:
    """The CPU model of the Unicorn emulator (the end of its constant's name) and the linker script of its memory."""

    model: str
    script: str


@dataclass(frozen=True)
class QemuMachine:
    """A QEMU machine: program, machine name, linker script, and further arguments."""

    program: str
    machine: str
    script: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budget:
    """Default limits in bytes; None is no limit."""

    flash: int | None = None
    ram: int | None = None


@dataclass(frozen=True)
class Place:
    """The linker's sections for the constants and the arena, e.g. ".flash" and ".dtcm"; None leaves it to the linker."""

    weights: str | None = None
    arena: str | None = None


@dataclass(frozen=True)
class Target:
    """A core: how to compile for it, which kernel variants may run on it, what instructions cost, how to emulate it.

    `family` is "arm", "riscv" or "host"; `variants` are names of kernel variants; `alignment` is the arena's, in bytes;
    `generic` marks a target whose code must run on every core of its family; `variants` are then those of the core that stands
    for it, and `beyond` the ones that better cores may take where they need no more RAM.
    """

    name: str
    description: str
    family: str
    arch: str
    cpu: str
    variants: tuple[str, ...]
    alignment: int
    optimize: str
    emulator: str
    aliases: tuple[str, ...] = ()
    generic: bool = False
    beyond: tuple[str, ...] = ()
    features: Features = field(default_factory=Features)
    gcc: GccFlags = field(default_factory=GccFlags)
    zig: ZigFlags | None = None
    cycles: CycleTable | None = None
    unicorn: UnicornModel | None = None
    qemu: QemuMachine | None = None
    budget: Budget = field(default_factory=Budget)
    place: Place = field(default_factory=Place)

    def on_cpu(self, core: Target) -> Target:
        """This target's program measured on another core of its family: `core` supplies compiler flags and emulator.

        Raises McugenError when the family differs.
        """
        if core.family != self.family:
            raise McugenError(
                f"target {self.name} cannot run on {core.name}: it is for the {self.family} family",
                hint="`mcugen targets` lists the cores",
            )
        own = {
            "name": self.name,
            "description": self.description,
            "variants": self.variants,
            "generic": self.generic,
            "beyond": self.beyond,
            "aliases": self.aliases,
            "budget": self.budget,
            "place": self.place,
        }
        return dataclasses.replace(core, **own)  # type: ignore[arg-type]


SECTION = re.compile(r"[.\w][\w.$-]*", re.ASCII)


def placed(target: Target, place: Mapping[str, str]) -> Target:
    """The target with sections for "weights" and "arena"; McugenError for other keys and for what is no section's name."""
    known = [spec.name for spec in dataclasses.fields(Place)]
    wrong = [f"'{key}' is not a part of a model" for key in place if key not in known]
    wrong += [f"'{name}' is not the name of a section" for name in place.values() if not SECTION.fullmatch(name)]
    if wrong:
        raise McugenError(
            f"cannot place the model: {'; '.join(wrong)}", hint=f"place {' or '.join(known)}: weights=.flash,arena=.dtcm"
        )
    return dataclasses.replace(target, place=dataclasses.replace(target.place, **place))


def list_targets() -> list[Target]:
    """All built-in targets, sorted by name."""
    return [load_target(path.stem) for path in sorted(_FOLDER.glob("*.toml"))]


def load_target(name_or_path: str | Path) -> Target:
    """The target of a built-in name, an alias (`m4`, `cortex-m4f`) or a TOML file (`./mine.toml`).

    A file may say `base = "cortex-m4"` and give only what differs.  Raises McugenError for an unknown name, with the
    nearest ones, and for a file that is not a valid target, with every fault found in it.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise McugenError(f"{path}: no such target file", hint="`mcugen targets` lists those that need no file")
        return _build(_merged(path, ()), path)
    key = text.lower()
    tables = {path: _parse(path) for path in sorted(_FOLDER.glob("*.toml"))}
    for path, table in tables.items():
        if key == path.stem or key in _aliases(table):
            return _build(_merged(path, ()), path)
    names = sorted({name for path, table in tables.items() for name in (path.stem, *_aliases(table))})
    near = difflib.get_close_matches(key, names, n=3)
    raise McugenError(
        f"unknown target '{text}'",
        hint=f"did you mean {' or '.join(near)}?"
        if near
        else f"one of {', '.join(path.stem for path in tables)}, or the path of a .toml file",
    )


def _aliases(table: Mapping[str, object]) -> tuple[str, ...]:
    aliases = table.get("aliases", ())
    return tuple(map(str, aliases)) if isinstance(aliases, list) else ()


def _parse(path: Path) -> dict[str, object]:
    try:
        table: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise McugenError(
            f"{path}: not a readable TOML file: {error}", hint='a target file may be as short as base = "cortex-m4"'
        ) from None
    return table


def _merged(path: Path, seen: tuple[Path, ...]) -> dict[str, object]:
    """The file's table laid over its base's, one level of sub-tables deep; its linker scripts found beside it."""
    path = path.resolve()
    if path in seen:
        raise McugenError(f"{path}: its base leads back to itself", hint="take a built-in target as the base")
    table = _parse(path)
    for section in table.values():
        if isinstance(section, dict):
            for key in _BAREMETAL_NAMES:
                script = section.get(key)
                if isinstance(script, str) and (path.parent / script).is_file():
                    section[key] = str(path.parent / script)
    base = table.pop("base", None)
    if base is None:
        return table
    beside = path.parent / str(base)
    base_path = beside if str(base).endswith(".toml") and beside.is_file() else _builtin_path(str(base), path)
    under = _merged(base_path, (*seen, path))
    under.pop("aliases", None)
    for key, value in table.items():
        inherited = under.get(key)
        under[key] = {**inherited, **value} if isinstance(inherited, dict) and isinstance(value, dict) else value
    return under


def _builtin_path(name: str, asked_by: Path) -> Path:
    for path in sorted(_FOLDER.glob("*.toml")):
        if name.lower() == path.stem or name.lower() in _aliases(_parse(path)):
            return path
    raise McugenError(
        f"{asked_by}: its base '{name}' is not a target",
        hint="`mcugen targets` lists them; or give another file beside it",
    )


def _build(table: dict[str, object], path: Path) -> Target:
    faults: list[str] = []
    target = _record(Target, table, "", faults)
    if faults:
        raise McugenError(
            f"{path}: not a valid target: " + "; ".join(faults), hint='take the rest from a target: base = "cortex-m4"'
        )
    return typing.cast(Target, target)


def _record(kind: type, table: Mapping[str, object], where: str, faults: list[str]) -> object:
    """An instance of the dataclass `kind` from a TOML table; unknown, missing and mistyped keys go to `faults`."""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    faults.extend(f"unknown key '{where}{key}'" for key in table if key not in fields)
    values: dict[str, object] = {}
    for name, spec in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], where + name, faults)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            faults.append(f"'{where}{name}' is missing")
    return None if faults else kind(**values)


def _value(hint: object, value: object, where: str, faults: list[str]) -> object:
    options = [option for option in typing.get_args(hint) or (hint,) if option not in (type(None), ...)]
    kind = options[0]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if isinstance(value, dict):
            return _record(kind, value, where + ".", faults)
        faults.append(f"'{where}' must be a table")
    elif typing.get_origin(hint) is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        faults.append(f"'{where}' must be a list of strings")
    elif type(value) is kind:
        return value
    else:
        faults.append(f"'{where}' must be of type {getattr(kind, '__name__', kind)}")
    return None

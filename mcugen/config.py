"""The options of a build: one set of names and units for the command line, Python and `mcugen.toml`."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcugen.errors import McugenError
from mcugen.plan.schedule import Goal
from mcugen.quantize.precision import INT8

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_FILE = "mcugen.toml"
ARITHMETICS = ("default", "tflite")
GOALS = ("balanced", "speed", "size", "ram")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_AXIS = re.compile(r"-?\d+")
_PLACES = ("calibrate", "target", "compiler")
"""Options that may be paths."""
_LOCAL = frozenset(("output", "dump", "verify", "layers"))
"""Options that say where and how a build is done, not what comes out of it."""


@dataclass(frozen=True)
class BuildOptions:
    """What a build is asked for; sizes in bytes, `prune` and `prune_channels` as fractions from 0 to 1.

    `calibrate` is a file, a folder or arrays (see `load_samples`); `shape` gives inputs static shapes; `outputs` cuts
    the graph; `compiler` is gcc, clang, zig or a path; `precision` and `layer_precision` are `choose_precision`'s, or
    `precision` is "auto", which keeps `max_loss` and `max_cycles` (see auto_precision.Limits); `activations` is static
    or dynamic; `stream` is the axis of time by input ('' for the only one).
    """

    output: str | Path | None = None
    target: str = "cortex-m"
    calibrate: Any = None
    name: str | None = None
    shape: Mapping[str, Sequence[int]] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    observer: str = "auto"
    effort: str = "default"
    arithmetic: str = "default"
    precision: str = INT8
    layer_precision: Mapping[str, str] = field(default_factory=dict)
    activations: str = "static"
    optimize: str = "balanced"
    flash: int | None = None
    ram: int | None = None
    cycles: int | None = None
    input_rows: bool | None = None
    prune: float | None = None
    prune_scope: str = "global"
    prune_channels: float | None = None
    compiler: str | None = None
    verify: bool = True
    layers: bool = False
    dump: str | Path | None = None
    place: Mapping[str, str] = field(default_factory=dict)
    stream: Mapping[str, int] = field(default_factory=dict)
    stream_padding: str = "exact"
    max_loss: float | None = None
    max_cycles: str | int | None = None

    @property
    def goal(self) -> Goal:
        return Goal(self.optimize, self.flash, self.ram, self.cycles, self.input_rows)

    def for_report(self) -> dict[str, Any]:
        """What was asked for, as plain data that is the same on every machine: files by their names alone."""
        asked: dict[str, Any] = {}
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if spec.name in _LOCAL or value is None or (isinstance(value, (tuple, dict)) and not value):
                continue
            if (spec.name, value) in (("precision", INT8), ("activations", "static")):
                continue
            if spec.name == "stream_padding" and not self.stream:
                continue
            if spec.name in _PLACES:
                value = Path(value).name if isinstance(value, (str, Path)) else "arrays"
            asked[spec.name.replace("_", "-")] = _plain(value)
        return dict(sorted(asked.items()))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def parse_size(text: str | int) -> int:
    """Bytes of `20000`, `32K`, `1.5M` (powers of 1024); ValueError for anything else."""
    return _scaled(text, 1024, "a size such as 64K, 1.5M or 20000")


def parse_count(text: str | int) -> int:
    """A count of `5000000`, `5M`, `2.5k` (powers of 1000); ValueError for anything else."""
    return _scaled(text, 1000, "a count such as 5M or 800000")


def parse_max_cycles(text: str | int) -> str | int:
    """`1.2x` as it is, or a count such as `5M`; ValueError for anything else."""
    if re.fullmatch(r"\d+(\.\d+)?x", str(text)):
        return str(text)
    try:
        return parse_count(text)
    except ValueError:
        raise ValueError(f"'{text}' is neither a ratio such as 1.2x nor a count such as 5M") from None


def _scaled(text: str | int, base: int, wanted: str) -> int:
    found = _NUMBER.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"'{text}' is not {wanted}")
    power = "kmg".index(found[2].lower()) + 1 if found[2] else 0
    scale: int = base**power
    return round(float(found[1]) * scale)


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """The input and shape of `input=1,3,32,32`; ValueError for anything else."""
    name, equals, sizes = text.rpartition("=")
    parts = sizes.replace("x", ",").split(",")
    if not equals or not name or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"'{text}' is not a shape such as input=1,3,32,32")
    return name, tuple(int(part) for part in parts)


def parse_places(text: str) -> dict[str, str]:
    """The sections of `weights=.flash,arena=.dtcm`; ValueError for anything else."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(key.strip() and equals and section.strip() for key, equals, section in pairs):
        raise ValueError(f"'{text}' is not a list of places such as weights=.flash,arena=.dtcm")
    return {key.strip(): section.strip() for key, _, section in pairs}


def parse_stream(text: str | int) -> dict[str, int]:
    """The axis of time of `1`, or of each input of `audio:1,motion:2`; ValueError for anything else."""
    pairs = [part.rpartition(":") for part in str(text).split(",")]
    names = [name.strip() for name, _, _ in pairs]
    if not all(_AXIS.fullmatch(axis.strip()) for _, _, axis in pairs) or len(set(names)) < len(names):
        raise ValueError(f"'{text}' is not an axis such as 1, or input:1 for each of several inputs")
    return {name: int(axis) for name, (_, _, axis) in zip(names, pairs, strict=True)}


def find_config(model: Path) -> Path | None:
    """The mcugen.toml beside the model, or else in the current folder."""
    return next((path for path in (model.parent / CONFIG_FILE, Path(CONFIG_FILE)) if path.is_file()), None)


def read_config(path: Path, known: Sequence[str]) -> dict[str, Any]:
    """The [build] table of a configuration file; McugenError names every key that is not an option (`known`)."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise McugenError(f"{path}: no such file", hint=f"`--config` takes a {CONFIG_FILE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise McugenError(
            f"{path}: not a readable TOML file: {error}", hint='write [build] and below it lines such as ram = "20K"'
        ) from None
    faults = [f"table or key '{key}'" for key in table if key != "build"]
    build = table.get("build", {})
    if not isinstance(build, dict):
        raise McugenError(f"{path}: 'build' must be a table", hint="write [build] and the options below it")
    faults += [f"key '{key}' in [build]{_nearest(key, known)}" for key in build if key not in known]
    if faults:
        raise McugenError(
            f"{path}: unknown {', '.join(faults)}",
            hint=f"[build] takes the options of `mcugen build`: {', '.join(known)}",
        )
    return build


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""

"""Options of the command line: their types, those that commands share, and their values from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mcugen.config import (
    parse_count,
    parse_max_cycles,
    parse_places,
    parse_shape,
    parse_size,
    parse_stream,
    read_config,
)
from mcugen.errors import McugenError
from mcugen.quantize.precision import AUTO, INT8, PRECISIONS, parse_layer_precision, parse_precision
from mcugen.quantize.quantizer import EFFORTS
from mcugen.quantize.ranges import observer_names


class _Parsed(click.ParamType):  # type: ignore[type-arg]
    """A value that a function of `config` reads."""

    def __init__(self, name: str, parse: Callable[[Any], Any], ready: type) -> None:
        self.name, self._parse, self._ready = name, parse, ready

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, self._ready) and not isinstance(value, bool):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _PrecisionWords(click.Choice):  # type: ignore[type-arg]
    """A word of a choice, or one for activations and one for weights with a plus sign between."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "+" not in str(value):
            return super().convert(value, param, ctx)
        try:
            return parse_precision(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("no name given")
    return names


PATH = click.Path(path_type=Path)
FRACTION = click.FloatRange(0, 1, max_open=True)
SIZE = _Parsed("size", parse_size, int)
COUNT = _Parsed("count", parse_count, int)
MAX_CYCLES = _Parsed("ratio|count", parse_max_cycles, int)
SHAPE = _Parsed("name=shape", parse_shape, tuple)
PLACES = _Parsed("part=section", parse_places, dict)
LAYER_PRECISION = _Parsed("layer=precision", parse_layer_precision, dict)
STREAM = _Parsed("axis", parse_stream, dict)
NAMES = _Parsed("names", _names, tuple)
OBSERVER = click.option(
    "--observer",
    type=click.Choice(("auto", *observer_names())),
    default="auto",
    show_default=True,
    help="Range choice.",
)
EFFORT = click.option(
    "--effort", type=click.Choice(tuple(EFFORTS)), default="default", show_default=True, help="Time for accuracy."
)
PRECISION = click.option(
    "--precision",
    type=_PrecisionWords(PRECISIONS),
    default=INT8,
    show_default=True,
    help="Of all layers: int16 for activations, the others for weights; both as int16+int4.",
)
AUTO_PRECISION = click.option(
    "--precision",
    type=_PrecisionWords((*PRECISIONS, AUTO)),
    default=INT8,
    show_default=True,
    help="Of all layers: int16 for activations, the others for weights, both as int16+int4; auto: a mix within limits.",
)
COMPILER = click.option("--compiler", metavar="gcc|zig|PATH", help="The C compiler (default: what is installed).")


def file_options(ctx: click.Context, path: Path) -> dict[str, Any]:
    """The options that a configuration file gives and the command line does not."""
    skipped = ("help", "config", "json", "traceback")
    options = {_key(p): p for p in ctx.command.params if isinstance(p, click.Option) and _key(p) not in skipped}
    values: dict[str, Any] = {}
    for key, value in read_config(path, sorted(options)).items():
        option = options[key]
        try:
            converted = option.type_cast_value(ctx, _listed(option, value))
        except (click.BadParameter, TypeError, ValueError) as error:
            message = error.message if isinstance(error, click.BadParameter) else str(error)
            raise McugenError(f"{path}: '{key}': {message}", hint="the values are as on the command line") from None
        if key in ("calibrate", "output", "dump"):
            converted = path.parent / converted
        if option.name is not None and ctx.get_parameter_source(option.name) is click.core.ParameterSource.DEFAULT:
            values[option.name] = converted
    return values


def _key(option: click.Parameter) -> str:
    return max(option.opts, key=len).lstrip("-")


def _listed(option: click.Option, value: Any) -> Any:
    if option.type is NAMES and isinstance(value, list):
        return tuple(map(str, value))
    if option.multiple and isinstance(value, str):
        return [value]
    if option.is_flag and not isinstance(value, bool):
        raise TypeError("takes true or false")
    return value

"""What all commands share: how errors, results, warnings and progress are shown."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mcugen.errors import McugenError, first_line
from mcugen.report.json_report import json_text
from mcugen.report.text import Lines

SCHEMA = 1
"""Raised when a key of the JSON output changes its meaning or goes."""
PIPE_WIDTH = 160
TRACEBACK = "mcugen.traceback"


class Commands(click.Group):
    """A group whose commands end a user's mistake with `error:` and `hint:` and the error's exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        ctx.meta[TRACEBACK] = False
        try:
            # an overflow in float is reported as such where it matters
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                return super().invoke(ctx)
        except McugenError as error:
            _show_error(error.message, error.hint)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except MemoryError as error:
            if ctx.meta.get(TRACEBACK):
                raise
            _show_error(
                f"this computer's memory does not suffice ({first_line(error)})", "give fewer samples, or a smaller input"
            )
            ctx.exit(1)
        except OSError as error:
            if ctx.meta.get(TRACEBACK):
                raise
            where = f"{error.filename}: " if error.filename else ""
            _show_error(f"{where}{error.strerror or error}", "is the place there, writable, and is there room?")
            ctx.exit(1)
        except Exception as error:
            if ctx.meta.get(TRACEBACK):
                raise
            _show_error(
                f"unexpected {type(error).__name__}: {first_line(error) if str(error) else 'no message'}",
                "this is a defect of mcugen: the same command with `--traceback` shows where; please report it",
            )
            ctx.exit(1)


def _show_error(message: str, hint: str | None) -> None:
    console = _stderr()
    console.print("error:", style="bold red", end=" ")
    console.print(message)
    if hint:
        console.print(f"  hint: {hint}")


def _stderr() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command has."""

    def keep(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[TRACEBACK] = True

    command = click.option(
        "--traceback", is_flag=True, expose_value=False, callback=keep, help="Show where an unexpected error arose."
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def example(text: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n  " + text


def note(text: str) -> None:
    """Something worth knowing, on stderr."""
    _stderr().print(f"note: {text}")


def warn(text: str) -> None:
    """A warning on stderr."""
    console = _stderr()
    console.print("warning:", style="bold yellow", end=" ")
    console.print(text)


def show(command: str, record: Mapping[str, Any], lines: Callable[[], Lines], *, as_json: bool) -> None:
    """A result on stdout: its record as JSON, or its lines for people."""
    if as_json:
        click.echo(json_text({"schema": SCHEMA, "command": command, **record}), nl=False)
        return
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, emoji=False, width=PIPE_WIDTH)
    for line in lines():
        console.print(line)


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A progress function that draws a bar a stage on stderr, if that is a terminal."""
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr(), transient=True, disable=not sys.stderr.isatty()) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance

"""The errors a user can meet: each says where, what and the limit in its message, and the remedy in its hint."""

from __future__ import annotations


class McugenError(Exception):
    """A user's mistake or a limit of the model: one message, an optional remedy, and the exit code of the command line."""

    exit_code = 1
    default_hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class UnsupportedModel(McugenError):
    """The model is corrupt, or holds something that mcugen cannot compile."""

    default_hint = "mend the model and export it again, or cut the graph before this node with `--outputs`"


class CalibrationError(McugenError):
    """The calibration data does not fit the model: wrong names, shapes, types or values."""


class ToolchainError(McugenError):
    """A compiler or emulator is missing or failed."""

    default_hint = "`mcugen targets` shows which compilers and emulators it finds; `--compiler` and `--emulator` choose"


class DoesNotFit(McugenError):
    """The result is larger or slower than the limit the user gave."""

    exit_code = 3


class VerificationFailed(McugenError):
    """The C and the NumPy reference disagree."""

    exit_code = 4
    default_hint = "please report it with the model: the C must be equal to the reference"


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line: its first, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

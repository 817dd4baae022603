"""The console command: Ctrl-C ends it the same way while it still imports as while it works."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line; an interrupt ends it with "Aborted!" and exit code 1, at any time and without a traceback.

    The interrupt is a SystemExit rather than a KeyboardInterrupt: Python takes one that passes through `exec`, by which
    imported modules make their classes, for unhandled, whoever catches it later, and ends by the signal.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _abort)
    from mcugen.cli import main as commands

    commands()


def _abort(_number: int, _frame: object) -> None:
    sys.exit("\nAborted!")

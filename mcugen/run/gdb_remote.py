"""A client of the GDB remote protocol, as far as driving an emulator takes: memory, registers, breakpoints."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from typing import IO

from mcugen.errors import ToolchainError, VerificationFailed

_CHUNK = 1024
"""Bytes of memory a packet: well below the 4096 characters that QEMU takes."""


class ProgramEnded(Exception):
    """The emulated program ended by itself, with this exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class GdbRemote:
    """An emulator started with `-gdb stdio -S` and spoken to over its standard input and output."""

    def __init__(self, command: Sequence[str], *, hint: str) -> None:
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise ToolchainError(f"{command[0]} does not start: {error}", hint=hint) from None
        self._input, self._output = _pipe(self._process.stdin), _pipe(self._process.stdout)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._pending = b""

    def read_memory(self, address: int, size: int) -> bytes:
        """Memory, or the registers of a device, as bytes."""
        parts = []
        for start in range(address, address + size, _CHUNK):
            length = min(_CHUNK, address + size - start)
            parts.append(bytes.fromhex(self._ask(f"m{start:x},{length:x}")))
        return b"".join(parts)

    def write_memory(self, address: int, data: bytes) -> None:
        """Puts bytes into memory; devices are not reached."""
        for start in range(0, len(data), _CHUNK):
            part = data[start : start + _CHUNK]
            self._ask(f"M{address + start:x},{len(part):x}:{part.hex()}")

    def register(self, number: int) -> int:
        """A 32-bit register by its number in the protocol, where those before it have 32 bits too."""
        return int.from_bytes(bytes.fromhex(self._ask("g")[8 * number : 8 * number + 8]), "little")

    def monitor(self, command: str) -> str:
        """What the emulator's monitor answers to a command."""
        reply = self._ask("qRcmd," + command.encode("ascii").hex())
        text = ""
        while reply[:1] == "O" and reply != "OK":
            text += bytes.fromhex(reply[1:]).decode("utf-8", "replace")
            reply = self._next(30.0)
        return text

    def run_to(self, stops: Sequence[int], *, length: int, timeout: float) -> None:
        """Runs on until one of the addresses is next; `length` is the breakpoints' kind, the bytes of an instruction.

        Raises ProgramEnded when the program ends before, VerificationFailed after `timeout` seconds.
        """
        for stop in stops:
            self._ask(f"Z0,{stop:x},{length}")
        reply = self._ask("c", timeout=timeout)
        if reply[:1] in ("W", "X"):
            raise ProgramEnded(int(reply[1:3], 16))
        for stop in stops:
            self._ask(f"z0,{stop:x},{length}")

    def close(self) -> None:
        """Ends the emulator."""
        self._selector.close()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _ask(self, text: str, *, timeout: float = 30.0) -> str:
        """Sends a packet and returns the reply's text; an error reply is a ToolchainError."""
        data = text.encode("ascii")
        self._write(b"$" + data + b"#%02x" % (sum(data) & 0xFF))
        reply = self._next(timeout)
        if reply[:1] == "E" and len(reply) == 3:
            raise ToolchainError(f"the emulator refused '{text[:40]}': {reply}")
        return reply

    def _next(self, timeout: float) -> str:
        reply = self._packet(time.monotonic() + timeout, timeout)
        # an emulator that has just told of its end no longer listens
        with contextlib.suppress(BrokenPipeError):
            os.write(self._input, b"+")
        return reply

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._input, data)
        except BrokenPipeError:
            raise self._gone() from None

    def _packet(self, end: float, timeout: float) -> str:
        while True:
            start = self._pending.find(b"$")
            stop = self._pending.find(b"#", start) if start >= 0 else -1
            if stop >= 0 and len(self._pending) >= stop + 3:
                packet = self._pending[start + 1 : stop]
                self._pending = self._pending[stop + 3 :]
                return packet.decode("ascii")
            left = end - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                raise VerificationFailed(f"the program did not finish within {timeout:g} s")
            received = os.read(self._output, 1 << 16)
            if not received:
                raise self._gone()
            self._pending += received

    def _gone(self) -> ToolchainError:
        self._process.wait()
        text = self._process.stderr.read().decode("utf-8", "replace") if self._process.stderr is not None else ""
        return ToolchainError(f"the emulator ended unexpectedly: {text.strip()[:400]}")


def _pipe(stream: IO[bytes] | None) -> int:
    assert stream is not None
    return stream.fileno()

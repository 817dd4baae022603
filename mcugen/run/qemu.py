"""QEMU: cores that Unicorn lacks (MVE), and a second opinion on others; it counts instructions, not cycles."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from mcugen.errors import ToolchainError, VerificationFailed
from mcugen.run.elf import Image
from mcugen.run.gdb_remote import GdbRemote, ProgramEnded
from mcugen.run.machine import paint_stack, stack_used
from mcugen.run.results import RunCost, StepCost
from mcugen.targets import Target

_REPLAY_COUNT = re.compile(r"instruction count = (\d+)")
_MARK_INSTRUCTIONS = 2
"""What bench_begin itself executes: nop and return."""
_REGISTERS = {"arm": (15, 13), "riscv": (32, 2)}
_BREAKPOINT_BYTES = {"arm": 2, "riscv": 4}
_PACKAGES = {"arm": "qemu-system-arm", "riscv": "qemu-system-misc"}


class QemuSystem:
    """A program in QEMU under its debugger interface, stopped at the first instruction.

    With `counting` QEMU records the run for a replay, and so keeps the exact number of instructions.
    """

    def __init__(self, path: Path, image: Image, target: Target, *, counting: bool, timeout: float = 300.0) -> None:
        if target.qemu is None:
            raise ToolchainError(f"target {target.name} has no QEMU machine", hint="use the unicorn emulator")
        self._machine = target.qemu
        self._image = image
        self._family = target.family
        self._timeout = timeout
        self._directory = tempfile.TemporaryDirectory(prefix="mcugen-qemu-")
        self._console = Path(self._directory.name) / "console.txt"
        self._console.touch()
        install = f"install QEMU (Debian: apt install {_PACKAGES[target.family]})"
        program = shutil.which(self._machine.program)
        if program is None:
            raise ToolchainError(
                f"target {target.name} runs in {self._machine.program}, which is missing", hint=install
            )
        semihosting = "enable=on,target=native,chardev=console"
        command = [program, "-M", self._machine.machine, *self._machine.arguments, "-nodefaults", "-display", "none"]
        command += ["-monitor", "none", "-serial", "none", "-chardev", f"file,id=console,path={self._console}"]
        command += ["-semihosting-config", semihosting, "-kernel", str(path), "-S", "-gdb", "stdio"]
        record = Path(self._directory.name) / "record.bin"
        command += ["-icount", f"shift=0,rr=record,rrfile={record}"] if counting else []
        self._gdb = GdbRemote(command, hint=install)

    @property
    def text(self) -> str:
        return self._console.read_text(encoding="latin-1")

    def read(self, address: int, size: int) -> bytes:
        return self._gdb.read_memory(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._gdb.write_memory(address, data)

    def resume(self, stop: int) -> None:
        self._run_to_any([stop])

    def measure(self, model: str) -> RunCost:
        stack_pointer = self._gdb.register(_REGISTERS[self._family][1])
        paint_stack(self, self._image, stack_pointer)
        end = self._image.address("bench_end")
        waiting = self._image.steps(model)
        begin = self._instructions() + _MARK_INSTRUCTIONS
        entered: list[tuple[int, int]] = []
        while (pc := self._run_to_any([*waiting, end])) != end:
            entered.append((waiting.pop(pc), self._instructions()))
        finish = self._instructions()
        ends = [*(at for _, at in entered), finish][1:]
        steps = sorted((step, leave - at) for (step, at), leave in zip(entered, ends, strict=True))
        stack = stack_used(self, self._image, stack_pointer)
        return RunCost(finish - begin, None, stack, tuple(StepCost(step, count, None) for step, count in steps), None)

    def close(self) -> None:
        self._gdb.close()
        self._directory.cleanup()

    def _run_to_any(self, stops: list[int]) -> int:
        try:
            self._gdb.run_to(stops, length=_BREAKPOINT_BYTES[self._family], timeout=self._timeout)
        except ProgramEnded as ended:
            raise VerificationFailed(
                f"the program ended early with status {ended.status}: {self.text.strip()}"
            ) from None
        pc = self._gdb.register(_REGISTERS[self._family][0])
        if pc not in stops:
            raise VerificationFailed(f"the program stopped at {self._image.function_at(pc)}: {self.text.strip()}")
        return pc

    def _instructions(self) -> int:
        """How many instructions have run since the start."""
        text = self._gdb.monitor("info replay")
        found = _REPLAY_COUNT.search(text)
        if found is None:
            raise ToolchainError(f"{self._machine.program} does not tell its instruction count: {text.strip()[:200]}")
        return int(found[1])


def qemu_booter(path: Path, image: Image, target: Target, *, timeout: float = 300.0) -> Callable[[bool], QemuSystem]:
    """A function that boots the program, with counting or without."""
    return lambda counting: QemuSystem(path, image, target, counting=counting, timeout=timeout)

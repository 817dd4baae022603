"""The Unicorn emulator: exact instruction counts and modelled cycles for Cortex-M0 to M33 and RV32."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcugen.errors import ToolchainError, VerificationFailed
from mcugen.run.elf import Image
from mcugen.run.machine import paint_stack, stack_used
from mcugen.run.recorder import Recorder, attach_recorder
from mcugen.run.resources import require
from mcugen.run.results import RunCost
from mcugen.run.trace import BlockTrace, cost_of_trace, stack_reached
from mcugen.targets import Target

_PAGE = 0x1000
_EXCEPTIONS = {
    1: "undefined instruction",
    2: "supervisor call",
    3: "prefetch abort",
    4: "data abort (unaligned or outside memory)",
    17: "floating-point instruction on a core without that FPU",
}
_SEMIHOST_BREAKPOINT = 7
_SYS_WRITE0, _SYS_EXIT, _SYS_EXIT_EXTENDED = 0x04, 0x18, 0x20
_LONGEST_INSTRUCTION = 4
# on Armv7-M and later only plain loads and stores may be unaligned; Unicorn lets all of them pass
_ALWAYS_ALIGNED = ("ldm", "stm", "ldrd", "strd", "push", "pop", "vld", "vst", "vpush", "vpop", "ldrex", "strex")
_EBREAK = (0x00100073).to_bytes(4, "little")


@dataclass(frozen=True)
class _Registers:
    """Unicorn's numbers of the registers that the runner touches."""

    pc: int
    sp: int
    operation: int
    argument: int
    status: int


class UnicornMachine:
    """A program in Unicorn, stopped at its entry; `counting` makes `measure` possible and everything slower."""

    def __init__(self, image: Image, target: Target, *, counting: bool, timeout: float = 120.0) -> None:
        if target.unicorn is None:
            raise ToolchainError(f"target {target.name} has no Unicorn model", hint="use the qemu emulator")
        self._image = image
        self._target = target
        self._timeout = timeout
        self._thumb = target.family == "arm"
        self._unicorn = require("unicorn", purpose="the emulator")
        self._uc, self._registers = _create(target)
        self._exit: int | None = None
        self._fault: str | None = None
        self._semihosted = False
        self._printed = bytearray()
        self._load()
        uc, api = self._uc, self._unicorn
        uc.hook_add(api.UC_HOOK_INTR, self._on_interrupt)
        uc.hook_add(api.UC_HOOK_MEM_INVALID, self._on_bad_access)
        uc.hook_add(api.UC_HOOK_INSN_INVALID, self._on_invalid_instruction)
        self._recorder: Recorder | None = None
        if counting:
            numbers = (self._registers.pc, self._registers.sp, self._registers.status if self._thumb else -1)
            # an Armv6-M model faults by itself on an unaligned access
            accesses = not self._thumb or target.features.unaligned
            self._recorder = attach_recorder(uc, registers=numbers, accesses=accesses)

    @property
    def text(self) -> str:
        return self._printed.decode("latin-1")

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        self._uc.mem_write(address, data)

    def resume(self, stop: int) -> None:
        # a block translated while it was no stop, and chained to from others, would run through
        self._uc.ctl_remove_cache(stop, stop + 4)
        end = time.monotonic() + self._timeout
        pc = self._register(self._registers.pc)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise VerificationFailed(
                    f"the program did not finish within {self._timeout:g} s; it is at {self._image.function_at(pc)}"
                )
            self._semihosted = False
            try:
                self._uc.emu_start(pc | self._thumb, stop, timeout=int(left * 1e6) + 1)
            except self._unicorn.UcError as error:
                # on RISC-V a handled ebreak still ends the emulation with an error
                if not self._semihosted:
                    self._fault = self._fault or str(error)
            pc = self._register(self._registers.pc)
            if self._fault is not None:
                raise VerificationFailed(f"the program crashed at {self._image.function_at(pc)}: {self._fault}")
            if self._exit is not None:
                raise VerificationFailed(f"the program ended early with status {self._exit}: {self.text.strip()}")
            if pc == stop:
                return

    def measure(self, model: str) -> RunCost:
        table = self._target.cycles
        if self._recorder is None or table is None:
            raise ToolchainError(f"target {self._target.name} has no cycle table, or counting was not asked for")
        stack_pointer = self._register(self._registers.sp)
        paint_stack(self, self._image, stack_pointer)
        self._recorder.clear()
        self.resume(self._image.address("bench_end"))
        trace = self._recorder.trace()
        self._check_alignment(trace)
        # an array that is not written leaves the paint, but the stack pointer went below it
        written, reserved = (
            stack_used(self, self._image, stack_pointer),
            stack_reached(trace, self._decode, stack_pointer),
        )
        return cost_of_trace(trace, self._image, model, self._decode, table, stack=max(written, reserved))

    def _check_alignment(self, trace: BlockTrace) -> None:
        """Raises VerificationFailed for an unaligned access that would fault on the core, though it did not here."""
        for address in np.unique(trace.culprits).tolist():
            mnemonic, _ = self._decode(address, None)[0]
            if not self._target.features.unaligned or mnemonic.startswith(_ALWAYS_ALIGNED):
                where = self._image.function_at(address)
                raise VerificationFailed(
                    f"unaligned access by '{mnemonic}' at {where}: it faults on {self._target.cpu}"
                )

    def close(self) -> None:
        self._uc = None
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _load(self) -> None:
        """Maps only what the program may touch, so that most stray accesses fault."""
        image = self._image
        code_end = max(address + len(data) for address, data in image.segments)
        self._map(image.address("__flash_start"), code_end)
        self._map(image.address("__data_start"), image.address("__bss_end"))
        self._map(image.address("__stack_limit"), image.address("__stack_top"))
        for address, data in image.segments:
            self._uc.mem_write(address, data)
        if self._thumb:
            self._map(0xE000E000, 0xE000F000)  # the system control block, as plain memory
            self._uc.reg_write(self._registers.sp, image.address("__stack_top"))
        self._uc.reg_write(self._registers.pc, image.entry | self._thumb)

    def _map(self, start: int, end: int) -> None:
        start, end = start & -_PAGE, -(-end // _PAGE) * _PAGE
        if end > start:
            self._uc.mem_map(start, end - start)

    def _decode(self, address: int, size: int | None) -> list[tuple[str, str]]:
        """The instructions of a block, or with no size the one at an address."""
        capstone = require("capstone", purpose="counting cycles")
        if self._thumb:
            decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        else:
            decoder = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
        code = self.read(address, size or _LONGEST_INSTRUCTION)
        decoded = [(i.size, i.mnemonic, i.op_str) for i in decoder.disasm(code, address, count=0 if size else 1)]
        if size is not None and sum(length for length, _, _ in decoded) != size:
            raise ToolchainError(
                f"capstone cannot decode all of {self._image.function_at(address)}",
                hint="use the qemu emulator, which counts by itself",
            )
        return [(mnemonic, operands) for _, mnemonic, operands in decoded]

    def _register(self, number: int) -> int:
        return int(self._uc.reg_read(number))

    def _on_interrupt(self, _uc: object, number: int, _data: object) -> None:
        if number == _SEMIHOST_BREAKPOINT and self._thumb:
            self._semihost(2)
        else:
            self._fault = _EXCEPTIONS.get(number, f"exception {number}") if self._thumb else f"trap, cause {number}"
            self._uc.emu_stop()

    def _on_invalid_instruction(self, _uc: object, _data: object) -> bool:
        if self._thumb or self.read(self._register(self._registers.pc), 4) != _EBREAK:
            self._fault = "an instruction that this core does not have"
            return False
        self._semihost(4)
        return True

    def _on_bad_access(self, _uc: object, _access: int, address: int, size: int, _value: int, _data: object) -> bool:
        self._fault = f"access to {address:#x} ({size} bytes), outside the program's memory"
        return False

    def _semihost(self, length: int) -> None:
        self._semihosted = True
        operation, argument = self._register(self._registers.operation), self._register(self._registers.argument)
        if operation == _SYS_WRITE0:
            while byte := self.read(argument, 1)[0]:
                self._printed.append(byte)
                argument += 1
        elif operation in (_SYS_EXIT, _SYS_EXIT_EXTENDED):
            status = self.read(argument + 4, 4) if operation == _SYS_EXIT_EXTENDED else bytes(4)
            self._exit = int.from_bytes(status, "little")
            self._uc.emu_stop()
            return
        self._uc.reg_write(self._registers.pc, self._register(self._registers.pc) + length | self._thumb)


def unicorn_booter(image: Image, target: Target, *, timeout: float = 120.0) -> Callable[[bool], UnicornMachine]:
    """A function that boots the program, with counting or without."""
    return lambda counting: UnicornMachine(image, target, counting=counting, timeout=timeout)


def _create(target: Target) -> tuple[Any, _Registers]:
    api = require("unicorn", purpose="the emulator")
    assert target.unicorn is not None
    if target.family == "arm":
        arm = require("unicorn.arm_const", package="unicorn", purpose="the emulator")
        # with UC_MODE_MCLASS Unicorn runs a Cortex-M33 whatever model is set
        uc = api.Uc(api.UC_ARCH_ARM, api.UC_MODE_THUMB)
        uc.ctl_set_cpu_model(getattr(arm, f"UC_CPU_ARM_{target.unicorn.model}"))
        return uc, _Registers(
            arm.UC_ARM_REG_PC, arm.UC_ARM_REG_SP, arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_CPSR
        )
    riscv = require("unicorn.riscv_const", package="unicorn", purpose="the emulator")
    uc = api.Uc(api.UC_ARCH_RISCV, api.UC_MODE_RISCV32)
    return uc, _Registers(
        riscv.UC_RISCV_REG_PC,
        riscv.UC_RISCV_REG_SP,
        riscv.UC_RISCV_REG_A0,
        riscv.UC_RISCV_REG_A1,
        riscv.UC_RISCV_REG_MSTATUS,
    )

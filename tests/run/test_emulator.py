"""Unicorn: right outputs, and counts that equal a hand count, an instruction-by-instruction tally, and QEMU's."""

from __future__ import annotations

import bisect
from functools import partial
from pathlib import Path

import capstone
import numpy as np
import pytest
import unicorn
from run_programs import (
    COMPILERS,
    COUNTED,
    COUNTED_SOURCES,
    IN_UNICORN,
    PAIR,
    PAIR_SOURCES,
    PROGRAMS,
    TINY,
    TINY_SOURCES,
    cross_compiler,
    pair_reference,
    pair_vectors,
)

from mcugen.errors import VerificationFailed
from mcugen.run.baremetal import Program, link_bench
from mcugen.run.bench import run_vectors
from mcugen.run.emulator import UnicornMachine, unicorn_booter
from mcugen.run.interface import Int8Array, ModelInterface
from mcugen.run.results import RunCost, StepCost
from mcugen.targets import Target, load_target

every_core = pytest.mark.parametrize("target", IN_UNICORN, ids=lambda target: target.name)
every_compiler = pytest.mark.parametrize("kind", COMPILERS)


def link(
    target: Target, kind: str, sources: list[Path], interface: ModelInterface, out: Path, *defines: str
) -> Program:
    assert target.unicorn is not None
    compiler = cross_compiler(target, kind)
    return link_bench(
        target,
        compiler,
        sources,
        [PROGRAMS],
        defines,
        interface=interface,
        script=target.unicorn.script,
        out=out / "a.elf",
    )


def run(program: Program, target: Target, interface: ModelInterface, rows: Int8Array, *, counted: int = 1,
        timeout: float = 20.0) -> tuple[Int8Array, list[RunCost]]:  # fmt: skip
    boot = unicorn_booter(program.image, target, timeout=timeout)
    outputs, costs, _ = run_vectors(boot, program.image, interface, rows, counted=counted)
    return outputs, costs


@every_core
@every_compiler
def test_outputs_of_counted_and_plain_runs(target: Target, kind: str, tmp_path: Path) -> None:
    program = link(target, kind, PAIR_SOURCES, PAIR, tmp_path)
    vectors = pair_vectors(6)
    outputs, costs = run(program, target, PAIR, PAIR.pack(vectors), counted=2)
    for got, expected in zip(PAIR.unpack(outputs), pair_reference(vectors), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert len(costs) == 2
    for cost in costs:
        glue = cost.instructions - sum(step.instructions for step in cost.steps)
        assert [step.index for step in cost.steps] == [0, 1] and 0 < glue < 40
        assert cost.operations is not None and cost.operations.multiplies >= 16 * 4 * 36


# cycles of each step, from the instruction tables: straight line, loop with 19 taken branches, return
HAND_COUNTED = {
    "cortex-m0": [(122, 1 + 20 * 8 + 19 * 2 + 3), (4, 4 + 2 + 2 + 6 + 2), (2, 3 + 3)],
    "cortex-m0plus": [(122, 1 + 20 * 8 + 19 + 2), (4, 4 + 2 + 2 + 6 + 1), (2, 2 + 2)],
    "riscv32": [(122, 1 + 20 * 7 + 19 * 2 + 2), (5, 1 + 1 + 5 + 35 + 2), (2, 2 + 2)],
    "Armv7-M": [(122, 1 + 20 * 7 + 19 * 2 + 3), (4, 4 + 2 + 1 + 6 + 2), (10, 3 + 3 + 1 + 1 + 1 + 3 + 1 + 3)],
}


@every_core
@every_compiler
def test_hand_counted_steps(target: Target, kind: str, tmp_path: Path) -> None:
    program = link(target, kind, COUNTED_SOURCES, COUNTED, tmp_path)
    outputs, [cost] = run(program, target, COUNTED, np.zeros((1, 64), np.int8))
    expected = HAND_COUNTED.get(target.name, HAND_COUNTED["Armv7-M"])
    assert cost.steps == tuple(StepCost(i, *step) for i, step in enumerate(expected))
    words = np.frombuffer(outputs.tobytes(), np.int32)
    assert words[0] == 20
    if target.features.unaligned:
        # the stores around the predicated one, which Unicorn's memory hooks disturb
        assert words[2] == 1 and words[3] == 1
        assert cost.operations is not None and cost.operations.unaligned == 1


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m0plus", "riscv32"])
@every_compiler
def test_counts_equal_an_instruction_by_instruction_tally(name: str, kind: str, tmp_path: Path) -> None:
    """On cores without predication a hook on every instruction sees all of them."""
    target = load_target(name)
    program = link(target, kind, PAIR_SOURCES, PAIR, tmp_path)
    row = PAIR.pack(pair_vectors(1, seed=5))
    _, [cost] = run(program, target, PAIR, row)
    addresses = addresses_executed(program, target, row[0])
    assert cost.instructions == len(addresses)
    steps = program.image.steps("pair")
    entries = sorted(program.image.functions)
    run_starts = [start for start, _ in entries]
    tally = {0: 0, 1: 0}
    inside = None
    for address in addresses:
        name_here = entries[bisect.bisect_right(run_starts, address) - 1][1]
        inside = steps.get(address, None if name_here == "pair_run" else inside)
        if inside is not None:
            tally[inside] += 1
    assert [step.instructions for step in cost.steps] == [tally[0], tally[1]]
    assert cost.cycles == cycles_of(program, target, addresses)


def addresses_executed(program: Program, target: Target, row: Int8Array) -> list[int]:
    """The address of every instruction between the marks, by Unicorn's own hook on instructions."""
    image = program.image
    machine = UnicornMachine(image, target, counting=False)
    machine.resume(image.address("bench_wait"))
    machine.write(image.address("bench_input"), row.tobytes())
    machine.resume(image.address("bench_begin"))
    seen: list[int] = []
    machine._uc.hook_add(unicorn.UC_HOOK_CODE, lambda _uc, address, _size, _data: seen.append(address))
    machine._uc.ctl_flush_tb()
    machine.resume(image.address("bench_end"))
    assert image.function_at(seen[0]) == "bench_begin+0x0"
    return seen[2:]


def cycles_of(program: Program, target: Target, addresses: list[int]) -> int:
    """Cycles instruction by instruction, with rules written down apart from mcugen's (whole programs, not blocks)."""
    if target.family == "arm":
        decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    machine = UnicornMachine(program.image, target, counting=False)
    decoded = {}
    for address in set(addresses):
        code = machine.read(address, 4)
        decoded[address] = next(decoder.disasm(code, address))
    rule = partial(cortex_m0_cycles, refill=2 if target.name == "cortex-m0" else 1)
    rule = rule if target.family == "arm" else riscv_cycles
    total = 0
    for index, address in enumerate(addresses):
        instruction = decoded[address]
        following = addresses[index + 1] if index + 1 < len(addresses) else None
        jumped = following is not None and following != address + instruction.size
        before = decoded[addresses[index - 1]] if index else None
        total += rule(instruction, jumped, before)
    return total


def cortex_m0_cycles(
    instruction: capstone.CsInsn, jumped: bool, _before: capstone.CsInsn | None, *, refill: int
) -> int:
    name, operands = instruction.mnemonic.split(".")[0], instruction.op_str
    if name in ("push", "pop", "ldm", "stm"):
        own = 1 + len(operands[operands.index("{") :].split(",")) + (2 if "pc" in operands else 0)
    else:
        own = 2 if name.startswith(("ldr", "str")) else 1
    return own + (refill if jumped else 0)


def riscv_cycles(instruction: capstone.CsInsn, jumped: bool, before: capstone.CsInsn | None) -> int:
    name = instruction.mnemonic.removeprefix("c.")
    own = {"mulh": 5, "mulhu": 5, "mulhsu": 5, "div": 35, "divu": 35, "rem": 35, "remu": 35}.get(name, 1)
    if jumped:
        own += 1 if name in ("j", "jal", "jr", "jalr", "ret") else 2
    # a load's result is used by the next instruction; across a jump the pipeline is refilled anyway
    if (
        before is not None
        and before.address + before.size == instruction.address
        and before.mnemonic.removeprefix("c.")[0] == "l"
    ):
        loads = before.mnemonic.removeprefix("c.") in ("lw", "lb", "lbu", "lh", "lhu", "lwsp")
        target = before.op_str.split(",")[0]
        reads = instruction.op_str.replace("(", ", ").replace(")", "").split(", ")
        writes_only = not (name[0] == "b" or name in ("sw", "sb", "sh", "swsp", "jr", "jalr"))
        if instruction.mnemonic.startswith("c.") and name not in ("lw", "lwsp", "mv", "li", "lui", "addi4spn"):
            writes_only = False
        own += loads and target in (reads[1:] if writes_only else reads)
    return own


@pytest.fixture(scope="module")
def m4() -> Target:
    return load_target("cortex-m4")


ROW = np.zeros((1, 1), np.int8)


def tiny(target: Target, folder: Path, *defines: str, timeout: float = 20.0) -> RunCost:
    program = link(target, "zig", TINY_SOURCES, TINY, folder, *defines)
    _, [cost] = run(program, target, TINY, ROW, timeout=timeout)
    return cost


def test_an_error_code_names_the_sample(m4: Target, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="tiny_run returned -7 on sample 0"):
        tiny(m4, tmp_path, "TINY_RETURNS=-7")


@pytest.mark.parametrize("address", ["0x30000000", "0x20010000"])
def test_a_stray_store_names_function_and_address(m4: Target, tmp_path: Path, address: str) -> None:
    with pytest.raises(VerificationFailed, match=rf"crashed at tiny_run\+0x\w+: access to {address} \(4 bytes\)"):
        tiny(m4, tmp_path, f"TINY_STORES_AT={address}")


def test_an_endless_program_is_stopped(m4: Target, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"did not finish within 0\.5 s; it is at tiny_run"):
        tiny(m4, tmp_path, "TINY_ENDLESS", timeout=0.5)


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m0plus", "riscv32"])
def test_unaligned_access_is_an_error_where_the_core_has_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"unaligned.*tiny_run|crashed at tiny_run.*unaligned"):
        tiny(load_target(name), tmp_path, "TINY_UNALIGNED")


def test_an_unaligned_pair_is_an_error_that_unicorn_itself_lets_pass(m4: Target, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"unaligned access by 'ldrd(\.w)?' at tiny_run\+0x\w+: it faults"):
        tiny(m4, tmp_path, "TINY_UNALIGNED_PAIR")


def test_unaligned_access_costs_a_cycle_each(m4: Target, tmp_path: Path) -> None:
    cost = tiny(m4, tmp_path, "TINY_UNALIGNED")
    assert cost.operations is not None and cost.operations.unaligned == 2


def test_stack_depth(m4: Target, tmp_path: Path) -> None:
    depths = [tiny(m4, tmp_path, f"TINY_DEEP={depth}").stack for depth in (1, 11)]
    assert 10 * 256 <= depths[1] - depths[0] <= 10 * 340
    assert depths[0] >= 512


def test_stack_that_is_reserved_but_not_written_counts(m4: Target, tmp_path: Path) -> None:
    assert 1024 <= tiny(m4, tmp_path, "TINY_RESERVES").stack < 1100


def test_stack_overflow(m4: Target, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"outside the program's memory|the stack of \d+ bytes overflowed"):
        tiny(m4, tmp_path, "TINY_DEEP=2000")


def test_progress_is_told(m4: Target, tmp_path: Path) -> None:
    program = link(m4, "zig", TINY_SOURCES, TINY, tmp_path)
    told: list[tuple[int, int]] = []
    rows = np.arange(5, dtype=np.int8).reshape(5, 1)
    outputs, costs, _ = run_vectors(
        unicorn_booter(program.image, m4), program.image, TINY, rows, counted=9,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    np.testing.assert_array_equal(outputs, rows ^ 0x55)
    assert told == [(i, 5) for i in range(1, 6)] and len(costs) == 5

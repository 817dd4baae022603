"""QEMU: the same outputs and instruction counts as Unicorn, and the core that only QEMU has."""

from __future__ import annotations

import numpy as np
import pytest
from run_programs import (
    COMPILERS,
    COUNTED,
    COUNTED_SOURCES,
    EMULATED,
    PAIR,
    PAIR_SOURCES,
    PROGRAMS,
    TINY,
    TINY_SOURCES,
    cross_compiler,
    pair_reference,
    pair_vectors,
    qemu_missing,
)

from mcugen.errors import ToolchainError, VerificationFailed
from mcugen.run.simulate import Simulation, simulate
from mcugen.targets import Target, load_target

M55 = load_target("cortex-m55")
needs_qemu_arm = pytest.mark.skipif(qemu_missing(M55), reason="qemu-system-arm is not installed")


@pytest.mark.parametrize("target", EMULATED, ids=lambda target: target.name)
@pytest.mark.parametrize("kind", COMPILERS)
def test_qemu_agrees_with_the_reference_and_with_unicorn(target: Target, kind: str) -> None:
    if qemu_missing(target):
        pytest.skip(f"{target.qemu and target.qemu.program} is not installed")
    compiler = cross_compiler(target, kind)
    vectors = pair_vectors(3)

    def on(emulator: str) -> Simulation:
        return simulate(target, compiler, PAIR_SOURCES, [PROGRAMS], interface=PAIR, vectors=vectors,
                        golden=pair_reference(vectors), emulator=emulator)  # fmt: skip

    qemu = on("qemu").result
    assert qemu.cycles is None and qemu.operations is None and len(qemu.steps) == 2
    if target.unicorn is not None:
        exact = on("unicorn").result
        assert qemu.instructions == exact.instructions
        # QEMU shows what was written of the stack, Unicorn also what was reserved
        assert qemu.stack is not None and exact.stack is not None and 0 <= exact.stack - qemu.stack <= 16
        for step, other in zip(qemu.steps, exact.steps, strict=True):
            # QEMU counts a step until the next one is entered, so the few instructions of the caller are in it
            assert step.index == other.index and 0 <= step.instructions - other.instructions < 16


@needs_qemu_arm
@pytest.mark.parametrize("kind", COMPILERS)
def test_hand_counted_steps_on_m55(kind: str) -> None:
    done = simulate(M55, cross_compiler(M55, kind), COUNTED_SOURCES, [PROGRAMS], interface=COUNTED,
                    vectors=[np.zeros((1, 64), np.int8)])  # fmt: skip
    for step, instructions in zip(done.result.steps, (122, 4, 10), strict=True):
        assert 0 <= step.instructions - instructions < 10
    words = np.frombuffer(done.result.outputs[0].tobytes(), np.int32)
    assert (words[0], words[2], words[3]) == (20, 1, 1)


def run_tiny(*defines: str, timeout: float = 20.0) -> Simulation:
    return simulate(M55, cross_compiler(M55, "zig"), TINY_SOURCES, [PROGRAMS], interface=TINY,
                    vectors=[np.zeros((1, 1), np.int8)], defines=defines, timeout=timeout)  # fmt: skip


@needs_qemu_arm
def test_a_fault_is_told() -> None:
    with pytest.raises(VerificationFailed, match="ended early with status 99: fault"):
        run_tiny("TINY_STORES_AT=0x0F000000")


@needs_qemu_arm
def test_an_endless_program_is_stopped() -> None:
    with pytest.raises(VerificationFailed, match=r"did not finish within 0\.5 s"):
        run_tiny("TINY_ENDLESS", timeout=0.5)


@needs_qemu_arm
def test_an_error_code_names_the_sample() -> None:
    with pytest.raises(VerificationFailed, match="tiny_run returned 3 on sample 0"):
        run_tiny("TINY_RETURNS=3")


def test_missing_qemu_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcugen.run.qemu.shutil.which", lambda _name: None)
    with pytest.raises(
        ToolchainError, match=r"runs in qemu-system-arm, which is missing[\s\S]*apt install qemu-system-arm"
    ):
        run_tiny()

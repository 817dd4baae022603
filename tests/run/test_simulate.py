"""simulate(): sizes, kept programs, golden outputs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from run_programs import (
    COMPILERS,
    EMULATED,
    IN_UNICORN,
    PAIR,
    PAIR_ARENA,
    PAIR_CONSTANTS,
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
from mcugen.run.baremetal import link_bench
from mcugen.run.elf import read_image, read_sizes
from mcugen.run.emulator import UnicornMachine
from mcugen.run.results import Sizes
from mcugen.run.simulate import Simulation, simulate
from mcugen.targets import Target, load_target

M4 = load_target("cortex-m4")
every_compiler = pytest.mark.parametrize("kind", COMPILERS)


@pytest.mark.parametrize("target", EMULATED, ids=lambda target: target.name)
@every_compiler
def test_sizes_are_the_models_alone(target: Target, kind: str, tmp_path: Path) -> None:
    machine = target.unicorn or target.qemu
    assert machine is not None
    compiler = cross_compiler(target, kind)

    def sizes(**golden: bytes) -> Sizes:
        program = link_bench(target, compiler, PAIR_SOURCES, [PROGRAMS], interface=PAIR, script=machine.script,
                             out=tmp_path / "a.elf", **golden)  # fmt: skip
        assert {"pair_step_0", "pair_step_1", "pair_run"} <= set(program.image.stack_frames)
        frame = program.image.stack_frames["pair_step_0"]
        assert frame % 4 == 0 and 0 <= frame < 256
        return read_sizes(program.image)

    alone = sizes()
    # a compiler may put numbers of its own, such as vectors to shuffle with, beside the weights
    assert PAIR_CONSTANTS <= alone.weights <= PAIR_CONSTANTS + 192
    assert 150 < alone.code < 2500
    # Armv6-M divides and multiplies 64 bits in the compiler's library
    assert (alone.runtime > 100) == (target.arch == "armv6-m")
    assert (alone.data, alone.bss, alone.arena) == (0, 0, PAIR_ARENA)
    assert alone.flash_total == alone.weights + alone.code + alone.runtime
    if target == M4:
        assert sizes(golden_input=bytes(208), golden_output=bytes(128)) == alone


@every_compiler
def test_global_variables_are_counted(kind: str) -> None:
    done = tiny(M4, kind, "TINY_GLOBALS")
    assert (done.sizes.weights, done.sizes.data, done.sizes.bss) == (12, 12, 28)
    assert done.sizes.flash_total == done.sizes.code + 12 + 12


def tiny(target: Target, kind: str, *defines: str) -> Simulation:
    return simulate(target, cross_compiler(target, kind), TINY_SOURCES, [PROGRAMS], interface=TINY,
                    vectors=[np.zeros((1, 1), np.int8)], defines=defines)  # fmt: skip


@pytest.mark.parametrize("target", IN_UNICORN, ids=lambda target: target.name)
@pytest.mark.parametrize("right", [True, False])
def test_kept_program_checks_itself(target: Target, right: bool, tmp_path: Path) -> None:
    vectors = pair_vectors(1)
    golden = pair_reference(vectors)
    if not right:
        golden[1][0, 3] ^= 1
    kept = tmp_path / "deep" / "kept.elf"
    assert target.unicorn is not None
    link_bench(target, cross_compiler(target, "zig"), PAIR_SOURCES, [PROGRAMS], interface=PAIR,
               script=target.unicorn.script, out=kept, golden_input=PAIR.pack(vectors).tobytes(),
               golden_output=PAIR.pack_outputs(golden).tobytes())  # fmt: skip
    machine = UnicornMachine(read_image(kept), target, counting=False)
    ending = "status 0: *(\\n|$)" if right else "status 1: the outputs differ from the golden ones"
    with pytest.raises(VerificationFailed, match=f"ended early with {ending}"):
        machine.resume(0xFFFFFFF0)


def test_simulate_keeps_the_program(tmp_path: Path) -> None:
    vectors, kept = pair_vectors(2), tmp_path / "kept.elf"
    done = simulate(M4, cross_compiler(M4, "zig"), PAIR_SOURCES, [PROGRAMS], interface=PAIR, vectors=vectors,
                    keep_elf=kept, golden=pair_reference(vectors))  # fmt: skip
    image = read_image(kept)
    assert read_sizes(image) == done.sizes and done.emulator == "unicorn"
    start = image.address("bench_input")
    held = next(data[start - address :] for address, data in data_segments(kept) if 0 <= start - address < len(data))
    assert held[: PAIR.input_bytes] == PAIR.pack(vectors)[0].tobytes()


def data_segments(path: Path) -> list[tuple[int, bytes]]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        return [(s["p_vaddr"], s.data()) for s in ELFFile(stream).iter_segments() if s["p_type"] == "PT_LOAD"]


def test_a_difference_names_sample_output_and_element() -> None:
    vectors = pair_vectors(4)
    golden = pair_reference(vectors)
    expected = int(golden[1][2, 5])
    golden[1][2, 5] ^= 1
    place = f"the first is sample 2, output 'quotients', element 5: {expected}, expected"
    with pytest.raises(VerificationFailed, match=f"1 of 512 output bytes differ; {place}"):
        simulate(
            M4, cross_compiler(M4, "zig"), PAIR_SOURCES, [PROGRAMS], interface=PAIR, vectors=vectors, golden=golden
        )


def test_the_dearest_counted_run_is_reported() -> None:
    rows = [np.array([[0], [1]], np.int8)]
    one, both = (
        simulate(M4, cross_compiler(M4, "zig"), TINY_SOURCES, [PROGRAMS], interface=TINY, vectors=rows, counted=counted)
        for counted in (1, 2)
    )
    assert one.result.instructions == both.result.instructions and one.result.cycles == both.result.cycles
    none = simulate(M4, cross_compiler(M4, "zig"), TINY_SOURCES, [PROGRAMS], interface=TINY, vectors=rows, counted=0)
    assert none.result.instructions is None and none.result.steps == ()
    np.testing.assert_array_equal(none.result.outputs[0], both.result.outputs[0])


def test_what_a_target_is_not_emulated_by() -> None:
    with pytest.raises(ToolchainError, match=r"cortex-m55 is not emulated by unicorn[\s\S]*use qemu"):
        tiny(dataclasses.replace(load_target("m55"), emulator="unicorn"), "zig")
    with pytest.raises(ToolchainError, match=r"host is not emulated by host[\s\S]*verify it on the host"):
        simulate(
            load_target("host"),
            cross_compiler(M4, "zig"),
            TINY_SOURCES,
            interface=TINY,
            vectors=[np.zeros((1, 1), np.int8)],
        )


@pytest.mark.skipif(qemu_missing(load_target("m55")), reason="qemu-system-arm is not installed")
def test_kept_m55_program_runs_alone(tmp_path: Path) -> None:
    import subprocess

    target, kept = load_target("m55"), tmp_path / "kept.elf"
    vectors = pair_vectors(1)
    golden = pair_reference(vectors)
    for right in (True, False):
        golden[0][0, 0] ^= not right
        assert target.qemu is not None
        link_bench(target, cross_compiler(target, "zig"), PAIR_SOURCES, [PROGRAMS], interface=PAIR,
                   script=target.qemu.script, out=kept, golden_input=PAIR.pack(vectors).tobytes(),
                   golden_output=PAIR.pack_outputs(golden).tobytes())  # fmt: skip
        command = [
            target.qemu.program,
            "-M",
            target.qemu.machine,
            "-nodefaults",
            "-display",
            "none",
            "-kernel",
            str(kept),
        ]
        done = subprocess.run([*command, "-semihosting-config", "enable=on,target=native"], timeout=20, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
        assert done.returncode == (0 if right else 1)

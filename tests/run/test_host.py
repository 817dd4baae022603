"""Running models on this computer: outputs, traces, and every way in which C can go wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_programs import (
    PAIR,
    PAIR_ARENA,
    PAIR_SOURCES,
    PROGRAMS,
    TINY,
    TINY_SOURCES,
    pair_reference,
    pair_vectors,
)

from mcugen.errors import VerificationFailed
from mcugen.run.host import HostModel
from mcugen.run.interface import ModelInterface
from mcugen.run.toolchain import find_host_compiler


def pair_model(**options: object) -> HostModel:
    return HostModel(PAIR_SOURCES, [PROGRAMS], interface=PAIR, arena_size=PAIR_ARENA, arena_align=4, **options)  # type: ignore[arg-type]


def tiny_model(*defines: str, **options: object) -> HostModel:
    return HostModel(TINY_SOURCES, [PROGRAMS], interface=TINY, arena_size=8, arena_align=4, defines=defines, **options)  # type: ignore[arg-type]


def run_fails(model: HostModel, message: str) -> None:
    with model, pytest.raises(VerificationFailed, match=message):
        model.run([np.zeros((1, 1), np.int8)])


OPTIONS = {
    "loaded": {},
    "zig": {"compiler": find_host_compiler("zig")},
    "isolated": {"isolated": True},
    "sanitized": {"sanitize": True},
}


@pytest.mark.parametrize("how", OPTIONS)
def test_outputs(how: str) -> None:
    vectors = pair_vectors(50)
    with pair_model(**OPTIONS[how]) as model:
        for _ in range(2):
            for got, expected in zip(model.run(vectors), pair_reference(vectors), strict=True):
                np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("how", OPTIONS)
def test_trace(how: str) -> None:
    sample = pair_vectors(1, seed=9)
    features, quotients = pair_reference(sample)
    with pair_model(trace=True, **OPTIONS[how]) as model:
        for _ in range(2):
            assert model.trace(sample) == [(0, 0, features.tobytes()), (1, 0, quotients.tobytes())]
        np.testing.assert_array_equal(model.run(sample)[1], quotients)


def test_trace_needs_a_tracing_build_and_one_sample() -> None:
    with pair_model() as model, pytest.raises(ValueError, match="trace=True"):
        model.trace(pair_vectors(1))
    with pair_model(trace=True) as model, pytest.raises(ValueError, match="2 samples"):
        model.trace(pair_vectors(2))


def test_two_builds_live_side_by_side() -> None:
    with tiny_model() as first, tiny_model("TINY_RETURNS=0") as second:
        row = [np.array([[5]], np.int8)]
        assert first.run(row)[0][0, 0] == 5 ^ 0x55 and second.run(row)[0][0, 0] == 5


def test_large_batches_are_split() -> None:
    rows = np.arange(-128, 128, dtype=np.int16).astype(np.int8).reshape(-1, 1).repeat(40_000, axis=0)
    told: list[tuple[int, int]] = []
    with tiny_model() as model:
        [outputs] = model.run([rows], progress=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(outputs, rows ^ 0x55)
    assert len(told) > 1 and told[-1] == (len(rows), len(rows))


@pytest.mark.parametrize("options", [{}, {"isolated": True}])
def test_an_error_code_is_told(options: dict[str, bool]) -> None:
    with tiny_model("TINY_RETURNS=-2", **options) as model, pytest.raises(VerificationFailed, match=r"tiny.* -2"):
        model.run([np.zeros((3, 1), np.int8)])


def test_a_write_behind_the_arena_is_found() -> None:
    run_fails(tiny_model("TINY_WRITES_OUTSIDE"), "wrote outside its arena")


def test_sanitizers_name_the_line() -> None:
    with (
        tiny_model("TINY_WRITES_OUTSIDE", sanitize=True) as model,
        pytest.raises(VerificationFailed, match=r"AddressSanitizer[\s\S]*tiny\.c"),
    ):
        model.run([np.zeros((1, 1), np.int8)])
    with (
        tiny_model("TINY_UNALIGNED", sanitize=True) as model,
        pytest.raises(VerificationFailed, match=r"tiny\.c:\d+.*misaligned"),
    ):
        model.run([np.zeros((1, 1), np.int8)])


def test_a_crash_does_not_end_python() -> None:
    with (
        tiny_model("TINY_STORES_AT=16", isolated=True) as model,
        pytest.raises(VerificationFailed, match="was ended by signal 11"),
    ):
        model.run([np.zeros((1, 1), np.int8)])


def test_an_endless_run_is_stopped() -> None:
    with (
        tiny_model("TINY_ENDLESS", isolated=True, timeout=0.5) as model,
        pytest.raises(VerificationFailed, match=r"did not finish in 0\.5 s"),
    ):
        model.run([np.zeros((1, 1), np.int8)])


def test_arena_size_is_checked() -> None:
    with pytest.raises(VerificationFailed, match="struct tiny_arena has 8 bytes, expected 16"):
        HostModel(TINY_SOURCES, [PROGRAMS], interface=TINY, arena_size=16, arena_align=4)


def test_files_are_removed() -> None:
    model = tiny_model()
    folder = Path(model._directory.name)
    assert folder.is_dir()
    model.close()
    assert not folder.exists()


def test_inputs_are_checked() -> None:
    interface = ModelInterface("m", (("a", 2), ("b", 3)), (("c", 1),))
    good = [np.zeros((4, 2), np.int8), np.zeros((4, 3), np.int8)]
    assert interface.pack(good).shape == (4, 5)
    with pytest.raises(ValueError, match="1 input arrays for 2 inputs"):
        interface.pack(good[:1])
    with pytest.raises(ValueError, match=r"input 'b': int8 \(4, 2\), expected int8 \(4, 3\)"):
        interface.pack([good[0], good[0]])
    with pytest.raises(ValueError, match="input 'a': uint8"):
        interface.pack([good[0].astype(np.uint8), good[1]])

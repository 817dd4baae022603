"""The runners themselves: whatever a kernel touches beside its operands is seen, to the byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from riscv import run_on_riscv
from running import Case, run_on_device, run_on_host
from running_m55 import run_on_m55

from mcugen.program import KernelCall

SIZE, SCRATCH, OVER_READ = 13, 8, 2
PARAMS = 16
INPUT, WEIGHTS, STRUCT, OUTPUT, TEMPORARY, WORD = range(6)

Runner = Callable[[list[Case], Path], None]
RUNNERS: dict[str, Runner] = {
    "host": lambda cases, folder: run_on_host(cases, folder, specialized=0),
    "cortex-m4": lambda cases, folder: run_on_device(cases, folder, compiler="zig", specialized=0),
    "cortex-m0": lambda cases, folder: run_on_device(cases, folder, compiler="zig", core="cortex-m0", specialized=0),
    "riscv32": run_on_riscv,
    "cortex-m55": lambda cases, folder: run_on_m55(cases, folder, compiler="zig", specialized=0),
}


def case(operand: int, offset: int) -> Case:
    x = np.arange(-6, SIZE - 6, dtype=np.int8)
    weights = np.arange(SIZE, dtype=np.int8)
    params = {"size": SIZE, "operand": operand, "offset": offset}
    call = KernelCall("stray", ("stray.h",), params, {"weights": weights}, scratch=SCRATCH, over_read={0: OVER_READ})
    return Case(call, (x,), (np.trunc(x / 2) + weights).astype(np.int8))


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> tuple[str, Runner]:
    if request.param == "cortex-m55" and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    return request.param, RUNNERS[request.param]


def test_what_was_declared_may_be_touched(run: tuple[str, Runner], tmp_path: Path) -> None:
    places = [
        (INPUT, 0),
        (INPUT, SIZE + OVER_READ - 1),
        (WEIGHTS, SIZE - 1),
        (STRUCT, PARAMS - 1),
        (TEMPORARY, SCRATCH - 1),
    ]
    run[1]([case(*place) for place in places], tmp_path)


@pytest.mark.parametrize(
    ("operand", "offset"),
    [
        (INPUT, -1), (INPUT, SIZE + OVER_READ), (WEIGHTS, -1), (WEIGHTS, SIZE), (STRUCT, -1), (STRUCT, 2 * PARAMS),
        (OUTPUT, -1), (OUTPUT, SIZE), (TEMPORARY, -1), (TEMPORARY, SCRATCH),
    ],
)  # fmt: skip
def test_one_byte_beside_an_operand_is_seen(operand: int, offset: int, run: tuple[str, Runner], tmp_path: Path) -> None:
    name, runner = run
    # where unaligned accesses fault, buffers end at whole words, and a byte within the last one cannot fault
    word = name in ("cortex-m0", "riscv32") and operand in (INPUT, WEIGHTS) and offset > 0
    offset = -(-offset // 4) * 4 if word else offset
    with pytest.raises(AssertionError, match=r"faults|differs|AddressSanitizer"):
        runner([case(INPUT, 0), case(operand, offset)], tmp_path)


@pytest.mark.parametrize("name", ["host", "cortex-m0", "riscv32"])
def test_an_unaligned_word_is_seen_where_it_faults(name: str, tmp_path: Path) -> None:
    RUNNERS[name]([case(WORD, 4)], tmp_path)
    with pytest.raises(AssertionError, match=r"faults|unaligned|differs|misaligned"):
        RUNNERS[name]([case(WORD, 5)], tmp_path)

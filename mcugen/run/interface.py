"""The C interface of a generated model, as the test programs around it see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcugen.errors import VerificationFailed

Int8Array = npt.NDArray[np.int8]
Port = tuple[str, int]
"""A model input or output: its name (for messages) and its bytes."""


@dataclass(frozen=True)
class ModelInterface:
    """A model's C name and its inputs and outputs; `NAME_input` becomes `NAME_input_0`, ... where there are several.

    `rows`: the number of rows in which the input is pushed; 0 where it lies in the arena as a whole.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    rows: int = 0
    stateful: bool = False
    """Whether a run depends on those before it, from `NAME_reset` on."""

    @property
    def input_bytes(self) -> int:
        return sum(size for _, size in self.inputs)

    @property
    def output_bytes(self) -> int:
        return sum(size for _, size in self.outputs)

    def pack(self, arrays: Sequence[Int8Array]) -> Int8Array:
        """One row of input bytes a sample, from one array [samples, bytes] an input; shape [samples, input bytes]."""
        return _packed(arrays, self.inputs, "input")

    def pack_outputs(self, arrays: Sequence[Int8Array]) -> Int8Array:
        """One row of output bytes a sample; shape [samples, output bytes]."""
        return _packed(arrays, self.outputs, "output")

    def unpack(self, rows: Int8Array) -> list[Int8Array]:
        """One array [samples, bytes] an output, from rows of output bytes."""
        ends = np.cumsum([size for _, size in self.outputs])[:-1]
        return [np.ascontiguousarray(part) for part in np.split(rows, ends, axis=1)]

    def header(self, *, golden_input: bytes | None = None, golden_output: bytes | None = None) -> str:
        """The text of mcugen_bench.h, which tells the test programs this model's functions and sizes."""
        lines = [
            f'#include "{self.name}.h"',
            f"#define BENCH_ARENA struct {self.name}_arena",
            f"#define BENCH_RESET(arena) {f'{self.name}_reset(arena)' if self.stateful else '((void)(arena))'}",
            f"#define BENCH_TRACE {self.name}_trace",
            f"#define BENCH_INPUT_BYTES {self.input_bytes}",
            f"#define BENCH_OUTPUT_BYTES {self.output_bytes}",
            *self._running(),
            f"#define BENCH_OUTPUTS(X) {self._uses('output', self.outputs)}",
            f"#define BENCH_GOLDEN_INPUT {_numbers(golden_input or bytes(1))}",
        ]
        if golden_output is not None:
            lines.append(f"#define BENCH_GOLDEN_OUTPUT {_numbers(golden_output)}")
        return "\n".join(lines) + "\n"

    def _running(self) -> list[str]:
        """How an inference is run: on an input in the arena, or row by row."""
        if not self.rows:
            inputs = self._uses("input", self.inputs)
            return [f"#define BENCH_RUN {self.name}_run", f"#define BENCH_INPUTS(X) {inputs}"]
        calls = [f"#define BENCH_{call.upper()} {self.name}_{call}" for call in ("begin", "input_row", "push_row")]
        return [f"#define BENCH_ROWS {self.rows}", *calls]

    def _uses(self, kind: str, ports: tuple[Port, ...]) -> str:
        suffixes = [""] if len(ports) == 1 else [f"_{index}" for index in range(len(ports))]
        return " ".join(
            f"X({self.name}_{kind}{suffix}, {size})" for suffix, (_, size) in zip(suffixes, ports, strict=True)
        )


def check_outputs(interface: ModelInterface, got: Int8Array, golden: Int8Array, *, where: str) -> None:
    """Raises VerificationFailed for the first byte in which output rows differ from the golden ones."""
    if got.shape != golden.shape:
        raise VerificationFailed(f"{interface.name} on {where}: outputs of shape {got.shape}, expected {golden.shape}")
    wrong = np.argwhere(got != golden)
    if not len(wrong):
        return
    sample, position = (int(v) for v in wrong[0])
    place, offset = "", position
    for name, size in interface.outputs:
        if offset < size:
            place = f"output '{name}', element {offset}"
            break
        offset -= size
    raise VerificationFailed(
        f"{interface.name} on {where}: {len(wrong)} of {got.size} output bytes differ; the first is sample {sample}, "
        f"{place}: {int(got[sample, position])}, expected {int(golden[sample, position])}"
    )


def _packed(arrays: Sequence[Int8Array], ports: tuple[Port, ...], kind: str) -> Int8Array:
    if len(arrays) != len(ports):
        raise ValueError(f"{len(arrays)} {kind} arrays for {len(ports)} {kind}s")
    count = len(arrays[0])
    for array, (name, size) in zip(arrays, ports, strict=True):
        if array.dtype != np.int8 or array.shape != (count, size):
            raise ValueError(f"{kind} '{name}': {array.dtype} {array.shape}, expected int8 ({count}, {size})")
    return np.ascontiguousarray(np.concatenate(arrays, axis=1))


def _numbers(data: bytes) -> str:
    return ",".join(map(str, np.frombuffer(data, np.int8)))

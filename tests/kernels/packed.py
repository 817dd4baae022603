"""Kernel calls as a C program for their functions and a packed list of cases that it runs (see driver.h)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcugen.program import KernelCall

RUNTIME = Path(__file__).parents[2] / "runtime_c"
DRIVER = Path(__file__).parent
SPECIALIZED = 6
"""Every so many-th case is compiled for its layer alone; the others share one copy, which knows no field in advance."""
C_TYPES = {name: f"{name}_t" for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")}
SIGNATURE = "const void *params, const void *const *inputs, void *out, void *scratch"

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Case:
    """A kernel call, what it reads, and the exact bytes that it must write.

    With a `distance`, the output begins that many bytes (rounded up to words) before input `reader` and may overwrite it.
    """

    call: KernelCall
    inputs: tuple[npt.NDArray[np.int8], ...]
    expected: npt.NDArray[np.int8]
    distance: int | None = None
    reader: int = 0


@dataclass
class _Kernel:
    """A function with the fields that some case sets, and for how many inputs it is called."""

    call: KernelCall
    inputs: int
    values: dict[str, None] = field(default_factory=dict)
    constants: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Packed:
    """A C text that defines `kernels`, and the cases as driver.h reads them."""

    code: str
    cases: bytes


def pack(cases: Sequence[Case], *, specialized: int = SPECIALIZED, beside: Sequence[Case] = ()) -> Packed:
    """The program of these cases and of the kernels of others; with `specialized` 0 its text depends on kernels alone."""
    alone = [i for i in range(len(cases)) if specialized and i % specialized == 0]
    kernels: dict[str, _Kernel] = {}
    for case in (*cases, *beside):
        kernel = kernels.setdefault(case.call.function, _Kernel(case.call, len(case.inputs)))
        kernel.values.update(dict.fromkeys(case.call.params))
        kernel.constants.update(dict.fromkeys(case.call.constants))
    names = sorted(kernels)
    rows = [f"{{sizeof(struct {kernels[n].call.struct}), set_{n}, call_{n}}}," for n in names]
    rows += [f"{{0, 0, alone_{i}}}," for i in alone]
    table = "const struct kernel kernels[] = {\n" + "\n".join(rows) + "\n};\n"
    headers = sorted({header for kernel in kernels.values() for header in kernel.call.headers})
    includes = [f'#include "{header}"' for header in (*headers, "driver.h")]
    texts = [_shared_copy(kernels[n]) for n in names] + [_own_copy(i, cases[i]) for i in alone]
    places = {i: len(names) + number for number, i in enumerate(alone)}
    data = [_pack_case(case, kernels[case.call.function], names, places.get(i)) for i, case in enumerate(cases)]
    return Packed("\n".join([*includes, *texts, table]), b"".join([*data, bytes(4)]))


def _shared_copy(kernel: _Kernel) -> str:
    name, kind = kernel.call.function, f"struct {kernel.call.struct}"
    lines = [f"    p->{v} = (__typeof__(p->{v}))values[{i}];" for i, v in enumerate(sorted(kernel.values))]
    lines += [f"    p->{c} = constants[{i}];" for i, c in enumerate(sorted(kernel.constants))]
    unused = "(void)p;\n    (void)values;\n    (void)constants;"
    return f"""static void set_{name}(void *params, const int32_t *values, const void *const *constants)
{{
    {kind} *p = params;
    {unused}
{chr(10).join(lines)}
}}
__attribute__((noinline)) static void call_{name}({SIGNATURE})
{{
    {name}({_arguments("params", kernel.inputs)});
}}"""


def _own_copy(index: int, case: Case) -> str:
    call, name = case.call, f"c{index}_"
    arrays = [
        f"static const {C_TYPES[str(array.dtype)]} {name}{constant}[{array.size}] = {_numbers(array)};"
        for constant, array in call.constants.items()
    ]
    fields = [f".{key} = {value}" for key, value in call.params.items()]
    fields += [f".{key} = {name}{key}" for key in call.constants]
    return "\n".join([
        *arrays,
        f"static const struct {call.struct} p{index} = {{{', '.join(fields)}}};",
        f"__attribute__((noinline)) static void alone_{index}({SIGNATURE})",
        f"{{\n    (void)params;\n    {call.function}({_arguments(f'&p{index}', len(case.inputs))});\n}}",
    ])  # fmt: skip


def _arguments(params: str, inputs: int) -> str:
    return ", ".join([params, *(f"inputs[{i}]" for i in range(inputs)), "out", "scratch"])


def _numbers(array: Array) -> str:
    suffix = "u" if array.dtype.kind == "u" else ""
    texts = [f"{v}{suffix}" if v != -(2**31) else "(-2147483647 - 1)" for v in array.reshape(-1).tolist()]
    return "{" + ",".join(texts) + "}"


def _pack_case(case: Case, kernel: _Kernel, names: Sequence[str], alone: int | None) -> bytes:
    call, size = case.call, case.expected.nbytes
    out, arena, reader, first = 0, size, -1, 0
    if case.distance is not None:
        reader = case.reader
        first = (max(case.distance, 0) + 3) // 4 * 4
        out = first - (case.distance + 3) // 4 * 4
        arena = max(first + case.inputs[reader].nbytes + call.over_read.get(reader, 0), out + size)
    values: list[int] = []
    constants: list[bytes] = []
    if alone is None:
        values = [(call.params.get(name, 0) + (1 << 31)) % (1 << 32) - (1 << 31) for name in sorted(kernel.values)]
        constants = [_array(call.constants[name], 0) if name in call.constants else _array(None, 0)
                     for name in sorted(kernel.constants)]  # fmt: skip
    inputs = [_array(x, call.over_read.get(number, 0)) for number, x in enumerate(case.inputs)]
    body = struct.pack(f"<{len(values)}i", *values) + b"".join([*constants, *inputs, _padded(case.expected)])
    index = names.index(call.function) if alone is None else alone
    head = [index, len(values), len(constants), len(inputs), call.scratch, size, reader, first, out, arena]
    return struct.pack("<11i", 11 + len(body) // 4, *head) + body


def _array(array: Array | None, over_read: int) -> bytes:
    """An array with the bytes that may be read behind it; None is a null pointer."""
    if array is None:
        return struct.pack("<ii", -1, 0)
    return struct.pack("<ii", array.nbytes, over_read) + _padded(array)


def _padded(array: Array) -> bytes:
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    return data + bytes(-len(data) % 4)

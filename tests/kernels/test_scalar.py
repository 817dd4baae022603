"""The kernels for cores without packed arithmetic against the reference, on the host and on emulated cores."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from reference import random_layer
from riscv import run_on_riscv
from running import RUNTIME, SANITIZERS, WARNINGS, Case, device_compilers, run_on_device, run_on_host
from variants import extreme_layers, variant_cases

from mcugen.kernels import conv2d_scalar, fully_connected_scalar
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_scalar import pack_stream

SHAPES = [
    # height, width, kernel, stride, dilation, padding (top, left, bottom, right)
    (4, 3, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    (5, 6, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (6, 5, (3, 3), (2, 2), (1, 1), (0, 0, 1, 1)),
    (7, 4, (5, 2), (2, 1), (1, 1), (2, 0, 2, 1)),
    (1, 9, (1, 5), (1, 1), (1, 1), (0, 2, 0, 2)),
    (5, 5, (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
    (6, 7, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    (6, 7, (2, 3), (1, 1), (3, 1), (1, 1, 1, 1)),
    (4, 4, (2, 2), (3, 3), (1, 1), (4, 4, 4, 4)),
]


def layers(rng: np.random.Generator, in_channels: tuple[int, ...]) -> Iterator[ConvLayer]:
    for index, (height, width, kernel, stride, dilation, padding) in enumerate(SHAPES):
        for in_c in in_channels:
            yield random_layer(
                rng,
                size=(height, width),
                channels=(in_c, 1 + (index + in_c) % 4),
                kernel=kernel,
                stride=stride,
                dilation=dilation,
                padding=padding,
            )


def in_range(found: Iterable[ConvLayer]) -> list[ConvLayer]:
    """The layers whose integers the kernels take."""
    kept = [layer for layer in found if pack_stream(layer, 1) is not None]
    assert len(kept) >= 8
    return kept


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(4)
    listed = variant_cases(conv2d_scalar, layers(rng, (1, 3, 4, 8, 13, 20)), rng, target="cortex-m0")
    shape = {"size": (4, 3), "channels": (4, 5), "kernel": (3, 3), "padding": (1, 1, 1, 1)}
    return listed + variant_cases(conv2d_scalar, in_range(extreme_layers(rng, **shape)), rng, target="cortex-m0")


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(5)
    made = (random_layer(rng, channels=(k, n)) for k in (1, 3, 4, 5, 8, 12, 15, 16, 33, 64) for n in (1, 2, 3, 4))
    listed = variant_cases(fully_connected_scalar, made, rng, target="cortex-m0")
    extreme = in_range(extreme_layers(rng, channels=(37, 5)))
    return listed + variant_cases(fully_connected_scalar, extreme, rng, target="cortex-m0")


MAKERS = pytest.mark.parametrize("make", [convolution_cases, fully_connected_cases])


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
def test_c_twin_on_riscv_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_riscv(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3"])
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, core: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler, core=core)


HALVES = """#include <stdio.h>
#include "simd.h"
#define N %d
static const int32_t a[N] = {%s}, b[N] = {%s}, expected[N] = {%s};
int main(void)
{
    for (int i = 0; i < N; ++i) {
        if (mcugen_smmlar_halves(a[i], b[i], -5) != expected[i]) { printf("%%d differs\\n", i); return 1; }
    }
    return 0;
}
"""


def test_product_of_halves_is_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    ends = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x10000, 0x10001, 0x7FFF8000, 0x7FFFFFFE, 0x7FFFFFFF]
    signed = [*ends, *(-e for e in ends), -(2**31) + 1]
    pairs = [(a, b) for a in signed for b in signed]
    pairs += [(int(a), int(b)) for a, b in rng.integers(-(2**31) + 1, 2**31, (20000, 2))]
    columns = [[a for a, _ in pairs], [b for _, b in pairs], [((a * b + 2**31) >> 32) - 5 for a, b in pairs]]
    code = HALVES % (len(pairs), *(",".join(map(str, column)) for column in columns))
    (tmp_path / "halves.c").write_text(code)
    options = ["-std=gnu99", *WARNINGS, *SANITIZERS, f"-I{RUNTIME}", str(tmp_path / "halves.c")]
    subprocess.run(["gcc", *options, "-o", str(tmp_path / "halves")], check=True)
    subprocess.run([str(tmp_path / "halves")], check=True)

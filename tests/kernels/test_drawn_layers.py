"""Layers drawn by Hypothesis through every kernel variant of every kind of core, on the host and on the emulated core.

One compiled program runs all layers of an example, so that most of the time goes into running them.  `make fuzz` draws more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from depthwise import depthwise_reference
from drawing import DRAWN, batches, elementwise, layers
from elementwise import variant_cases
from hypothesis import given
from reference import conv_reference, random_input
from running import Case, device_compilers, run_on_device, run_on_host
from running_m55 import QEMU, run_on_m55

from mcugen.kernels import variants
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

KINDS = ("conv2d", "pointwise", "depthwise_conv2d", "depthwise 3x3", "fully_connected")
CORES = ("cortex-m4", "cortex-m0", "cortex-m55")
COMPILERS = device_compilers()
LEAST_CALLS = 30


def cases(kind: str, core: str, drawn: Sequence[ConvLayer]) -> Iterator[Case]:
    """Every variant of each layer, alone and over its input where it may."""
    rng = np.random.default_rng(1)
    op = {"pointwise": "conv2d", "depthwise 3x3": "depthwise_conv2d"}.get(kind, kind)
    for layer in drawn:
        x = random_input(rng, layer)
        expected = depthwise_reference(layer, x) if op == "depthwise_conv2d" else conv_reference(layer, x)
        for call in variants(op, layer, load_target(core)):
            if call.inline:
                case = Case(call, (x,), expected)
                yield case
                distance = 0 if call.in_place == 0 else call.overlap.get(0)
                if distance is not None:
                    yield dataclasses.replace(case, distance=distance)


def try_drawn(core: str, listed: list[Case], folder: Path) -> None:
    """On the host, and on the core with one of the compilers found here."""
    if not listed:
        return
    run_on_host(listed, folder, specialized=0)
    compiler = COMPILERS[len(listed) % len(COMPILERS)]
    if core != "cortex-m55":
        run_on_device(listed, folder, compiler=compiler, core=core, specialized=0)
    elif QEMU is not None:
        run_on_m55(listed, folder, compiler=compiler, specialized=0)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_layers(kind: str, core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    calls = 0

    @DRAWN
    @given(drawn=batches(layers(kind)))
    def run(drawn: list[ConvLayer]) -> None:
        nonlocal calls
        listed = list(cases(kind, core, drawn))
        calls += len(listed)
        try_drawn(core, listed, folder)

    run()
    assert calls >= LEAST_CALLS


@pytest.mark.parametrize(
    ("op", "core"),
    [
        ("add", "cortex-m4"), ("mul", "cortex-m4"), ("max_pool2d", "cortex-m4"), ("average_pool2d", "cortex-m4"),
        ("add", "cortex-m55"), ("average_pool2d", "cortex-m55"),
    ],
)  # fmt: skip
def test_drawn_elementwise_operators(op: str, core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    calls = 0

    @DRAWN
    @given(drawn=batches(elementwise(op)))
    def run(drawn: list[Case]) -> None:
        nonlocal calls
        listed = list(variant_cases(iter(drawn), core))
        calls += len(listed)
        try_drawn(core, listed, folder)

    run()
    assert calls >= LEAST_CALLS

"""Layers drawn by Hypothesis through every kernel variant of every kind of core, on the host and on the emulated core.

One compiled program runs all layers of an example, and all examples of a test, which are drawn once before to know the kernels
that they need.  `make fuzz` draws more, and others each time, so that a program may lack a kernel and another is compiled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import int16
import numpy as np
import pytest
from depthwise import depthwise_reference
from drawing import DRAWN, batches, elementwise, layers
from elementwise import variant_cases
from hypothesis import given
from hypothesis import strategies as st
from reference import Int8, conv_reference, random_input
from running import Case, device_compilers, run_on_device, run_on_host
from running_m55 import QEMU, run_on_m55
from test_codes_dsp import FOUR_BITS, in_format

from mcugen.kernels import variants
from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target

T = TypeVar("T")

KINDS = ("conv2d", "pointwise", "depthwise_conv2d", "depthwise 3x3", "fully_connected")
CORES = ("cortex-m4", "cortex-m0", "cortex-m55")
COMPILERS = device_compilers()
LEAST_CALLS = 30


def cases(kind: str, core: str, drawn: Sequence[ConvLayer]) -> Iterator[Case]:
    """Every variant of each layer, alone and over its input where it may."""
    rng = np.random.default_rng(1)
    op = operator_of(kind)
    target = load_target(core)
    for layer in drawn:
        x = random_input(rng, layer)
        expected = depthwise_reference(layer, x) if op == "depthwise_conv2d" else conv_reference(layer, x)
        for call in variants(op, layer, target):
            if call.inline:
                case = Case(call, (x,), expected)
                yield case
                distance = 0 if call.in_place == 0 else call.overlap.get(0)
                if distance is not None:
                    yield dataclasses.replace(case, distance=distance)


def operator_of(kind: str) -> str:
    return {"pointwise": "conv2d", "depthwise 3x3": "depthwise_conv2d"}.get(kind, kind)


def wide_cases(core: str, drawn: Sequence[tuple[str, ConvLayer]]) -> Iterator[Case]:
    """Every variant of each layer with int16 on one side or both, alone and over its input where it may."""
    rng = np.random.default_rng(1)
    for number, (kind, plain) in enumerate(drawn):
        types = int16.TYPES[number % len(int16.TYPES)]
        lowest = int(np.iinfo(types[1]).min)
        layer = int16.widened(rng, plain, *types, act_min=(lowest, 0, -100)[number // 3 % 3])
        if layer.out_c % layer.groups or (layer.groups > 1 and layer.out_c != layer.in_c):
            continue
        x = int16.random_integers(rng, (layer.in_h, layer.in_w, layer.in_c), layer.in_dtype)
        if layer.max_accumulator < 1 << 31:
            yield from over_input(
                operator_of(kind) + "_s16", core, layer, int16.raw(x), int16.raw(int16.expected(layer, x))
            )


def packed_cases(core: str, drawn: Sequence[tuple[str, ConvLayer]]) -> Iterator[Case]:
    """Every variant of each layer with weights of 4 bits, alone and over its input where it may."""
    rng = np.random.default_rng(1)
    for number, (kind, plain) in enumerate(drawn):
        layer = in_format(rng, plain, FOUR_BITS[number % len(FOUR_BITS)])
        if number % 3 and layer.weight_format == "codebook":
            weights = np.where(layer.weights == -127, 0, layer.weights)
            layer = dataclasses.replace(layer, weights=weights.astype(np.int8))
        x = random_input(rng, layer)
        if layer.max_accumulator << int(layer.shift.max()) < 1 << 31:
            yield from over_input("packed_" + operator_of(kind), core, layer, x, conv_reference(layer, x))


def wide_packed_cases(core: str, drawn: Sequence[tuple[str, ConvLayer]]) -> Iterator[Case]:
    """Every variant of each layer with weights of 4 bits and int16 on one side or both, alone and over its input where it may."""
    rng = np.random.default_rng(1)
    for number, (kind, plain) in enumerate(drawn):
        types = int16.TYPES[number % len(int16.TYPES)]
        lowest = int(np.iinfo(types[1]).min)
        packed = in_format(rng, plain, FOUR_BITS[number % len(FOUR_BITS)])
        layer = int16.widened(rng, packed, *types, act_min=(lowest, 0, -100)[number // 3 % 3])
        x = int16.random_integers(rng, (layer.in_h, layer.in_w, layer.in_c), layer.in_dtype)
        if layer.max_accumulator << int(layer.shift.max()) < 1 << 31:
            op = f"packed_{operator_of(kind)}_s16"
            yield from over_input(op, core, layer, int16.raw(x), int16.raw(int16.expected(layer, x)))


def over_input(op: str, core: str, layer: ConvLayer, x: Int8, expected: Int8) -> Iterator[Case]:
    for call in variants(op, layer, load_target(core)):
        if call.inline:
            case = Case(call, (x,), expected)
            yield case
            if 0 in call.overlap:
                yield dataclasses.replace(case, distance=call.overlap[0])


def try_drawn(core: str, listed: list[Case], folder: Path, beside: list[Case]) -> None:
    """On the host, and on the core with one of the compilers found here."""
    if not listed:
        return
    run_on_host(listed, folder, specialized=0, beside=beside)
    compiler = COMPILERS[len(listed) % len(COMPILERS)]
    if core != "cortex-m55":
        run_on_device(listed, folder, compiler=compiler, core=core, specialized=0, beside=beside)
    elif QEMU is not None:
        run_on_m55(listed, folder, compiler=compiler, specialized=0, beside=beside)


def try_all(core: str, folder: Path, batch: st.SearchStrategy[T], of: Callable[[list[T]], Iterable[Case]]) -> None:
    """Draw every batch to know the kernels, then draw the same again to run them."""
    known: dict[tuple[str, ...], Case] = {}
    calls = 0
    looks = True

    @DRAWN
    @given(drawn=batch)
    def run(drawn: list[T]) -> None:
        nonlocal calls
        listed = list(of(drawn))
        if looks:
            known.update(((case.call.function, *case.call.params, *case.call.constants), case) for case in listed)
            return
        calls += len(listed)
        try_drawn(core, listed, folder, list(known.values()))

    run()
    looks = False
    run()
    assert calls >= LEAST_CALLS


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_layers(kind: str, core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    try_all(core, folder, batches(layers(kind)), lambda drawn: cases(kind, core, drawn))


@pytest.mark.parametrize(
    ("of", "core"), [(wide_cases, "cortex-m55"), (packed_cases, "cortex-m55"), (wide_packed_cases, "cortex-m4")]
)
def test_drawn_layers_of_int16_and_of_4_bits(
    of: Callable[[str, Sequence[tuple[str, ConvLayer]]], Iterator[Case]],
    core: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    kinds = KINDS if of is wide_cases else tuple(kind for kind in KINDS if not kind.startswith("depthwise"))
    named = st.sampled_from(kinds).flatmap(lambda kind: st.tuples(st.just(kind), layers(kind)))
    folder = tmp_path_factory.mktemp("drawn")
    try_all(core, folder, batches(named), lambda drawn: of(core, drawn))


@pytest.mark.parametrize(
    ("op", "core"),
    [
        ("add", "cortex-m4"), ("mul", "cortex-m4"), ("max_pool2d", "cortex-m4"), ("average_pool2d", "cortex-m4"),
        ("add", "cortex-m55"), ("average_pool2d", "cortex-m55"),
    ],
)  # fmt: skip
def test_drawn_elementwise_operators(op: str, core: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    try_all(core, folder, batches(elementwise(op)), lambda drawn: variant_cases(iter(drawn), core))

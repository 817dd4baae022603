"""Cases for one kernel variant: layers at the ends of the arithmetic, every candidate, alone and over its own input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from reference import Int8, conv_reference, random_input, random_layer
from running import Case

from mcugen.kernels.layer import ConvLayer
from mcugen.targets import load_target


def extreme_layers(rng: np.random.Generator, **shape: Any) -> Iterator[ConvLayer]:
    """Zero points and multipliers at their ends, outputs that saturate, constant channels, explicit bounds."""
    for zero_point in (-128, 127):
        yield random_layer(rng, **shape, out_zero_point=zero_point, in_zero_point=zero_point)
    layer = random_layer(rng, **shape)
    channels = layer.out_c
    for multiplier, shift in ((0, 0), (256, 0), (2**31 - 256, 0), (2**30, 3), (2**31 - 256, 8)):
        yield dataclasses.replace(
            layer, multiplier=np.full(channels, multiplier, np.int32), shift=np.full(channels, shift, np.uint8)
        )
    dead = layer.weights.copy()
    dead[::2] = 0
    yield dataclasses.replace(layer, weights=dead)
    fine = layer.multiplier.copy()
    fine[::2] = 12345
    yield dataclasses.replace(layer, weights=dead, multiplier=fine)
    yield dataclasses.replace(layer, act_min=-17, act_max=40)
    limit = 2**23 - 1 - 128 * np.abs(layer.weights.astype(np.int64)).reshape(channels, -1).sum(axis=1)
    scale = np.full(channels, 2**17, np.int32)
    for sign in (-1, 1):
        yield dataclasses.replace(layer, bias=(sign * limit).astype(np.int32), multiplier=scale)
    yield dataclasses.replace(layer, weights=np.full_like(layer.weights, -127))


def variant_cases(
    kernel: ModuleType,
    layers: Iterable[ConvLayer],
    rng: np.random.Generator,
    target: str = "cortex-m4",
    reference: Callable[[ConvLayer, Int8], Int8] = conv_reference,
) -> list[Case]:
    """A case for every candidate of every layer, and where one may write over its input, a second that does."""
    core = load_target(target)
    listed = []
    for layer in layers:
        x = random_input(rng, layer)
        calls = [call for call in kernel.candidates(layer, core) if call.inline]
        assert calls, layer
        for call in calls:
            case = Case(call=call, inputs=(x,), expected=reference(layer, x))
            listed.append(case)
            if 0 in call.overlap:
                listed.append(dataclasses.replace(case, distance=call.overlap[0]))
    return listed

"""Hypothesis strategies for layers: shapes that do not divide a kernel's blocking, and integers at the ends of their ranges."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, TypeVar

import numpy as np
from depthwise import depthwise_layer
from elementwise import add_case, average_pool_case, max_pool_case, mul_case, pool_window
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from packed import Case
from reference import random_layer

from mcugen.kernels.layer import ConvLayer

T = TypeVar("T")

FUZZ = int(os.environ.get("MCUGEN_FUZZ", "0"))
"""How many examples `make fuzz` asks of each test; without it, a few that are always the same."""
DRAWN = settings(
    max_examples=FUZZ or 4, deadline=None, derandomize=not FUZZ, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)  # fmt: skip
MOST_IN_A_BATCH = 60
LARGEST_BLOCK = 16
"""Channels, products and pixels that some kernel takes at once, at the most."""

WEIGHTS = ("any", "any", "any", "-128", "-127", "127", "dead channels")
BIASES = ("any", "any", "any", "high", "low")
MULTIPLIERS = ("any", "any", "any", "odd", "none", "greatest", "shifted")


@st.composite
def batches(draw: st.DrawFn, one: st.SearchStrategy[T]) -> list[T]:
    """Many of a thing at once, so that one run of a program tries them all; a failure shrinks to a single one."""
    count = draw(st.integers(1, MOST_IN_A_BATCH))
    return [draw(one) for _ in range(count)]


@st.composite
def layers(draw: st.DrawFn, op: str) -> ConvLayer:
    """A layer of one kind: "conv2d", "pointwise", "depthwise_conv2d", "depthwise 3x3" or "fully_connected"."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ends = st.one_of(st.integers(-128, 127), st.sampled_from([-128, 127]))
    changes: dict[str, Any] = {"in_zero_point": draw(ends), "out_zero_point": draw(ends)}
    if draw(st.booleans()):
        low = draw(st.integers(-128, 126))
        changes |= {"act_min": low, "act_max": draw(st.integers(low + 1, 127))}
    in_c, out_c = draw(st.integers(1, 2 * LARGEST_BLOCK + 1)), draw(st.integers(1, 13))
    shape = {} if op == "fully_connected" else draw(windows(op))
    if op.startswith("depthwise"):
        multiplier = draw(st.sampled_from([1, 1, 1, 2, 3]))
        layer = depthwise_layer(rng, channels=min(in_c, 18), channel_multiplier=multiplier, **shape, **changes)
    else:
        layer = random_layer(rng, channels=(in_c, out_c), **shape, **changes)
    weights = _weights(layer, draw(st.sampled_from(WEIGHTS)))
    layer = dataclasses.replace(layer, weights=weights)
    layer = _biased(layer, draw(st.sampled_from(BIASES)), draw(st.sampled_from([16, 23, 29, 31])))
    return _scaled(layer, draw(st.sampled_from(MULTIPLIERS)), rng)


@st.composite
def windows(draw: st.DrawFn, op: str) -> dict[str, Any]:
    """Sizes, kernels, strides, dilations and padding of `random_layer`, in which the window fits the padded image."""
    if op == "pointwise":
        return {"size": (draw(st.integers(1, 3)), draw(st.integers(1, 9)))}
    small = op == "depthwise 3x3"
    kernel = (3, 3) if small else draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.sampled_from([(1, 1), (2, 2)] if small else [(1, 1), (1, 1), (2, 2), (1, 2), (2, 1), (3, 2)]))
    dilation = (1, 1) if small else draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3), (2, 2)]))
    most = 1 if small else 4
    padding = tuple(draw(st.integers(0, most)) for _ in range(4))
    size = []
    for axis in (0, 1):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        least = max(1, span - padding[axis] - padding[axis + 2])
        size.append(draw(st.integers(least, least + 9)))
    return {"size": tuple(size), "kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding}


def _weights(layer: ConvLayer, kind: str) -> np.ndarray:
    if kind == "dead channels":
        weights = layer.weights.copy()
        weights[::2] = 0
        return weights
    return layer.weights if kind == "any" else np.full_like(layer.weights, int(kind))


def _biased(layer: ConvLayer, kind: str, bits: int) -> ConvLayer:
    """With a bias that takes the accumulator to the end of `bits` bits, where the weights leave room for one."""
    reach = 128 * np.abs(layer.weights.astype(np.int64)).reshape(layer.out_c, -1).sum(axis=1)
    limit = 2**bits - 1 - reach
    if kind == "any" or limit.min() < 0:
        return layer
    return dataclasses.replace(layer, bias=(limit if kind == "high" else -limit).astype(np.int32))


def _scaled(layer: ConvLayer, kind: str, rng: np.random.Generator) -> ConvLayer:
    """With other multipliers and shifts, as large as the accumulator allows."""
    room = max(0, 30 - layer.max_accumulator.bit_length())
    multiplier = layer.multiplier
    shift = layer.shift * 0
    if kind == "any":
        shift = np.minimum(layer.shift, room).astype(np.uint8)
    elif kind == "odd":
        multiplier = multiplier | 1
    elif kind == "shifted":
        shift = rng.integers(0, min(room, 9) + 1, layer.out_c).astype(np.uint8)
    else:
        multiplier = np.full_like(multiplier, 0 if kind == "none" else 2**31 - 256)
    return dataclasses.replace(layer, multiplier=multiplier, shift=shift)


@st.composite
def elementwise(draw: st.DrawFn, op: str) -> Case:
    """A sum, a product or a pool, by its portable kernel."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if op in ("add", "mul"):
        size = draw(st.integers(1, 4 * LARGEST_BLOCK + 1))
        low = draw(st.sampled_from([-128, -128, -17, 0, 126]))
        bounds = (low, draw(st.sampled_from([127, 127, max(low + 1, 90)])))
        if op == "mul":
            points = draw(st.tuples(*[st.one_of(st.integers(-128, 127), st.sampled_from([-128, 127]))] * 3))
            shift = draw(st.integers(0, 14))
            return mul_case(rng, size, (draw(st.sampled_from([0, 12345, 2**30, 2**31 - 1])), shift), points, *bounds)
        weight = st.one_of(st.integers(-32768, 32767), st.sampled_from([-32768, 32767]))
        weights = (draw(weight), draw(weight), draw(st.integers(-(2**30), 2**30)))
        return add_case(rng, size, weights, draw(st.integers(0, 22)), *bounds)
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    size = draw(st.tuples(st.integers(kernel[0], 12), st.integers(kernel[1], 12)))
    pads = draw(st.tuples(st.integers(0, kernel[0] - 1), st.integers(0, kernel[1] - 1)))
    stride, channels = draw(st.integers(1, 3)), draw(st.integers(1, 2 * LARGEST_BLOCK + 1))
    dilation = draw(st.sampled_from([1, 1, 2]))
    window = pool_window(size, kernel, stride, pads, dilation, channels)
    window = window or pool_window(size, kernel, stride, (0, 0), 1, channels)
    assert window is not None
    return (
        average_pool_case(rng, window)
        if op == "average_pool2d"
        else max_pool_case(rng, window, draw(st.sampled_from([0, -1])))
    )

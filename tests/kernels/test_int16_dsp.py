"""The DSP kernels that read or write int16 against the reference, on the host and on the core, also over their own inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import int16
import numpy as np
import pytest
from reference import random_layer
from running import Case, device_compilers, run_on_device, run_on_host

from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.kernels import (
    add_s16_dsp,
    conv2d_s16_dsp,
    conv2d_winograd_s16,
    depthwise_conv2d_s16_dsp,
    fully_connected_s16_dsp,
)
from mcugen.kernels.add_dsp import FIELDS
from mcugen.ops.average_pool2d import AveragePool2d
from mcugen.ops.max_pool2d import MaxPool2d
from mcugen.ops.operator import QuantContext
from mcugen.ops.pool import PoolOperator, pooled_size
from mcugen.program import KernelCall
from mcugen.targets import load_target

CONVOLUTIONS = [
    # height, width, channels (in, out), kernel, stride, dilation, padding (top, left, bottom, right)
    (3, 5, (8, 7), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    (3, 4, (6, 2), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    (5, 6, (4, 5), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (6, 5, (3, 3), (3, 3), (2, 2), (1, 1), (0, 0, 1, 1)),
    (7, 4, (1, 4), (5, 2), (2, 1), (1, 1), (2, 0, 2, 1)),
    (1, 9, (12, 6), (1, 5), (1, 1), (1, 1), (0, 2, 0, 2)),
    (6, 7, (4, 3), (3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    (3, 3, (5, 8), (5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    (1, 1, (40, 11), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
]
DEPTHWISE = [
    # height, width, channels, kernel, stride, dilation, padding
    (5, 6, 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (4, 5, 6, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (5, 4, 2, (3, 3), (1, 1), (1, 1), (0, 0, 0, 0)),
    (7, 7, 4, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    (6, 8, 4, (3, 3), (2, 2), (1, 1), (0, 0, 1, 1)),
    (5, 9, 2, (3, 3), (2, 1), (1, 1), (1, 1, 0, 1)),
    (4, 3, 4, (3, 3), (1, 2), (1, 1), (0, 1, 0, 1)),
    (3, 2, 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (6, 7, 5, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (8, 7, 3, (5, 5), (1, 1), (1, 1), (2, 2, 2, 2)),
    (9, 9, 4, (3, 3), (1, 1), (2, 2), (2, 2, 2, 2)),
    (1, 10, 7, (1, 5), (1, 1), (1, 1), (0, 4, 0, 0)),
    (3, 4, 9, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
]
POOLS = [
    # height, width, channels, kernel, strides, pads, counted pads
    (7, 5, 6, (7, 5), (1, 1), (0, 0, 0, 0), (0, 0, 0, 0)),
    (6, 8, 5, (2, 2), (2, 2), (0, 0, 0, 0), (0, 0, 0, 0)),
    (7, 6, 4, (3, 3), (2, 2), (1, 1, 1, 1), (0, 0, 0, 0)),
    (5, 6, 3, (3, 2), (1, 2), (1, 1, 1, 1), (1, 1, 1, 1)),
]


def convolution_cases() -> list[Case]:
    rng = np.random.default_rng(11)
    shapes = [
        {"size": (h, w), "channels": c, "kernel": k, "stride": s, "dilation": d, "padding": p}
        for h, w, c, k, s, d, p in CONVOLUTIONS
    ]
    plain = (int16.one_type(rng, i, **shape) for i, shape in enumerate(shapes * 2))
    return int16.cases(conv2d_s16_dsp, chain(plain, int16.extremes(rng, **shapes[2])), rng)


def winograd_cases() -> list[Case]:
    rng, layers = np.random.default_rng(16), []
    for size, channels in (((3, 6), (8, 8)), ((4, 5), (12, 9)), ((1, 4), (16, 10)), ((6, 8), (20, 11))):
        layer = random_layer(rng, size=size, channels=channels, kernel=(3, 3), padding=(1, 1, 1, 1))
        layers.append(int16.widened(rng, layer, "int8", "int16"))
        layers.append(int16.widened(rng, layer, "int8", "int16", act_min=0))
    layers.append(int16.widened(rng, layer, "int8", "int16", act_min=-99, act_max=5000))
    return int16.cases(conv2d_winograd_s16, iter(layers), rng)


def depthwise_cases() -> list[Case]:
    rng = np.random.default_rng(12)
    shapes = [
        {"size": (h, w), "channels": c, "kernel": k, "stride": s, "dilation": d, "padding": p}
        for h, w, c, k, s, d, p in DEPTHWISE
    ]
    plain = (int16.one_type(rng, i, depthwise=True, **shape) for i, shape in enumerate(shapes * 2))
    return int16.cases(depthwise_conv2d_s16_dsp, chain(plain, int16.extremes(rng, depthwise=True, **shapes[1])), rng)


def fully_connected_cases() -> list[Case]:
    rng = np.random.default_rng(13)
    shapes = [{"channels": channels} for channels in ((1, 1), (7, 5), (64, 10), (33, 8), (18, 3), (130, 4))]
    plain = (int16.one_type(rng, i, **shape) for i, shape in enumerate(shapes * 2))
    return int16.cases(fully_connected_s16_dsp, chain(plain, int16.extremes(rng, **shapes[1])), rng)


def add_cases(kernel: ModuleType = add_s16_dsp, target: str = "cortex-m4") -> list[Case]:
    rng, listed = np.random.default_rng(14), []
    types = [(a, b, c) for a in ("int8", "int16") for b in ("int8", "int16") for c in ("int8", "int16")]
    for number, names in enumerate(t for t in types if "int16" in t):
        info = np.iinfo(names[2])
        for size, low in ((1, info.min), (2, info.min), (37, info.min), (24, 0), (9, -17)):
            inputs = [int16.random_integers(rng, (size,), name) for name in names[:2]]
            factors = [int(rng.integers(4000, 16000)) * (1 if name == "int16" else 2) for name in names[:2]]
            shift = 15 if names[2] == "int16" else 22
            params = dict(zip(FIELDS, (*factors, int(rng.integers(-9999, 9999)), shift, low, info.max), strict=True))
            params |= {f"in{i + 1}_bytes": np.dtype(name).itemsize for i, name in enumerate(names[:2])}
            params |= {"out_bytes": np.dtype(names[2]).itemsize}
            params |= {f"size_{i}": size if i == 3 else 1 for i in range(4)}
            params |= {f"stride{k}_{i}": int(i == 3) for k in (1, 2) for i in range(4)}
            overlap = {i: max(0, size * (params["out_bytes"] - params[f"in{i + 1}_bytes"])) for i in (0, 1)}
            plain = KernelCall("mcugen_add_s16", ("add_s16.h",), params, overlap=overlap)
            total = (
                inputs[0].astype(np.int64) * factors[0] + inputs[1].astype(np.int64) * factors[1] + params["constant"]
            ) >> shift
            wanted = int16.raw(np.clip(total, low, info.max).astype(names[2]))
            for call in kernel.candidates(plain, load_target(target)):
                case = Case(call=call, inputs=tuple(map(int16.raw, inputs)), expected=wanted)
                reader = number % 2
                listed += [case, dataclasses.replace(case, distance=overlap[reader], reader=reader)]
    return listed


def pool_cases(target: str = "cortex-m4", variant: str = "dsp") -> list[Case]:
    rng, listed = np.random.default_rng(15), []
    for h, w, c, kernel, strides, pads, counted in POOLS:
        attrs = {"kernel": kernel, "strides": strides, "dilations": (1, 1), "pads": pads}
        average = attrs | {"count_pads": counted, "divide": True}
        for in_dtype, out_dtype in int16.TYPES:
            listed += _pool(AveragePool2d(), rng, (1, h, w, c), average, in_dtype, out_dtype, target)
        for minimum in (False, True):
            listed += _pool(
                MaxPool2d(), rng, (1, h, w, c + c % 2), attrs | {"minimum": minimum}, "int16", "int16", target
            )
    return [case for case in listed if case.call.variant == variant]


def _pool(
    operator: PoolOperator,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    attrs: dict[str, Any],
    in_dtype: str,
    out_dtype: str,
    target: str,
) -> list[Case]:
    """Every variant of a pool of random integers, and over its own input."""
    out = (1, *pooled_size(shape[1:3], attrs), shape[3])
    quants = {"int8": QuantParams.per_tensor(0.02, 11), "int16": QuantParams.per_tensor(0.02 / 256, 0, "int16")}
    tensors = {"x": Tensor("x", shape, in_dtype), "y": Tensor("y", out, out_dtype)}
    graph = Graph("pool", [], tensors, ["x"], ["y"])
    node = Node(operator.name, "pool", ("x",), ("y",), attrs)
    node, constants = operator.quantize(node, graph, QuantContext({"x": quants[in_dtype], "y": quants[out_dtype]}))
    names = [graph.add_constant(name, data) for name, data in constants.items()]
    node = dataclasses.replace(node, inputs=("x", *names))
    x = int16.random_integers(rng, shape, in_dtype)
    wanted = operator.reference(node, [x, *constants.values()])[0]
    assert wanted.dtype == out_dtype
    listed = []
    for lowering in operator.lower(node, graph, load_target(target))[1:]:
        case = Case(call=lowering.calls[0], inputs=(int16.raw(x),), expected=int16.raw(wanted))
        listed += [case, dataclasses.replace(case, distance=case.call.overlap[0])]
    assert listed
    return listed


MAKERS = pytest.mark.parametrize(
    "make", [convolution_cases, winograd_cases, depthwise_cases, fully_connected_cases, add_cases, pool_cases]
)


@MAKERS
def test_c_twin_equals_reference(make: Callable[[], list[Case]], tmp_path: Path) -> None:
    run_on_host(make(), tmp_path)


@MAKERS
@pytest.mark.parametrize("compiler", device_compilers())
def test_assembly_equals_reference(make: Callable[[], list[Case]], compiler: str, tmp_path: Path) -> None:
    run_on_device(make(), tmp_path, compiler=compiler)

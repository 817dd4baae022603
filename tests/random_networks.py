"""Random float networks of every operator that channels can be removed from."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder

PLAIN: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
SAME = PLAIN | {"pads": (1, 1, 1, 1)}


def chain(widths: tuple[int, ...], seed: int = 0) -> Graph:
    """Pointwise layers of these widths with Relu (nodes conv2d, conv2d_1, ...), flattened into 3 outputs."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder("chain")
    x = builder.input("x", (1, 2, 2, widths[0]))
    for depth, width in itertools.pairwise(widths):
        constants = [builder.constant(rng.normal(size=(width, 1, 1, depth))), builder.constant(rng.normal(size=width))]
        x = builder.emit("conv2d", [x, *constants], groups=1, clip_min=0.0, **PLAIN)
    x = builder.emit("reshape", [x], shape=(1, 4 * widths[-1]))
    return builder.output(builder.emit("fully_connected", [x, builder.constant(rng.normal(size=(3, 4 * widths[-1])))]))


class Layers:
    """Draws a network layer by layer; with `dead` some channels have no weights, some a bias that saturates."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], *, dead: bool = True) -> None:
        self.rng = rng
        self.dead = dead
        self.builder = GraphBuilder("random")
        self.x = self.builder.input("x", shape)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.builder.graph.tensors[name].shape

    def weighted(self, op: str, x: str, weight_shape: tuple[int, ...], **attrs: Any) -> str:
        out = weight_shape[0]
        weights = self.rng.normal(size=weight_shape)
        bias = self.rng.normal(size=out)
        clip = {"clip_min": 0.0} if self.rng.random() < 0.6 else {}
        if self.dead:
            kind = self.rng.integers(0, 5, out)
            weights[kind <= 1] = 0
            weights[..., self.rng.random(weight_shape[-1]) < 0.2] = 0
            bias[(kind == 2) & bool(clip)] -= 1000
        operands = [x, self.builder.constant(weights, "w"), self.builder.constant(bias, "b")]
        return self.builder.emit(op, operands, **attrs, **clip)

    def conv(self, x: str, out: int) -> str:
        kernel = int(self.rng.choice([1, 3]))
        window = SAME if kernel == 3 and self.rng.random() < 0.7 else PLAIN
        if min(self.shape(x)[1:3]) < kernel:
            kernel, window = 1, PLAIN
        return self.weighted("conv2d", x, (out, kernel, kernel, self.shape(x)[3]), groups=1, **window)

    def grouped(self, x: str) -> str:
        channels = self.shape(x)[3]
        groups = 2 if channels % 2 == 0 else 1
        return self.weighted("conv2d", x, (3 * groups, 3, 3, channels // groups), groups=groups, **SAME)

    def depthwise(self, x: str) -> str:
        multiplier = int(self.rng.integers(1, 3))
        return self.weighted("depthwise_conv2d", x, (self.shape(x)[3] * multiplier, 3, 3, 1), **SAME)

    def affine(self, x: str) -> str:
        channels = self.shape(x)[-1]
        scale, offset = self.rng.normal(size=channels), self.rng.normal(size=channels)
        scale[(self.rng.random(channels) < 0.3) & self.dead] = 0
        operands = [x, self.builder.constant(scale, "scale"), self.builder.constant(offset, "offset")]
        return self.builder.emit("affine", operands, axis=len(self.shape(x)) - 1)

    def unary(self, x: str) -> str:
        kind = int(self.rng.integers(0, 6))
        channels = self.shape(x)[3]
        if kind == 4:
            order = tuple(int(i) for i in self.rng.permutation(channels))
            return self.builder.emit("gather", [x], axis=3, indices=order)
        if kind == 5:
            return self.builder.emit("pad", [x], pads=((0, 0), (0, 1), (1, 0), (0, 0)), value=0.1)
        if kind == 0:
            return self.builder.emit("max_pool2d", [x], kernel=(2, 2), minimum=False, **SAME)
        if kind == 1:
            pads = (int(self.rng.integers(0, 2)),) * 4
            window = PLAIN | {"pads": pads, "count_pads": pads}
            return self.builder.emit("average_pool2d", [x], kernel=(2, 2), divide=True, **window)
        if kind == 2:
            return self.builder.emit("table", [x], function="Sigmoid")
        return self.affine(x)

    def binary(self, x: str) -> str:
        channels = self.shape(x)[3]
        other = self.weighted("conv2d", x, (channels, 3, 3, channels), groups=1, **SAME)
        if self.rng.random() < 0.3:
            return self.builder.emit("mul", [x, other])
        pair = [x, other] if self.rng.random() < 0.5 else [other, x]
        return self.builder.emit("add", pair, subtract=bool(self.rng.random() < 0.3))

    def split(self, x: str) -> str:
        """Two slices of the channels, one passed on through a layer, joined again."""
        channels = self.shape(x)[3]
        first = int(self.rng.integers(1, channels)) if channels > 1 else 1
        sizes = [(0, first), (first, channels - first)] if channels > 1 else [(0, 1), (0, 1)]
        parts = [
            self.builder.emit("slice", [x], starts=(0, 0, 0, start), steps=(1, 1, 1, 1), sizes=(-1, -1, -1, size))
            for start, size in sizes
        ]
        parts[1] = self.weighted("conv2d", parts[1], (3, 1, 1, sizes[1][1]), groups=1, **PLAIN)
        return self.builder.emit("concat", parts, axis=3)

    def graph(self, depth: int) -> Graph:
        x = self.x
        for _ in range(depth):
            step = int(self.rng.integers(0, 7))
            if step <= 1:
                x = self.conv(x, int(self.rng.integers(1, 8)))
            else:
                x = (self.depthwise, self.unary, self.binary, self.grouped, self.split)[step - 2](x)
        flat = self.builder.emit("reshape", [x], shape=(1, int(np.prod(self.shape(x)))))
        y = self.weighted("fully_connected", flat, (4, self.shape(flat)[1]))
        return self.builder.output(y if self.rng.random() < 0.5 else self.builder.emit("softmax", [y]))

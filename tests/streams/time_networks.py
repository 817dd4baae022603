"""Random networks along time: convolutions, pools, sums, slices and pads, in all the layouts in which models come."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcugen.graph import Graph
from mcugen.ops.builder import GraphBuilder
from mcugen.pipeline import Quantized, quantize

PLAIN: dict[str, Any] = {"strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}


class TimeNetwork:
    """Draws a network layer by layer; `time` is the channels-last axis of time, `axis` the input's."""

    def __init__(self, rng: np.random.Generator, *, padded: bool = True) -> None:
        self.rng, self.padded = rng, padded
        self.builder = GraphBuilder("along_time")
        frames, height, channels = (int(rng.integers(*span)) for span in ((14, 60), (2, 5), (1, 5)))
        kind = int(rng.integers(0, 3))
        shape, self.axis = (
            ((1, channels, frames), 2), ((1, frames, height, channels), 1), ((1, height, frames, channels), 2)
        )[kind]  # fmt: skip
        self.x = self.builder.input("x", shape)
        self.time = self.axis
        if kind == 0:
            last = self.builder.emit("transpose", [self.x], perm=(0, 2, 1))
            self.x = self.builder.emit("reshape", [last], shape=(1, 1, frames, channels))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.builder.graph.tensors[self.x].shape

    def window(self, *, pads: bool = True) -> tuple[tuple[int, int], dict[str, Any]]:
        kernel, strides, dilations, padding = [1, 1], [1, 1], [1, 1], [0, 0, 0, 0]
        for i, size in enumerate(self.shape[1:3]):
            kernel[i] = int(self.rng.integers(1, min(4, size) + 1))
            dilations[i] = int(self.rng.integers(1, 3)) if 2 * kernel[i] - 1 <= size else 1
            if i == self.time - 1:
                strides[i] = int(self.rng.choice([1, 1, 1, 2, 3]))
            if pads and self.rng.random() < 0.6 and (self.padded or i != self.time - 1):
                padding[i], padding[i + 2] = (int(self.rng.integers(0, kernel[i] + 1)) for _ in range(2))
        attrs = {"strides": tuple(strides), "dilations": tuple(dilations), "pads": tuple(padding)}
        return (kernel[0], kernel[1]), attrs

    def weights(self, *shape: int) -> str:
        return self.builder.constant(self.rng.normal(size=shape), "w")

    def conv(self, x: str) -> str:
        kernel, attrs = self.window()
        out = int(self.rng.integers(1, 6))
        operands = [x, self.weights(out, *kernel, self.shape[3]), self.weights(out)]
        return self.builder.emit("conv2d", operands, groups=1, clip_min=0.0, **attrs)

    def depthwise(self, x: str) -> str:
        kernel, attrs = self.window()
        channels = self.shape[3]
        return self.builder.emit("depthwise_conv2d", [x, self.weights(channels, *kernel, 1)], **attrs)

    def pool(self, x: str) -> str:
        kernel, attrs = self.window(pads=False)
        if self.padded and self.rng.random() < 0.5 and attrs["dilations"] == (1, 1):
            pads = tuple((size - 1) // 2 for size in kernel)
            attrs["pads"] = (*pads, *pads)
        if self.rng.random() < 0.5:
            return self.builder.emit("max_pool2d", [x], kernel=kernel, minimum=False, **attrs)
        return self.builder.emit("average_pool2d", [x], kernel=kernel, divide=True, count_pads=(0, 0, 0, 0), **attrs)

    def residual(self, x: str) -> str:
        """The same rows in both operands: padding, or the crop that an unpadded convolution needs."""
        channels, before = self.shape[3], int(self.padded)
        kernel, pads = ((3, 1), (before, 0, before, 0)) if self.time == 1 else ((1, 3), (0, before, 0, before))
        y = self.builder.emit(
            "conv2d", [x, self.weights(channels, *kernel, channels)], groups=1, **PLAIN | {"pads": pads}
        )
        if not self.padded:
            x = self.slice(x, 1, self.shape[self.time] - 2, 1)
        return self.builder.emit("add", [x, y], subtract=False)

    def joined(self, x: str) -> str:
        y = self.builder.emit("conv2d", [x, self.weights(2, 1, 1, self.shape[3])], groups=1, **PLAIN)
        return self.builder.emit("concat", [x, y], axis=3)

    def scaled(self, x: str) -> str:
        if self.rng.random() < 0.5:
            return self.builder.emit("table", [x], function="Sigmoid")
        channels = self.shape[3]
        return self.builder.emit("affine", [x, self.weights(channels), self.weights(channels)], axis=3)

    def slice(self, x: str, start: int, size: int, step: int) -> str:
        def along(value: int, other: int) -> tuple[int, ...]:
            return tuple(value if i == self.time else other for i in range(4))

        attrs = {"starts": along(start, 0), "steps": along(step, 1), "sizes": along(size, -1)}
        return self.builder.emit("slice", [x], **attrs)

    def cropped(self, x: str) -> str:
        start, left, step = int(self.rng.integers(0, 3)), int(self.rng.integers(0, 3)), int(self.rng.integers(1, 3))
        return self.slice(x, start, -(-(self.shape[self.time] - start - left) // step), step)

    def extended(self, x: str) -> str:
        pair = (int(self.rng.integers(0, 3)), int(self.rng.integers(0, 3))) if self.padded else (0, 0)
        return self.builder.emit(
            "pad", [x], pads=tuple(pair if i == self.time else (0, 0) for i in range(4)), value=0.3
        )

    def graph(self, depth: int) -> Graph:
        layers = (
            self.conv,
            self.conv,
            self.depthwise,
            self.pool,
            self.residual,
            self.joined,
            self.scaled,
            self.cropped,
        )
        for _ in range(depth):
            if self.shape[self.time] > 8:
                layer = (*layers, self.extended)[int(self.rng.integers(0, len(layers) + 1))]
                self.x = layer(self.x)
        if self.rng.random() < 0.7:
            self.head()
        return self.builder.output(self.x)

    def head(self) -> None:
        """What looks at all times at once."""
        if self.rng.random() < 0.5:
            attrs = PLAIN | {"kernel": self.shape[1:3], "divide": True, "count_pads": (0, 0, 0, 0)}
            self.x = self.builder.emit("average_pool2d", [self.x], **attrs)
        size = int(np.prod(self.shape))
        flat = self.builder.emit("reshape", [self.x], shape=(1, size))
        self.x = self.builder.emit("fully_connected", [flat, self.weights(3, size)])


def drawn(seed: int, depth: int, *, padded: bool = True) -> tuple[Quantized, int]:
    """A quantized random network and its input's axis of time."""
    network = TimeNetwork(np.random.default_rng(seed), padded=padded)
    graph = network.graph(depth)
    return quantized(graph, seed), network.axis


def quantized(graph: Graph, seed: int = 0) -> Quantized:
    shape = graph.tensors[graph.inputs[0]].shape
    samples = np.random.default_rng(seed).normal(size=(4, *shape[1:])).astype(np.float32)
    return quantize(graph, {graph.inputs[0]: samples}, effort="fast")

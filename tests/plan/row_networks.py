"""Random networks of layers that can run row by row, and programs that run parts of them so."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from random_networks import Layers

from mcugen.graph import Graph
from mcugen.pipeline import Quantized, quantize
from mcugen.plan.layout import lay_out
from mcugen.plan.regions import region_schedule
from mcugen.plan.schedule import Goal, assemble, choose_kernels, ordered
from mcugen.plan.select import Choice, alternatives, row_alternatives
from mcugen.program import Program
from mcugen.quantize.precision import choose_precision
from mcugen.targets import Target

KERNELS = (1, 2, 3, 3, 3, 5)


class Rows(Layers):
    """Draws convolutions, depthwise ones, pools and sums with all kinds of windows, on any of the latest tensors."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        super().__init__(rng, shape, dead=False)
        self.made = [self.x]

    def window(self, x: str, *, pads: bool = True) -> tuple[int, int, dict[str, Any]]:
        height, width = self.shape(x)[1:3]
        kernel = int(self.rng.choice([k for k in KERNELS if k <= height]))
        dilation = int(self.rng.choice([1, 1, 1, 2])) if 2 * (kernel - 1) < height else 1
        reach = (kernel - 1) * dilation
        top, bottom = (int(self.rng.integers(0, reach + 1)) if pads else 0 for _ in range(2))
        strides = (int(self.rng.choice([1, 1, 2, 3])), 1)
        wide = min(3, width)
        attrs = {"strides": strides, "dilations": (dilation, 1), "pads": (top, wide // 2, bottom, (wide - 1) // 2)}
        return kernel, wide, attrs

    def step(self) -> None:
        x = str(self.rng.choice(self.made[-2:]))
        channels = self.shape(x)[3]
        kind = int(self.rng.integers(0, 8))
        others = [n for n in self.made if n != x and self.shape(n) == self.shape(x)]
        if kind <= 2:
            kernel, wide, attrs = self.window(x)
            out = int(self.rng.choice([3, 4, 8, channels]))
            made = self.weighted("conv2d", x, (out, kernel, wide, channels), groups=1, **attrs)
        elif kind == 3:
            kernel, wide, attrs = self.window(x)
            made = self.weighted("depthwise_conv2d", x, (channels, kernel, wide, 1), **attrs)
        elif kind == 4:
            kernel, wide, attrs = self.window(x)
            made = self.builder.emit("max_pool2d", [x], kernel=(kernel, wide), minimum=False, **attrs)
        elif kind == 5:
            kernel, wide, attrs = self.window(x, pads=False)
            whole = attrs | {"pads": (0, 0, 0, 0), "count_pads": (0, 0, 0, 0), "divide": True}
            made = self.builder.emit("average_pool2d", [x], kernel=(kernel, wide), **whole)
        elif kind == 6 and others:
            made = self.builder.emit("add", [x, others[-1]], subtract=False)
        else:
            made = self.builder.emit("table", [x], function="Sigmoid")
        self.made.append(made)

    def finished(self, nodes: int) -> Graph:
        while len(self.builder.graph.nodes) < nodes:
            self.step()
        graph = self.builder.graph
        read = {name for node in graph.nodes for name in node.inputs}
        return self.builder.output(*(name for name in self.made if name not in read))


def random_model(seed: int, *, nodes: int = 6, precision: str = "int8") -> Quantized:
    """A quantized random network on an image of random size."""
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(5, 15)), int(rng.choice([4, 5, 7])), int(rng.choice([3, 4, 5])))
    graph = Rows(rng, shape).finished(nodes)
    samples = rng.uniform(-1, 1, (4, *shape[1:])).astype(np.float32)
    chosen = choose_precision(graph, precision, {"x": "int8"})
    return quantize(graph, {"x": samples}, effort="fast", precision=chosen)


def by_rows(model: Quantized, target: Target, rng: np.random.Generator, *, pushed: bool) -> Program | None:
    """The program with the longest region from a random node on, every kernel chosen at random; None where there is none."""
    choices, _ = choose_kernels(alternatives(model.graph, target), Goal())
    order = ordered(model.graph, choices)
    graph = replace(model.graph, nodes=[choice.node for choice in order])
    first = 0 if pushed else int(rng.integers(0, len(order)))
    for last in range(len(order) - 1, first - 1, -1):
        middle = [_drawn(row_alternatives(c.node, graph, target), rng) for c in order[first : last + 1]]
        drawn = [choice for choice in middle if choice is not None]
        nodes = [(choice.node, choice.rows) for choice in drawn]
        if len(drawn) == len(middle) and region_schedule(graph, nodes, pushed="x" if pushed else None) is not None:
            mixed = [*order[:first], *drawn, *order[last + 1 :]]
            layout = lay_out(graph, mixed, target, pushed=pushed)
            return assemble(graph, mixed, layout, target, "rows", ())
    return None


def _drawn(options: list[Choice], rng: np.random.Generator) -> Choice | None:
    return options[int(rng.integers(0, len(options)))] if options else None

"""Random networks with branches, residual sums, concatenations and slices, any tensor read again at any later time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from random_networks import SAME, Layers

from mcugen.graph import Graph

RECENT = 4
"""How many of the latest tensors most layers choose from."""


class Web(Layers):
    """Draws a graph step by step from all the tensors that exist."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        super().__init__(rng, shape, dead=False)
        self.made = [self.x]

    def pick(self, *, like: str | None = None, axes: tuple[int, ...] = ()) -> str | None:
        """A tensor, mostly a late one; with `like` another one of equal size along the axes."""
        found = [n for n in self.made if n != like]
        if like is not None:
            wanted = [self.shape(like)[axis] for axis in axes]
            found = [name for name in found if [self.shape(name)[axis] for axis in axes] == wanted]
        if not found:
            return None
        near = found if self.rng.random() < 0.2 else found[-RECENT:]
        return str(self.rng.choice(near))

    def step(self) -> None:
        x = self.pick() or self.x
        kind = int(self.rng.integers(0, 9))
        channels = self.shape(x)[3]
        made: str | None = None
        if kind in (0, 1):
            made = self.conv(x, int(self.rng.integers(1, 7)))
        elif kind == 2:
            made = self.weighted("depthwise_conv2d", x, (channels, 3, 3, 1), **SAME)
        elif kind == 3 and min(self.shape(x)[1:3]) > 1:
            made = self.unary(x)
        elif kind in (4, 5):
            other = self.pick(like=x, axes=(1, 2, 3))
            made = None if other is None else self.builder.emit("add", [x, other], subtract=False)
        elif kind in (6, 7):
            axis = int(self.rng.choice([1, 3]))
            other = self.pick(like=x, axes=(4 - axis, 2))
            large = other is not None and self.shape(x)[axis] + self.shape(other)[axis] > 16
            made = None if other is None or large else self.builder.emit("concat", [x, other], axis=axis)
        elif self.shape(x)[1] > 2:
            size = int(self.rng.integers(1, self.shape(x)[1]))
            starts = (0, int(self.rng.integers(0, self.shape(x)[1] - size + 1)), 0, 0)
            made = self.builder.emit("slice", [x], starts=starts, steps=(1, 1, 1, 1), sizes=(-1, size, -1, -1))
        if made is not None:
            self.made.append(made)

    def finished(self, nodes: int) -> Graph:
        """A graph of that many nodes; what nobody reads is an output, joined to one where there are many."""
        while len(self.builder.graph.nodes) < nodes:
            self.step()
        graph = self.builder.graph
        read = {name for node in graph.nodes for name in node.inputs}
        ends = [name for name in self.made if name not in read]
        flat = [self.builder.emit("reshape", [name], shape=(1, int(np.prod(self.shape(name))))) for name in ends[1:]]
        outputs = ends[:1]
        if flat:
            outputs.append(flat[0] if len(flat) == 1 else self.builder.emit("concat", flat, axis=1))
        return self.builder.output(*outputs)



"""Activation graphs for planner tests: MLPerf Tiny by hand, and random ones with branches and residuals."""

from __future__ import annotations

from random import Random

from mcugen.kernels.overlap import Granularity, access_distance, convolution_distance
from mcugen.plan.model import Buffer, Overlap, Step


class Network:
    """Grows step by step; int8 tensors (height, width, channels), TensorFlow's SAME padding."""

    def __init__(
        self,
        *shape: int,
        granularity: Granularity = "row",
        buffered: bool = False,
    ) -> None:
        self.shapes: dict[str, tuple[int, int, int]] = {}
        self.steps: list[Step] = []
        self.overlaps: list[Overlap] = []
        self.granularity, self.buffered = granularity, buffered
        self.input = self.tensor(*shape)

    def tensor(self, height: int, width: int, channels: int) -> str:
        name = f"t{len(self.shapes)}"
        self.shapes[name] = (height, width, channels)
        return name

    def size(self, name: str) -> int:
        height, width, channels = self.shapes[name]
        return height * width * channels

    def sizes(self) -> dict[str, int]:
        return {name: self.size(name) for name in self.shapes}

    def _step(self, inputs: tuple[str, ...], output: str, scratch: int = 0) -> str:
        self.steps.append(Step(f"step{len(self.steps)}", inputs, (output,), scratch))
        return output

    def conv(
        self, source: str, channels: int, kernel: tuple[int, int] = (3, 3), stride: int = 1, scratch: int = 0
    ) -> str:
        shape = self.shapes[source]
        height, width = -(-shape[0] // stride), -(-shape[1] // stride)
        pad = (
            max((height - 1) * stride + kernel[0] - shape[0], 0) // 2,
            max((width - 1) * stride + kernel[1] - shape[1], 0) // 2,
        )
        output = self.tensor(height, width, channels)
        distance = convolution_distance(
            shape,
            self.shapes[output],
            kernel=kernel,
            stride=(stride, stride),
            pad=pad,
            granularity=self.granularity,
            buffered=self.buffered,
        )
        self.overlaps.append(Overlap(output, source, distance))
        return self._step((source,), output, scratch)

    def depthwise(self, source: str, kernel: tuple[int, int] = (3, 3), stride: int = 1) -> str:
        return self.conv(source, self.shapes[source][2], kernel, stride)

    def pool(self, source: str) -> str:
        height, width, channels = self.shapes[source]
        output = self.tensor(1, 1, channels)
        distance = convolution_distance((height, width, channels), (1, 1, channels), kernel=(height, width))
        self.overlaps.append(Overlap(output, source, distance))
        return self._step((source,), output)

    def dense(self, source: str, outputs: int) -> str:
        size, output = self.size(source), self.tensor(1, 1, outputs)
        ones = list(range(outputs))
        distance = access_distance([0] * outputs, [size] * outputs, ones, [i + 1 for i in ones], read_size=size)
        self.overlaps.append(Overlap(output, source, distance))
        return self._step((source,), output)

    def add(self, one: str, two: str) -> str:
        output = self.tensor(*self.shapes[one])
        self.overlaps += [Overlap(output, source, 0) for source in (one, two)]
        return self._step((one, two), output)

    def concat(self, sources: list[str]) -> str:
        height, width, _ = self.shapes[sources[0]]
        output = self.tensor(height, width, sum(self.shapes[source][2] for source in sources))
        return self._step(tuple(sources), output)

    def buffers(self, *outputs: str) -> list[Buffer]:
        end = len(self.steps) - 1
        first = {step.outputs[0]: number for number, step in enumerate(self.steps)}
        last = {name: number for number, step in enumerate(self.steps) for name in step.inputs}
        last |= dict.fromkeys(outputs, end)
        found = [
            Buffer(name, self.size(name), first.get(name, -1), last.get(name, first.get(name, -1)))
            for name in self.shapes
        ]
        found += [
            Buffer(f"{step.name}.scratch", step.scratch, number, number)
            for number, step in enumerate(self.steps)
            if step.scratch
        ]
        return found


def ad01(**options: object) -> tuple[Network, str]:
    net = Network(1, 1, 640, **options)  # type: ignore[arg-type]
    last = net.input
    for outputs in (128, 128, 128, 128, 8, 128, 128, 128, 128, 640):
        last = net.dense(last, outputs)
    return net, last


def ic(**options: object) -> tuple[Network, str]:
    net = Network(32, 32, 3, **options)  # type: ignore[arg-type]
    last = net.conv(net.input, 16)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        inner = net.conv(net.conv(last, channels, stride=stride), channels)
        around = last if stride == 1 else net.conv(last, channels, kernel=(1, 1), stride=stride)
        last = net.add(inner, around)
    return net, net.dense(net.pool(last), 10)


def kws(**options: object) -> tuple[Network, str]:
    net = Network(49, 10, 1, **options)  # type: ignore[arg-type]
    last = net.conv(net.input, 64, kernel=(10, 4), stride=2)
    for _ in range(4):
        last = net.conv(net.depthwise(last), 64, kernel=(1, 1))
    return net, net.dense(net.pool(last), 12)


def vww(**options: object) -> tuple[Network, str]:
    net = Network(96, 96, 3, **options)  # type: ignore[arg-type]
    last = net.conv(net.input, 8, stride=2)
    blocks = [(1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *[(1, 128)] * 5, (2, 256), (1, 256)]
    for stride, channels in blocks:
        last = net.conv(net.depthwise(last, stride=stride), channels, kernel=(1, 1))
    return net, net.dense(net.pool(last), 2)


def random_network(random: Random, blocks: int, **options: object) -> tuple[Network, str]:
    """Chains, branches that meet in a sum or a concatenation, skips over several blocks, scratch."""
    side = random.choice([4, 6, 8])
    net = Network(side, side, random.choice([1, 3, 4]), **options)  # type: ignore[arg-type]
    last = net.conv(net.input, random.choice([2, 4, 8]))
    skips = [last]
    for _ in range(blocks):
        kind = random.choice(["conv", "conv", "residual", "branches", "skip"])
        channels = net.shapes[last][2]
        if kind == "conv":
            stride = 2 if net.shapes[last][0] > 2 and random.random() < 0.2 else 1
            last = net.conv(last, random.choice([2, 4, 8, 12]), stride=stride, scratch=random.choice([0, 0, 20, 100]))
        elif kind == "residual":
            last = net.add(net.conv(net.conv(last, random.choice([4, 8, 16]), kernel=(1, 1)), channels), last)
        elif kind == "branches":
            ends = []
            for _ in range(random.randint(2, 4)):
                end = last
                for _ in range(random.randint(1, 3)):
                    end = net.conv(end, random.choice([1, 2, 4]), kernel=random.choice([(1, 1), (3, 3), (5, 5)]))
                ends.append(end)
            last = net.concat(ends)
        else:
            old = random.choice(skips)
            if net.shapes[old][:2] == net.shapes[last][:2] and old != last:
                last = net.concat([last, old])
            skips.append(last)
    return net, last

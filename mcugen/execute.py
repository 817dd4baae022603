"""The two NumPy executors of a graph: `evaluate` in float32, `reference` in exact integers; any number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mcugen.graph import Graph, Node, Tensor
from mcugen.ops import operator

Array = npt.NDArray[Any]
class Rows(Protocol):
    """Samples `[N, ...]` of one input, float32: an array, or what reads them from a file when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Array: ...


Run = Callable[[Node, Sequence[Array]], list[Array]]

BATCH_BYTES = 1 << 26
"""Bytes of the largest tensor of one batch; keeps the executors' memory bounded whatever the number of samples."""


def evaluate(graph: Graph, inputs: Mapping[str, Array], *, keep: Sequence[str] | None = None) -> dict[str, Array]:
    """Float values `[N, ...]` of the outputs (or of the tensors in `keep`) for samples `[N, ...]` of every input.

    A tensor's own first axis follows that of the samples where it is not 1.  A stateful graph takes the samples as runs
    one after the other, from its initial state on.
    """
    return _collect(graph, inputs, keep, _stepwise(lambda node, arrays: operator(node.op).evaluate(node, arrays)))


def reference(graph: Graph, inputs: Mapping[str, Array], *, keep: Sequence[str] | None = None) -> dict[str, Array]:
    """Integer values `[N, ...]` of the outputs (or of the tensors in `keep`) of an integer graph; the meaning of the C.

    A tensor's own first axis follows that of the samples where it is not 1.  A stateful graph takes the samples as runs
    one after the other, from its initial state on.
    """
    return _collect(graph, inputs, keep, _stepwise(lambda node, arrays: operator(node.op).reference(node, arrays)))


def evaluate_batches(graph: Graph, inputs: Mapping[str, Rows], *, keep: Sequence[str]) -> Iterator[dict[str, Array]]:
    """As `evaluate`, batch by batch."""
    yield from _batches(graph, inputs, keep, _stepwise(lambda node, arrays: operator(node.op).evaluate(node, arrays)))


def is_stateful(graph: Graph) -> bool:
    """Whether a run depends on the runs before it."""
    return any(operator(node.op).stateful for node in graph.nodes)


def _stepwise(run: Run) -> Run:
    """`run`, with the state of stateful nodes carried from call to call."""
    states: dict[str, Array] = {}

    def step(node: Node, arrays: Sequence[Array]) -> list[Array]:
        if not operator(node.op).stateful:
            return run(node, arrays)
        outputs, states[node.name] = operator(node.op).advance(node, arrays, states.get(node.name))
        return outputs

    return step


def evaluate_changed(graph: Graph, values: Mapping[str, Array], changed: Mapping[str, Array]) -> dict[str, Array]:
    """Float values of all tensors that depend on those in `changed`, whose arrays stand in place of those in `values`.

    `values` holds what `evaluate` gives of every tensor but constants, all samples in one batch.
    """
    result = dict(changed)
    for node in graph.nodes:
        if any(name in result for name in node.inputs) and not any(name in changed for name in node.outputs):
            arrays = [_operand(graph, result if n in result else values, n) for n in node.inputs]
            outputs = operator(node.op).evaluate(node, arrays)
            result.update((n, by_sample(graph.tensors[n], y)) for n, y in zip(node.outputs, outputs, strict=True))
    return result


def _operand(graph: Graph, values: Mapping[str, Array], name: str) -> Array:
    tensor = graph.tensors[name]
    return operand(tensor, values[name]) if tensor.data is None else tensor.data


def operand(tensor: Tensor, samples: Array) -> Array:
    """Samples `[N, ...]` of a tensor as its readers take them: one beside the other along axis 0."""
    return samples.reshape((-1, *tensor.shape[1:]) if tensor.shape else ())


def by_sample(tensor: Tensor, array: Array) -> Array:
    """What a node writes, as samples `[N, ...]`: the inverse of `operand`, with an axis left beside that of the samples."""
    return array if tensor.shape[:1] == (1,) != tensor.shape else array.reshape(-1, *tensor.shape)


def is_batchable(graph: Graph) -> bool:
    """Whether every node takes many samples at once, stacked along axis 0."""
    return all(operator(node.op).batchable(node, graph) for node in graph.nodes)


def _collect(graph: Graph, inputs: Mapping[str, Array], keep: Sequence[str] | None, run: Run) -> dict[str, Array]:
    wanted = list(graph.outputs if keep is None else keep)
    parts = list(_batches(graph, inputs, wanted, run))
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def _batches(graph: Graph, inputs: Mapping[str, Rows], keep: Sequence[str], run: Run) -> Iterator[dict[str, Array]]:
    samples = len(next(iter(inputs.values())))
    largest = max(graph.tensors[name].size for name in graph.activations())
    step = max(1, min(samples, BATCH_BYTES // (largest * 8))) if is_batchable(graph) else 1
    for start in range(0, samples, step):
        batch = {name: array[start : start + step] for name, array in inputs.items()}
        yield _run_batch(graph, batch, keep, run)


def _run_batch(graph: Graph, inputs: Mapping[str, Array], keep: Sequence[str], run: Run) -> dict[str, Array]:
    values: dict[str, Array] = {n: t.data for n, t in graph.tensors.items() if t.data is not None}
    for name in graph.inputs:
        values[name] = operand(graph.tensors[name], inputs[name])
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    kept = set(keep)
    for i, node in enumerate(graph.nodes):
        outputs = run(node, [values[name] for name in node.inputs])
        values.update(zip(node.outputs, outputs, strict=True))
        for name in node.inputs:
            if last[name] == i and name not in kept:
                values.pop(name, None)
    return {name: by_sample(graph.tensors[name], values[name]) for name in keep}

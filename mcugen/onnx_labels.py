"""The label outputs of an ONNX classifier: integers and strings, which C finds as the class of the largest score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import helper, numpy_helper

ML = "ai.onnx.ml"
NAMED = 10
"""How many classes a note lists."""
FOLLOWED = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
"""Operators that leave a label what it is."""
SAME_ORDER = ("Cast", "Identity", "ZipMap", "Normalizer")
"""Operators whose largest output is that of their largest input."""


@dataclass(frozen=True)
class _Label:
    """A label, the tensor of scores that it is the largest of, its classes, and the tensors between both."""

    output: str
    scores: str
    classes: tuple[str, ...]
    tensors: frozenset[str]


def drop_labels(model: onnx.ModelProto, wanted: Sequence[str] = ()) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """`label, probabilities = classifier(x)` -> `probabilities = classifier(x)`, and notes of what was left out.

    A label is what ArgMax or a classifier of ai.onnx.ml gives, looked up in constant classes or not.  Labels among
    `wanted` stay, and so do all where a model has no other output; a model without labels is returned as it is.
    """
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found = [label for value in graph.output if (label := _label(value.name, producers, constants))]
    labels = [label for label in found if label.output not in wanted]
    kept = [value for value in graph.output if value.name not in {label.output for label in labels}]
    maps = [note for value in kept if not wanted and (note := _map_note(value.name, producers))]
    if not labels or not (kept or wanted):
        return model, tuple(maps)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.output[:], result.graph.node[:]
    result.graph.output.extend(kept)
    read = {*wanted, *(value.name for value in kept)}
    between = frozenset[str]().union(*(label.tensors for label in labels))
    nodes = []
    for node in reversed(graph.node):
        if read.intersection(node.output) or not between.intersection(node.output):
            nodes.append(node)
            read.update(node.input)
    result.graph.node.extend(reversed(nodes))
    if wanted:
        return result, ()
    names = [value.name for value in kept]
    return result, (*(_label_note(label, names, producers) for label in labels), *maps)


def _label(
    output: str, producers: Mapping[str, onnx.NodeProto], constants: Mapping[str, onnx.TensorProto]
) -> _Label | None:
    """The label that the tensor `output` holds; None where it is none."""
    name, passed = output, {output}
    classes: tuple[str, ...] = ()
    while (node := producers.get(name)) is not None:
        if node.domain == ML and node.op_type.endswith("Classifier"):
            is_label = name == node.output[0] and len(node.output) > 1
            return _Label(output, node.output[1], _classes(node), frozenset(passed)) if is_label else None
        if node.op_type == "ArgMax":
            return _Label(output, node.input[0], classes, frozenset(passed))
        if node.domain == ML and node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            classes = _texts(numpy_helper.to_array(constants[node.input[0]]).reshape(-1).tolist())
            name = node.input[1]
        elif node.op_type in FOLLOWED and node.domain in ("", "ai.onnx"):
            name = node.input[0]
        else:
            return None
        passed.add(name)
    return None


def _classes(node: onnx.NodeProto) -> tuple[str, ...]:
    values = [helper.get_attribute_value(a) for a in node.attribute if a.name.startswith("classlabels_")]
    return _texts(next((list(value) for value in values if len(value)), []))


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values)


def _label_note(label: _Label, outputs: Sequence[str], producers: Mapping[str, onnx.NodeProto]) -> str:
    held = next((name for name in outputs if label.scores in _sources(name, producers)), None)
    classes = () if held and _map_note(held, producers) else label.classes  # which the map's note lists
    scores = f"'{held}'" if held else f"'{label.scores}' (`--outputs {label.scores}` gives it)"
    return f"output '{label.output}' is left out: it is the class of the largest of {scores}{_listed(classes)}"


def _map_note(output: str, producers: Mapping[str, onnx.NodeProto]) -> str | None:
    node = producers.get(output)
    if node is None or node.op_type != "ZipMap" or node.domain != ML:
        return None
    return f"output '{output}' is an array and no map (ZipMap is left out){_listed(_classes(node))}"


def _sources(name: str, producers: Mapping[str, onnx.NodeProto]) -> list[str]:
    """The tensors that have their largest value where `name` has it."""
    found = [name]
    while (node := producers.get(found[-1])) is not None and node.op_type in SAME_ORDER:
        found.append(node.input[0])
    return found


def _listed(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return f"; classes in this order: {', '.join(classes[:NAMED])}{more}" if classes else ""


__all__ = ["ML", "drop_labels"]

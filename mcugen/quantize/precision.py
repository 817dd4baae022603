"""Precisions: which activations are held in more, and which weights in fewer bits than int8."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mcugen.errors import McugenError
from mcugen.graph import Graph
from mcugen.ops import operator
from mcugen.ops.weighted import has_weights
from mcugen.weight_format import WEIGHT_FORMATS

INT8 = "int8"
ACTIVATIONS = ("static", "dynamic")
"""Where the ranges of activations come from: calibration, or run time where layers can."""
AUTO = "auto"
"""A mix that auto_precision.py chooses."""
ACTIVATION_PRECISIONS = ("int16",)
"""How an activation can be held, int8 aside."""
WEIGHT_PRECISIONS = tuple(WEIGHT_FORMATS)
"""How weights can be held, int8 aside."""
SPARING = ("conv2d", "fully_connected")
"""Layers whose weights a word for the whole model is for: those of a depthwise convolution are few, and matter much."""
PRECISIONS = (INT8, *ACTIVATION_PRECISIONS, *WEIGHT_PRECISIONS)
NAMED = 3
"""How many names an error offers."""


@dataclass(frozen=True)
class Precision:
    """What of a canonical float graph is not int8.

    `activations`: "int16" by the tensor's name; `weights`: a word of WEIGHT_PRECISIONS by the node's name.
    """

    activations: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.activations or self.weights)


INT8_THROUGHOUT = Precision()


def parse_precision(text: str) -> str:
    """The words for the whole model, such as `int16+int4`; raises ValueError for anything else."""
    fault = _word_fault(text)
    if fault is not None:
        raise ValueError(fault)
    return text


def parse_layer_precision(text: str) -> dict[str, str]:
    """The words by layer of `conv1=int16,fc2=int4,input=int16`; one layer takes several as `conv1=int16+int4`.

    Raises ValueError for anything else.
    """
    found = {}
    for part in text.split(","):
        name, equals, words = part.strip().rpartition("=")
        if not equals or not name or not words:
            raise ValueError(f"'{part.strip()}' is not a layer's precision such as conv1=int16")
        fault = _word_fault(words)
        if fault is not None:
            raise ValueError(fault)
        found[name] = words
    return found


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split("+")]


def _word_fault(words: str) -> str | None:
    """What is wrong with the words of one layer."""
    parts = _split(words)
    unknown = [word for word in parts if word not in PRECISIONS]
    if unknown:
        return f"'{unknown[0]}' is not a precision: {', '.join(PRECISIONS)}"
    if sum(word in WEIGHT_PRECISIONS for word in parts) > 1:
        return f"'{words}' names two precisions for one layer's weights"
    return None


def choose_precision(graph: Graph, whole: str = INT8, layers: Mapping[str, str] | None = None) -> Precision:
    """What words of a user mean for a canonical float graph.

    `whole` is one of PRECISIONS, or int16 and a word for weights as `int16+int4`, and holds for every layer, with regard to
    weights for all but depthwise convolutions; `layers` gives words by layer, in place of `whole`'s, or of a model input.
    int16: the layer's outputs, or the input, are held in int16; a word for weights: the weights of the layer.  A layer goes by
    its node's name, by the name of an ONNX node that it came from, or by that of a tensor it writes.  Raises McugenError for
    layers that are not there, and for words that are unknown or that a layer cannot take.
    """
    faults = [fault for fault in map(_word_fault, (whole, *(layers or {}).values())) if fault is not None]
    words = {name: _split(whole) for name in (*graph.inputs, *(node.name for node in graph.nodes))}
    known = _known_names(graph)
    named = set()
    for name, asked in (layers or {}).items():
        parts = _split(asked)
        if name not in known:
            faults.append(f"no layer '{name}'{_nearest(name, known)}")
        for key in known.get(name, ()):
            words[key] = parts
            named.add(key)
            faults += _misplaced(graph, key, parts)
    if faults:
        raise McugenError(
            f"{graph.name}: precision: {'; '.join(faults)}",
            hint="`mcugen inspect` lists the layers; int16 is for a layer's output or a model input, "
            f"{', '.join(WEIGHT_PRECISIONS)} for the weights of a layer that has any",
        )
    activations = {name: "int16" for name in graph.inputs if "int16" in words[name]}
    weights = {}
    for node in graph.nodes:
        if "int16" in words[node.name]:
            activations.update(dict.fromkeys(node.outputs, "int16"))
        stored = [word for word in words[node.name] if word in WEIGHT_PRECISIONS]
        if stored and (node.op in SPARING or (has_weights(node) and node.name in named)):
            weights[node.name] = stored[0]
    return Precision(activations, weights)


def _known_names(graph: Graph) -> dict[str, list[str]]:
    """Inputs' and nodes' names by what a user may call them."""
    known: dict[str, list[str]] = {name: [name] for name in graph.inputs}
    for node in graph.nodes:
        for alias in dict.fromkeys((node.name, "+".join(node.origin), *node.origin, *node.outputs)):
            known.setdefault(alias, []).append(node.name)
    for node in graph.nodes:  # a node's own name means that node alone
        known[node.name] = [node.name]
    return known


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=NAMED, cutoff=0.3)
    return f" (nearest: {', '.join(near)})" if near else ""


def _misplaced(graph: Graph, key: str, parts: list[str]) -> list[str]:
    """Words for weights given to what has none."""
    stored = [word for word in parts if word in WEIGHT_PRECISIONS]
    node = next((n for n in graph.nodes if n.name == key), None)
    if not stored or (node is not None and has_weights(node)):
        return []
    return [f"{stored[0]} for '{key}', which has no weights"]


def check_precision(graph: Graph, precision: Precision, *, imported: bool, arithmetic: str) -> None:
    """Raise McugenError where nothing but int8 is possible."""
    if not precision:
        return
    if imported:
        raise McugenError(
            f"{graph.name}: the model comes quantized, so its precision cannot be chosen",
            hint="export it in float, or leave `--precision` and `--layer-precision` out",
        )
    if arithmetic != "default":
        raise McugenError(
            f"{graph.name}: the arithmetic '{arithmetic}' is int8 throughout",
            hint="leave `--arithmetic` out, or `--precision` and `--layer-precision`",
        )


def check_dynamic(graph: Graph, precision: Precision, *, arithmetic: str) -> None:
    """Raise McugenError where ranges cannot be found at run time."""
    if precision or arithmetic != "default":
        raise McugenError(
            f"{graph.name}: activations 'dynamic' are int8, with int8 weights and mcugen's own arithmetic",
            hint="leave `--activations` out, or `--precision`, `--layer-precision` and `--arithmetic`",
        )


def precision_report(graph: Graph, precision: Precision) -> dict[str, dict[str, str]]:
    """By layer and model input: the words for its output and its weights, where they are not int8."""
    report = {name: {"output": precision.activations[name]} for name in graph.inputs if name in precision.activations}
    for node in graph.nodes:
        held = [precision.activations[name] for name in node.outputs if name in precision.activations]
        words = {"output": held[0]} if held else {}
        if node.name in precision.weights:
            words["weights"] = precision.weights[node.name]
        if words:
            report["+".join(dict.fromkeys(node.origin)) or node.name] = words
    return report


def int16_tensors(graph: Graph, precision: Precision) -> frozenset[str]:
    """The activations that are held in int16: those asked for, where all that write and read them can.

    Tensors that share their parameters share their precision: they are int16 where any of them is asked to be.
    """
    groups: dict[str, list[str]] = {name: [name] for name in graph.activations()}
    barred = {name for name in groups if not _can_be_int16(graph, name)}
    for node in graph.nodes:
        if operator(node.op).output_quant(node, graph) == "same" and node.inputs[0] in groups:
            joined = list(dict.fromkeys([*groups[node.inputs[0]], *(n for o in node.outputs for n in groups[o])]))
            groups.update(dict.fromkeys(joined, joined))
    asked = {name for name, word in precision.activations.items() if word == "int16"}
    return frozenset(
        name for name, group in groups.items() if asked.intersection(group) and not barred.intersection(group)
    )


def _can_be_int16(graph: Graph, name: str) -> bool:
    writer = graph.producer(name)
    readers = graph.readers(name)
    if writer is not None and not operator(writer.op).int16_output:
        return False
    nodes = readers if writer is None else [writer, *readers]
    return all(operator(node.op).int16_inputs for node in readers) and all(
        operator(node.op).takes_int16(node) for node in nodes
    )

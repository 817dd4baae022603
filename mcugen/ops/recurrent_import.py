"""LSTM, GRU and RNN: what is read from the ONNX node, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mcugen.ops.importing import emit_slice, reshaped
from mcugen.ops.operator import Importer

if TYPE_CHECKING:
    from mcugen.ops.recurrent import RecurrentOperator

Array = npt.NDArray[Any]

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def import_recurrent(op: RecurrentOperator, importer: Importer) -> list[str]:
    """Y and Y_h: a node a direction, in the layout [1, T, I]; raises UnsupportedModel where no integers can do it."""
    inputs = [*importer.inputs(), *[""] * 8][:8]
    directions = DIRECTIONS[str(importer.attr("direction", "forward"))]
    batch_first = bool(importer.attr("layout", 0))
    shape = importer.shape(inputs[0])
    steps, batch = shape[:2][::-1] if batch_first else shape[:2]
    weights, state_weights, bias = _constants(op, importer, inputs, len(directions))
    hidden = state_weights.shape[-1]
    _refuse_rest(op, importer, inputs, steps=steps, batch=batch, directions=len(directions))
    clip = importer.attr("clip")
    attrs = op.extra_attrs(importer) | ({} if clip is None else {"clip": float(clip)})
    given = _given(op, importer, inputs, len(directions), hidden)
    last_cell = len(op.states) > 1 and importer.output_used(2)
    if (given or last_cell) and len(directions) > 1:
        raise importer.unsupported(
            "Y_c, or a computed state, of two directions", "write the directions as two layers, one of them reversed"
        )
    starts = [""] * 2 if given else inputs[5:7]
    initial = [
        _initial(importer, start, len(directions), hidden, op.states[i])
        for i, start in enumerate(starts[: len(op.states)])
    ]
    x = reshaped(importer, inputs[0], (1, steps, shape[-1]))
    outputs, last = [], []
    for i, reverse in enumerate(directions):
        to_input, to_state = op.biases(importer, bias[i], attrs)
        parts = (weights[i], to_input, state_weights[i], to_state, *(value[i] for value in initial))
        names = ("weights", "bias", "state_weights", "state_bias", *op.states)
        constants = [importer.add_constant(part, name) for part, name in zip(parts, names, strict=True)]
        sequence = importer.output_used(0)
        operands = [x, *constants[:4], *(given or constants[4:])]
        options = {"reverse": reverse, "sequence": sequence, **attrs}
        if given or last_cell:
            y, y_c = importer.emit_many("lstm_states", operands, 2, **options)
        else:
            y = y_c = importer.emit(op.name, operands, **options)
        outputs.append(y)
        end = 0 if reverse or not sequence else steps - 1
        last.append(emit_slice(importer, y, {1: range(end, end + 1)}))
    y, y_h = (parts[0] if len(parts) == 1 else importer.emit("concat", parts, axis=2) for parts in (outputs, last))
    results = [y]
    if importer.output_used(0):
        four = (1, steps, len(directions), hidden) if batch_first else (steps, len(directions), 1, hidden)
        results = [reshaped(importer, y, four)]
    three = (1, len(directions), hidden) if batch_first else (len(directions), 1, hidden)
    y_c = reshaped(importer, y_c, three) if last_cell else y_h
    return [*results, reshaped(importer, y_h, three), y_c][: max(1, importer.output_count())]


def _constants(
    op: RecurrentOperator, importer: Importer, inputs: Sequence[str], directions: int
) -> tuple[Array, Array, Array]:
    """Weights [directions, G * H, I], state weights [directions, G * H, H] and biases [directions, 2, G * H]."""
    found = [importer.constant(name) for name in inputs[1:4]]
    if found[0] is None or found[1] is None or (inputs[3] and found[2] is None):
        raise importer.unsupported(
            "its weights are computed by the model", "export it for inference, with constant weights"
        )
    rows, hidden = found[1].shape[1:]
    if len(found[0]) != directions or rows != op.gates * hidden:
        raise importer.unsupported(f"weights {list(found[0].shape)} and {list(found[1].shape)} do not fit each other")
    bias = np.zeros((directions, 2 * rows), np.float32) if found[2] is None else found[2]
    return found[0], found[1], bias.reshape(directions, 2, rows)


def _refuse_rest(
    op: RecurrentOperator, importer: Importer, inputs: Sequence[str], *, steps: int, batch: int, directions: int
) -> None:
    if batch != 1:
        raise importer.unsupported(
            f"a batch of {batch} sequences",
            "give the batch's axis the size 1 with `--shape INPUT=...`; one run is one sequence",
        )
    lengths = importer.constant(inputs[4])
    if inputs[4] and (lengths is None or np.any(lengths != steps)):
        raise importer.unsupported(
            "sequence_lens shorter than the input, or computed",
            f"leave it out of the export: all {steps} steps are run; a shorter sequence is another model",
        )
    if any(inputs[7:]):
        raise importer.unsupported("peepholes (its input P)", "train it without: PyTorch's and Keras' LSTM have none")
    given = [str(getattr(name, "decode", lambda text=name: text)()) for name in importer.attr("activations", [])]
    if [name.lower() for name in given] not in ([], [name.lower() for name in op.activations] * directions):
        raise importer.unsupported(
            f"activations {', '.join(given)}",
            f"the default ones, {', '.join(op.activations)}, have integers; train it with those",
        )
    if importer.attr("input_forget", 0):
        raise importer.unsupported("input_forget (coupled gates)", "export it without: PyTorch and Keras have none")


def _given(op: RecurrentOperator, importer: Importer, inputs: Sequence[str], directions: int, hidden: int) -> list[str]:
    """State and cell of an LSTM [1, H] where both are computed or the model's inputs; none where both are constants."""
    names = inputs[5 : 5 + len(op.states)]
    computed = [bool(name) and importer.constant(name) is None for name in names]
    if len(names) < 2 or not all(computed):
        return []
    return [reshaped(importer, name, (1, hidden)) if directions == 1 else name for name in names]


def _initial(importer: Importer, name: str, directions: int, hidden: int, field: str) -> Array:
    """A constant initial state [directions, H], zero where there is none."""
    if not name:
        return np.zeros((directions, hidden), np.float32)
    value = importer.constant(name)
    if value is None:
        raise importer.unsupported(
            f"{field} is computed by the model or one of its inputs",
            "start from a constant state, and run whole sequences",
        )
    if field == "initial_h" and np.abs(value).max(initial=0.0) > 1:
        raise importer.unsupported(
            "an initial_h beyond [-1, 1]", "no step of the layer could reach it: start from zero"
        )
    return np.broadcast_to(value.reshape(directions, -1), (directions, hidden))

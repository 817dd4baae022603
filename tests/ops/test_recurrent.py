"""LSTM, GRU and RNN: ONNX nodes against onnxruntime, what is refused, and how near the integers come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from mcugen.errors import UnsupportedModel
from mcugen.execute import evaluate, reference
from mcugen.graph import Graph
from mcugen.ops.recurrent import sigmoid_q15, tanh_q15, tanh_table
from mcugen.pipeline import load, quantize
from mcugen.sqnr import sqnr_db

Array = np.ndarray[Any, Any]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FLOAT = onnx.TensorProto.FLOAT


def model(
    kind: str,
    *,
    steps: int = 6,
    depth: int = 3,
    hidden: int = 4,
    direction: str = "forward",
    layout: int = 0,
    outputs: tuple[str, ...] = ("Y",),
    initial: bool = False,
    given: bool = False,
    batch: int = 1,
    extra: dict[str, Array] | None = None,
    **attrs: Any,
) -> onnx.ModelProto:
    """A model of one recurrent node with random weights; `extra` are more constant inputs by the ONNX input's name."""
    rng = np.random.default_rng([depth, hidden])
    rows, directions = GATES[kind] * hidden, 2 if direction == "bidirectional" else 1
    values = {
        "W": rng.normal(size=(directions, rows, depth)) * 2 / np.sqrt(depth),
        "R": rng.normal(size=(directions, rows, hidden)) / np.sqrt(hidden),
        "B": rng.normal(size=(directions, 2 * rows)) * 0.4,
    }
    if initial:
        shape = (1, directions, hidden) if layout else (directions, 1, hidden)
        values["initial_h"] = rng.uniform(-0.9, 0.9, shape)
        values |= {"initial_c": rng.normal(size=shape)} if kind == "LSTM" else {}
    values |= extra or {}
    order = ("W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
    names = ["x", *(name if name in values else "" for name in order)]
    while not names[-1]:
        names.pop()
    known = ("Y", "Y_h", "Y_c")[: 3 if kind == "LSTM" else 2]
    node = helper.make_node(
        kind,
        names,
        [n if n in outputs else "" for n in known],
        name="n",
        direction=direction,
        hidden_size=hidden,
        **attrs,
    )
    if layout:
        node.attribute.append(helper.make_attribute("layout", 1))
    shape = (batch, steps, depth) if layout else (steps, batch, depth)
    inputs = {"x": shape}
    if given:
        inputs |= {n: values.pop(n).shape for n in ("initial_h", "initial_c") if n in values}
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, FLOAT, ["?"] * (4 if n == "Y" else 3)) for n in outputs],
        [numpy_helper.from_array(v if n == "sequence_lens" else v.astype(np.float32), n) for n, v in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def read(proto: onnx.ModelProto, folder: Path) -> Graph:
    onnx.save(proto, folder / "m.onnx")
    return load(folder / "m.onnx")


VARIANTS = [
    *(
        (kind, {"direction": d, "outputs": o})
        for kind in GATES
        for d in ("forward", "reverse")
        for o in (("Y",), ("Y_h",))
    ),
    *((kind, {"direction": "bidirectional", "outputs": ("Y", "Y_h")}) for kind in GATES),
    *((kind, {"initial": True, "direction": "bidirectional"}) for kind in GATES),
    *((kind, {"clip": 0.6}) for kind in GATES),
    ("GRU", {"linear_before_reset": 1}),
    ("GRU", {"linear_before_reset": 1, "clip": 0.6, "direction": "reverse"}),
]


@pytest.mark.parametrize(
    ("kind", "options"), VARIANTS, ids=[f"{k}-{'-'.join(map(str, o.values()))}" for k, o in VARIANTS]
)
def test_float_values_are_those_of_onnxruntime(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    proto = model(kind, **options)
    x = np.random.default_rng(1).normal(size=(6, 1, 3)).astype(np.float32)
    wanted = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    got = evaluate(read(proto, tmp_path), {"x": x[None]})
    batch_first = evaluate(read(model(kind, layout=1, **options), tmp_path), {"x": x.transpose(1, 0, 2)})
    for name, value in zip(options.get("outputs", ("Y",)), wanted, strict=True):
        np.testing.assert_allclose(got[name].reshape(value.shape), value, atol=2e-6)
        np.testing.assert_allclose(batch_first[name], np.moveaxis(value, -2, 0), atol=2e-6)


REFUSED = [
    ("LSTM", {"extra": {"P": np.zeros((1, 12))}}, "peepholes"),
    ("GRU", {"extra": {"sequence_lens": np.array([4], np.int32)}}, "sequence_lens"),
    ("LSTM", {"batch": 2}, "a batch of 2 sequences"),
    ("LSTM", {"input_forget": 1}, "input_forget"),
    ("RNN", {"activations": ["Relu"]}, "activations Relu"),
    ("GRU", {"activations": ["Sigmoid", "Softsign"]}, "Softsign"),
    ("GRU", {"extra": {"initial_h": np.full((1, 1, 4), 1.5)}}, "initial_h beyond"),
    ("GRU", {"initial": True, "given": True}, "initial_h is computed"),
    ("LSTM", {"direction": "bidirectional", "outputs": ("Y", "Y_c")}, "of two directions"),
]


@pytest.mark.parametrize(("kind", "options", "reason"), REFUSED, ids=[reason for _, _, reason in REFUSED])
def test_what_has_no_integers_is_refused_by_name(
    kind: str, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModel, match=reason) as caught:
        read(model(kind, **options), tmp_path)
    assert caught.value.hint and "node 'n'" in caught.value.message


@pytest.mark.parametrize("given", [False, True])
def test_the_last_cell_and_given_states_are_those_of_onnxruntime(given: bool, tmp_path: Path) -> None:
    names = ("Y", "Y_h", "Y_c")
    proto = model("LSTM", outputs=names, initial=True, given=given)
    rng = np.random.default_rng(1)
    fed = {
        "x": rng.normal(size=(6, 1, 3)),
        "initial_h": rng.uniform(-1, 1, (1, 1, 4)),
        "initial_c": rng.normal(size=(1, 1, 4)),
    }
    fed = {n: v.astype(np.float32) for n, v in fed.items() if given or n == "x"}
    wanted = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, fed)
    got = evaluate(read(proto, tmp_path), {n: v[None] if n == "x" else v for n, v in fed.items()})
    for name, value in zip(names, wanted, strict=True):
        np.testing.assert_allclose(got[name].reshape(value.shape), value, atol=2e-6)


def test_a_sequence_in_pieces_keeps_its_state_and_its_precision(tmp_path: Path) -> None:
    hidden, depth, steps = 16, 6, 60
    x = np.random.default_rng(5).normal(size=(8, steps, depth)).astype(np.float32)
    whole = read(model("LSTM", steps=steps, depth=depth, hidden=hidden, layout=1), tmp_path)
    wanted = evaluate(whole, {"x": x})["Y"][:, :, 0]
    options: dict[str, Any] = {"depth": depth, "hidden": hidden, "layout": 1, "outputs": ("Y_h", "Y_c")}
    piece = read(model("LSTM", steps=1, initial=True, given=True, **options), tmp_path)
    rng = np.random.default_rng(6)
    drawn = {"initial_h": rng.uniform(-1, 1, (64, 1, hidden)), "initial_c": rng.uniform(-2, 2, (64, 1, hidden))}
    samples = {"x": x.reshape(-1, 1, depth)[:64]} | {n: v.astype(np.float32) for n, v in drawn.items()}
    integer = quantize(piece, samples).graph
    quants = {name: integer.tensors[name].quant for name in (*piece.inputs, *piece.outputs)}
    assert quants["initial_c"] == quants["Y_c"] and quants["initial_h"] == quants["Y_h"]
    assert integer.tensors["Y_c"].dtype == "int16"
    fed = {"initial_h": np.zeros((8, 1, hidden), np.int8), "initial_c": np.zeros((8, 1, hidden), np.int16)}
    states = []
    for t in range(steps):
        given = reference(integer, {"x": quants["x"].quantize(x[:, t : t + 1]), **fed})  # type: ignore[union-attr]
        fed = {"initial_h": given["Y_h"], "initial_c": given["Y_c"]}
        states.append(given["Y_h"][:, 0] / 128)
    assert sqnr_db(wanted, np.stack(states, axis=1)) > 30


def test_an_encoder_hands_its_state_to_a_decoder(build_package, tmp_path: Path) -> None:
    encoder, decoder = model("LSTM", outputs=("Y_h", "Y_c")), model("LSTM", initial=True, given=True)
    for node, names in ((encoder.graph.node[0], {}), (decoder.graph.node[0], {"initial_h": "Y_h", "initial_c": "Y_c"})):
        node.name = f"layer_{len(names)}"
        node.input[:] = [names.get(n, n) for n in node.input]
    encoder.graph.node.append(decoder.graph.node[0])
    del encoder.graph.output[:]
    encoder.graph.output.extend(decoder.graph.output)
    graph = read(encoder, tmp_path)
    x = np.random.default_rng(7).normal(size=(12, 6, 1, 3)).astype(np.float32)
    package = build_package(graph, {"x": x})
    integer = package.graph
    quant = integer.tensors["x"].quant
    got = np.stack([reference(integer, {"x": quant.quantize(one[None])})["Y"] for one in x]) / 128
    wanted = np.stack([evaluate(graph, {"x": one[None]})["Y"] for one in x])
    assert sqnr_db(wanted, got) > 25


def test_sequence_lens_of_the_whole_input_and_named_default_activations_are_taken(tmp_path: Path) -> None:
    whole = {"sequence_lens": np.array([6], np.int32)}
    graph = read(model("LSTM", extra=whole, activations=["Sigmoid", "Tanh", "Tanh"]), tmp_path)
    assert "lstm" in [node.op for node in graph.nodes]


def test_only_the_last_state_is_kept_where_only_that_is_read(tmp_path: Path) -> None:
    graph = read(model("LSTM", steps=50, outputs=("Y_h",), layout=1), tmp_path)
    assert graph.tensors[next(n for n in graph.nodes if n.op == "lstm").outputs[0]].shape == (1, 1, 4)


def test_a_scale_before_the_layer_goes_into_its_weights(tmp_path: Path) -> None:
    proto = model("LSTM", layout=1)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2.0, 0.5, -1.0], np.float32), "scale"))
    proto.graph.node.insert(0, helper.make_node("Mul", ["x", "scale"], ["scaled"]))
    proto.graph.node[1].input[0] = "scaled"
    graph = read(proto, tmp_path)
    assert "affine" not in [node.op for node in graph.nodes]
    x = np.random.default_rng(2).normal(size=(1, 6, 3)).astype(np.float32)
    plain = read(model("LSTM", layout=1), tmp_path)
    scaled = evaluate(plain, {"x": x * np.array([2.0, 0.5, -1.0], np.float32)})
    np.testing.assert_allclose(evaluate(graph, {"x": x})["Y"], scaled["Y"], atol=2e-6)


def test_curves_keep_their_error_bounds() -> None:
    x, table = np.arange(-32768, 32768), tanh_table()
    assert np.abs(tanh_q15(table, x) - 32768 * np.tanh(x / 4096)).max() <= 4.1
    assert np.abs(sigmoid_q15(table, x) - 32768 / (1 + np.exp(-x / 4096))).max() <= 2.6
    assert (sigmoid_q15(table, x).min(), sigmoid_q15(table, x).max()) == (11, 32757)


SIGNAL_TO_NOISE = {"LSTM": 30.0, "GRU": 30.0, "RNN": 30.0}


@pytest.mark.parametrize("steps", [20, 100])
@pytest.mark.parametrize("kind", list(GATES))
def test_errors_do_not_grow_with_the_steps(kind: str, steps: int, tmp_path: Path) -> None:
    graph = read(model(kind, steps=steps, depth=8, hidden=24, layout=1), tmp_path)
    x = np.random.default_rng(3).normal(size=(24, steps, 8)).astype(np.float32)
    integer = quantize(graph, {"x": x[:16]}).graph
    q = integer.tensors["x"].quant
    assert q is not None
    wanted = evaluate(graph, {"x": x[16:]})["Y"]
    got = reference(integer, {"x": q.quantize(x[16:])})["Y"] / 128
    assert sqnr_db(wanted, got) > SIGNAL_TO_NOISE[kind]
    early, late = ((got - wanted)[:, part] for part in (slice(0, steps // 2), slice(steps // 2, None)))
    assert np.square(late).mean() < 2 * np.square(early).mean()

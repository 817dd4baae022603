"""Models of ai.onnx.ml as scikit-learn's pipelines are exported: scalers, linear models, MLPs, labels and maps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import mcugen
from mcugen.errors import UnsupportedModel
from mcugen.evaluation import quantize_input
from mcugen.execute import evaluate as float_outputs
from mcugen.execute import reference
from mcugen.onnx_reader import read_onnx
from mcugen.sqnr import sqnr_db

sys.path.insert(0, str(Path(__file__).parent))
from harness import evaluate

Array = np.ndarray[Any, Any]
ML = "ai.onnx.ml"
FEATURES, CLASSES = 4, 3
OFFSET, SCALE = [5.8, 3.0, 3.7, 1.2], [1.2, 2.3, 0.57, 1.3]
STRINGS = [b"setosa", b"versicolor", b"virginica"]
SCORES = {"coefficients": [0.3 * ((7 * i) % 9 - 4) for i in range(12)], "intercepts": [0.5, -0.25, 0.125]}
TWO_SCORES = {"coefficients": [-0.5, 0.25, -1.0, 2.0, 0.5, -0.25, 1.0, -2.0], "intercepts": [-0.5, 0.5]}


def node(op: str, inputs: list[str], outputs: list[str], domain: str = ML, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, outputs, name=op, domain=domain, **attrs)


def tensor(name: str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """An output of rows; a label is one value a row."""
    return helper.make_tensor_value_info(name, kind, [None, None] if kind == TensorProto.FLOAT else [None])


def model(
    nodes: list[onnx.NodeProto], outputs: list[onnx.ValueInfoProto], constants: dict[str, Array] | None = None
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, FEATURES])
    stored = [numpy_helper.from_array(data, name) for name, data in (constants or {}).items()]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 1)]
    graph = helper.make_graph(nodes, "g", [x], outputs, stored)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def saved(proto: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(proto, folder / "model.onnx")
    return folder / "model.onnx"


def scaler() -> onnx.NodeProto:
    return node("Scaler", ["X"], ["scaled"], offset=OFFSET, scale=SCALE)


def classifier(source: str, *, strings: bool = False, **attrs: Any) -> onnx.NodeProto:
    labels: dict[str, Any] = {"classlabels_strings": STRINGS} if strings else {"classlabels_ints": [10, 20, 30]}
    return node(
        "LinearClassifier", [source], ["label", "raw"], **{**SCORES, "post_transform": "SOFTMAX", **labels, **attrs}
    )


def probability_map(source: str, *, strings: bool) -> onnx.NodeProto:
    labels: dict[str, Any] = {"classlabels_strings": STRINGS} if strings else {"classlabels_int64s": [10, 20, 30]}
    return node("ZipMap", [source], ["output_probability"], **labels)


def map_type() -> onnx.ValueInfoProto:
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    return helper.make_value_info("output_probability", helper.make_sequence_type_proto(kind))


def logistic_regression(*, strings: bool = False, zipmap: bool = True) -> onnx.ModelProto:
    nodes = [scaler(), classifier("scaled", strings=strings), node("Normalizer", ["raw"], ["probabilities"], norm="L1")]
    if not zipmap:
        return model(nodes, [tensor("label", TensorProto.INT64), tensor("probabilities")])
    kind = TensorProto.STRING if strings else TensorProto.INT64
    nodes.append(node("Identity", ["label"], ["output_label"], ""))
    nodes.append(probability_map("probabilities", strings=strings))
    return model(nodes, [tensor("output_label", kind), map_type()])


def network(*, strings: bool = False, zipmap: bool = True) -> onnx.ModelProto:
    rng = np.random.default_rng(5)
    constants = {
        "w": rng.normal(size=(FEATURES, 8)).astype(np.float32),
        "b": rng.normal(size=(1, 8)).astype(np.float32),
        "v": rng.normal(size=(8, CLASSES)).astype(np.float32),
        "c": rng.normal(size=(1, CLASSES)).astype(np.float32),
        "classes": np.array(STRINGS if strings else [10, 20, 30]),
        "shape": np.array([-1], np.int64),
    }
    constants["classes"] = constants["classes"].astype(object) if strings else constants["classes"]
    nodes = [
        scaler(),
        node("Cast", ["scaled"], ["real"], "", to=TensorProto.FLOAT),
        node("MatMul", ["real", "w"], ["xw"], ""),
        node("Add", ["xw", "b"], ["hidden"], ""),
        node("Relu", ["hidden"], ["active"], ""),
        helper.make_node("MatMul", ["active", "v"], ["av"], name="second"),
        helper.make_node("Add", ["av", "c"], ["logits"], name="bias"),
        node("Softmax", ["logits"], ["probabilities"], ""),
        node("ArgMax", ["probabilities"], ["best"], "", axis=1),
        node("ArrayFeatureExtractor", ["classes", "best"], ["class"]),
        node("Reshape", ["class", "shape"], ["label"], ""),
    ]
    kind = TensorProto.STRING if strings else TensorProto.INT64
    if not zipmap:
        return model(nodes, [tensor("label", kind), tensor("probabilities")], constants)
    nodes.append(probability_map("probabilities", strings=strings))
    return model(nodes, [tensor("label", kind), map_type()], constants)


def samples(count: int = 64) -> Array:
    rng = np.random.default_rng(11)
    spread = rng.normal(size=(count, FEATURES)) / np.array(SCALE) + np.array(OFFSET)
    return spread.astype(np.float32)


LINEAR = {
    "scaler": model([scaler()], [tensor("scaled")]),
    "scaler of one value": model([node("Scaler", ["X"], ["y"], offset=[2.0], scale=[0.5])], [tensor("y")]),
    "regressor": model([node("LinearRegressor", ["X"], ["y"], coefficients=OFFSET, intercepts=[1.5])], [tensor("y")]),
    "two targets": model(
        [node("LinearRegressor", ["X"], ["y"], coefficients=OFFSET + SCALE, intercepts=[1.5, -1.0], targets=2)],
        [tensor("y")],
    ),
    "softmax": model([classifier("X")], [tensor("raw")]),
    "scores": model([classifier("X", post_transform="NONE")], [tensor("raw")]),
    "one against the rest": model([classifier("X", post_transform="LOGISTIC")], [tensor("raw")]),
    "two classes": model(
        [classifier("X", **TWO_SCORES, classlabels_ints=[0, 1], post_transform="LOGISTIC")], [tensor("raw")]
    ),
    "two classes of one score": model(
        [classifier("X", coefficients=SCALE, intercepts=[-9.0], classlabels_ints=[0, 1], post_transform="LOGISTIC")],
        [tensor("raw")],
    ),
    "normalized": model([classifier("X"), node("Normalizer", ["raw"], ["y"], norm="L1")], [tensor("y")]),
    "one column": model(
        [classifier("X", post_transform="NONE"), node("ArrayFeatureExtractor", ["raw", "place"], ["y"])],
        [tensor("y")],
        {"place": np.array([1], np.int64)},
    ),
    "columns": model(
        [node("ArrayFeatureExtractor", ["X", "places"], ["y"])],
        [tensor("y")],
        {"places": np.array([[3, 0, 1]], np.int64)},
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_float_meaning(name: str, tmp_path: Path) -> None:
    proto = LINEAR[name]
    graph = read_onnx(saved(proto, tmp_path))
    assert graph.notes == ()
    for x in samples(8):
        wanted = ReferenceEvaluator(proto).run(None, {"X": x[None]})[0]
        got = evaluate(graph, {"X": x[None]})[graph.outputs[0]]
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("make", [logistic_regression, network])
@pytest.mark.parametrize("strings", [False, True])
def test_labels_and_maps_are_left_out(make: Any, strings: bool, tmp_path: Path) -> None:
    graph = mcugen.load(saved(make(strings=strings), tmp_path))
    layers = 1 if make is logistic_regression else 2
    assert [n.op for n in graph.nodes] == ["fully_connected"] * layers + ["softmax"]  # the scaler is in the weights
    assert graph.outputs == ["output_probability"]
    label, mapped = graph.notes
    assert "label' is left out: it is the class of the largest of 'output_probability'" in label
    listed = "setosa, versicolor, virginica" if strings else "10, 20, 30"
    assert mapped.endswith(f"(ZipMap is left out); classes in this order: {listed}")
    assert "classes in" not in label


@pytest.mark.parametrize("make", [logistic_regression, network])
def test_probabilities_are_those_of_the_model(make: Any, tmp_path: Path) -> None:
    proto = make(zipmap=False)
    graph = mcugen.load(saved(proto, tmp_path))
    assert graph.outputs == ["probabilities"]
    assert [note.partition("; ")[2] for note in graph.notes] == ["classes in this order: 10, 20, 30"]
    for x in samples(8):
        labels, wanted = ReferenceEvaluator(proto).run(None, {"X": x[None]})
        got = evaluate(graph, {"X": x[None]})["probabilities"]
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)
        assert [10, 20, 30][int(got.argmax())] == labels[0]


@pytest.mark.parametrize("make", [logistic_regression, network])
def test_integers_are_exact_in_c_and_close_to_float(make: Any, tmp_path: Path) -> None:
    data, unseen = {"X": samples(64)}, samples(100)[64:]
    quantized = mcugen.quantize(mcugen.load(saved(make(), tmp_path)), data)
    assert sum("left out" in note for note in quantized.notes) == 2
    mcugen.compile(quantized).write(tmp_path / "built")
    mcugen.verify(tmp_path / "built")
    graph = quantized.graph
    output = graph.outputs[0]
    wanted = float_outputs(quantized.float_graph, {"X": unseen})[output]
    quant = graph.tensors[output].quant
    assert quant is not None
    got = quant.dequantize(reference(graph, {"X": quantize_input(graph, "X", unseen)})[output])
    assert sqnr_db(wanted, got) > 30


def test_features_of_very_different_sizes_are_told_of(tmp_path: Path) -> None:
    """A scaler that is folded leaves one scale for features that it was there to bring to one size."""
    sizes = np.array([1.0, 1.0, 0.5, 1000.0], np.float32)
    unequal = node("Scaler", ["X"], ["scaled"], offset=(OFFSET * sizes).tolist(), scale=(SCALE / sizes).tolist())
    path = saved(model([unequal, classifier("scaled")], [tensor("raw")]), tmp_path)
    loaded, data = mcugen.load(path), {"X": samples() * sizes}
    notes = mcugen.quantize(loaded, data, effort="fast").notes
    assert len(notes) == 1
    assert notes[0].startswith("input 'X': in int8") and notes[0].endswith("`--layer-precision X=int16`")
    assert mcugen.quantize(loaded, data, effort="fast", layer_precision={"X": "int16"}).notes == ()


def test_label_that_is_not_of_an_output(tmp_path: Path) -> None:
    """RidgeClassifier with two classes: the output is the score of the second one alone."""
    two = classifier("X", **TWO_SCORES, classlabels_ints=[0, 1], post_transform="NONE")
    nodes = [two, node("ArrayFeatureExtractor", ["raw", "place"], ["probabilities"])]
    outputs = [tensor("label", TensorProto.INT64), tensor("probabilities")]
    path = saved(model(nodes, outputs, {"place": np.array([1], np.int64)}), tmp_path)
    assert read_onnx(path).notes == (
        "output 'label' is left out: it is the class of the largest of 'raw' (`--outputs raw` gives it); "
        "classes in this order: 0, 1",
    )
    cut = read_onnx(path, outputs=["raw"])
    assert (cut.outputs, cut.notes) == (["raw"], ())


def test_many_classes_are_not_all_listed(tmp_path: Path) -> None:
    many = classifier("X", coefficients=[0.5] * 48, intercepts=[0.0] * 12, classlabels_ints=list(range(12)))
    path = saved(model([many], [tensor("label", TensorProto.INT64), tensor("raw")]), tmp_path)
    assert read_onnx(path).notes[0].endswith("order: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")


REFUSED = {
    "trees": (
        [scaler(), node("TreeEnsembleClassifier", ["scaled"], ["label", "p"]), probability_map("p", strings=False)],
        "node 'TreeEnsembleClassifier' (TreeEnsembleClassifier): operator not supported",
        "LinearClassifier, LinearRegressor, Normalizer, Scaler",
    ),
    "norm of the data": (
        [node("Normalizer", ["X"], ["p"], norm="L2"), probability_map("p", strings=False)],
        "node 'Normalizer' (Normalizer): it divides by a norm of the data",
        "normalize in C",
    ),
    "probit": (
        [classifier("X", post_transform="PROBIT"), probability_map("raw", strings=False)],
        "node 'LinearClassifier' (LinearClassifier): post_transform PROBIT",
        "SOFTMAX",
    ),
    "scaler of other features": (
        [node("Scaler", ["X"], ["p"], offset=[1.0, 2.0], scale=[1.0, 2.0]), probability_map("p", strings=False)],
        "node 'Scaler' (Scaler): 2 offsets and 2 scales do not fit the shape [1, 4]",
        "--shape",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_error_says_where_and_what_to_do(name: str, tmp_path: Path) -> None:
    nodes, reason, remedy = REFUSED[name]
    path = saved(model(nodes, [map_type()]), tmp_path)
    with pytest.raises(UnsupportedModel) as caught:
        read_onnx(path)
    assert caught.value.message.startswith(f"model.onnx: {reason}")
    assert remedy in str(caught.value.hint)


def test_label_that_is_asked_for_is_refused(tmp_path: Path) -> None:
    path = saved(logistic_regression(), tmp_path)
    with pytest.raises(UnsupportedModel, match="its label is an integer or a string"):
        read_onnx(path, outputs=["output_label"])
    with pytest.raises(UnsupportedModel, match="ArgMax"):
        read_onnx(saved(network(), tmp_path), outputs=["label"])

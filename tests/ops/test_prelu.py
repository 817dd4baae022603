"""PRelu from ONNX: every form of its slope, channels last between convolutions, and its slopes through pruning."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mcugen.errors import UnsupportedModel
from mcugen.onnx_reader import read_onnx
from mcugen.pipeline import canonical
from mcugen.prune.channels import remove_channels
from mcugen.prune.groups import channel_groups

sys.path.insert(0, str(Path(__file__).parent))
from harness import evaluate

CHANNELS = 6
IMAGE = (1, CHANNELS, 5, 4)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def saved(
    folder: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], *, x: tuple[int, ...] = IMAGE
) -> Path:
    """A model whose input is `x`, or `x` and `s` where no constant is called so, and whose output is `y`."""
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x)]
    if not any("s" in (*constants, *node.output) for node in nodes):
        inputs.append(helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, (CHANNELS, 1, 1)))
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None] * len(x))
    initializers = [numpy_helper.from_array(data, name) for name, data in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, [output], initializers)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def compared(path: Path) -> list[str]:
    """The operators of a model whose values agree with the onnx evaluator's."""
    graph = read_onnx(path)
    feeds = {name: np.random.default_rng(3).normal(size=graph.tensors[name].shape) for name in graph.inputs}
    feeds = {name: data.astype(np.float32) for name, data in feeds.items()}
    (wanted,) = ReferenceEvaluator(onnx.load(path)).run(None, feeds)
    np.testing.assert_allclose(evaluate(graph, feeds)["y"], wanted, rtol=1e-5, atol=1e-6)
    return [node.op for node in canonical(graph).nodes]


@pytest.mark.parametrize(
    ("x", "slope", "operators"),
    [
        (IMAGE, normal(CHANNELS, 1, 1), ["prelu"]),
        (IMAGE, normal(4), ["prelu"]),
        ((1, CHANNELS), normal(CHANNELS), ["prelu"]),
        (IMAGE, normal(1), ["table"]),
        (IMAGE, normal(), ["table"]),
        (IMAGE, np.full((CHANNELS, 1, 1), 0.25, np.float32), ["table"]),
        (IMAGE, normal(CHANNELS, 5, 4), ["clip", "clip", "mul", "add"]),
    ],
    ids=["channels", "last", "vector", "one", "scalar", "equal", "elements"],
)
def test_slope(x: tuple[int, ...], slope: np.ndarray, operators: list[str], tmp_path: Path) -> None:
    assert compared(saved(tmp_path, [helper.make_node("PRelu", ["x", "s"], ["y"])], {"s": slope}, x=x)) == operators


def test_computed_slope(tmp_path: Path) -> None:
    path = saved(tmp_path, [helper.make_node("PRelu", ["x", "s"], ["y"])], {})
    assert compared(path) == ["reshape", "clip", "clip", "mul", "add"]


def test_slope_through_unsqueeze_stays_channels_last(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["flat", "axes"], ["s"]),
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["a", "s"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["y"]),
    ]
    constants = {
        "flat": normal(CHANNELS),
        "axes": np.array([1, 2], np.int64),
        "w1": normal(CHANNELS, CHANNELS, 3, 3),
        "w2": normal(2, CHANNELS, 1, 1),
    }
    path = saved(tmp_path, nodes, constants)
    assert compared(path) == ["transpose", "conv2d", "prelu", "conv2d", "transpose"]

    graph = canonical(read_onnx(path))
    groups = channel_groups(graph)
    between = graph.nodes[1].outputs[0]
    live = np.ones(groups.count, bool)
    live[groups.of[between][[1, 4]]] = False
    pruned = remove_channels(graph, groups.keep_masks(live))
    (node,) = [node for node in pruned.nodes if node.op == "prelu"]
    np.testing.assert_array_equal(pruned.constant(node.inputs[1]), constants["flat"][[0, 2, 3, 5]])


def test_slope_larger_than_its_input_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, [helper.make_node("PRelu", ["x", "s"], ["y"], name="act")], {"s": normal(2, 1, 1, 1)})
    with pytest.raises(UnsupportedModel, match=r"'act' \(PRelu\): its slope \[2, 1, 1, 1\] does not broadcast"):
        read_onnx(path)

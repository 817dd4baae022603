"""Files that a careless exporter or an attacker could write: each is refused with a reason and a remedy, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import small_models
from onnx import TensorProto, helper

Run = Callable[..., Any]


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def one_node(path: Path, op: str, shape: tuple[int, ...], *constants: np.ndarray, **attrs: Any) -> Path:
    names = [f"c{i}" for i in range(len(constants))]
    node = helper.make_node(op, ["x", *names], ["y"], name="n", **attrs)
    return small_models.save(path, [node], dict(zip(names, constants, strict=True)), x=shape, y=("d",))


KERNEL = weights(4, 3, 3, 3)
IMAGE = (1, 3, 8, 8)
LARGE = 1 << 20


@pytest.mark.parametrize(
    ("op", "shape", "constants", "attrs", "part"),
    [
        ("Relu", (1, 1 << 40), (), {}, "1099511627776 values"),
        ("Relu", (1, -5), (), {}, "dynamic shape [1, -5]"),
        ("Expand", (1, 10), (np.array([LARGE, LARGE, 10]),), {}, "a tensor of 10995116277760 values"),
        ("Tile", (1, 10), (np.array([LARGE, LARGE]),), {}, "more than 67108864"),
        ("Conv", IMAGE, (KERNEL,), {"strides": [0, 0]}, "strides [0, 0]"),
        ("Conv", IMAGE, (KERNEL,), {"strides": [1 << 40, 1]}, "strides [1099511627776, 1]"),
        ("Conv", IMAGE, (KERNEL,), {"pads": [1, 1]}, "pads [1, 1] for 2 axes"),
        ("Conv", IMAGE, (KERNEL, weights(9)), {}, "a bias [9] for 4 output channels"),
        ("Conv", IMAGE, (weights(4, 5, 3, 3),), {}, "3 input channels do not fit weights [4, 5, 3, 3]"),
        ("MaxPool", IMAGE, (), {"kernel_shape": [20, 20]}, "window of 20"),
        ("Softmax", (1, 10), (), {"axis": 7}, "axis 7"),
        ("Gather", (1, 10), (np.array([99]),), {"axis": 1}, "indices [99]"),
        ("Gather", (), (np.array(0),), {}, "axis 0 of a tensor of 0 dimensions"),
        ("Softmax", (), (), {}, "axis -1 of a tensor of 0 dimensions"),
        ("MatMul", (), (weights(4),), {}, "shapes [1, 1] and [4, 1] do not multiply"),
        ("MatMul", (1, 5), (weights(4, 3),), {}, "shapes [1, 5] and [4, 3] do not multiply"),
        ("Cast", (1, 10), (), {"to": TensorProto.INT32}, "a cast to integers"),
    ],
)
def test_a_node_that_cannot_be(
    op: str,
    shape: tuple[int, ...],
    constants: tuple[np.ndarray, ...],
    attrs: dict[str, Any],
    part: str,
    refuse: Run,
    tmp_path: Path,
) -> None:
    refuse(one_node(tmp_path / "net.onnx", op, shape, *constants, **attrs), parts=["net.onnx", part])


def test_constants_of_any_size(refuse: Run, tmp_path: Path) -> None:
    for limits in ((0, 1 << 60, 1), (0.0, 1000.0, 1e-7), (0, 5, 0)):
        names = ("start", "stop", "step")
        nodes = [
            helper.make_node("Range", names, ["range"], name="n"),
            helper.make_node("ReduceSum", ["range"], ["sum"]),
            helper.make_node("Mul", ["x", "sum"], ["y"]),
        ]
        constants = {name: np.array(value) for name, value in zip(names, limits, strict=True)}
        model = small_models.save(tmp_path / "net.onnx", nodes, constants, x=(1, 4), y=(1, 4))
        refuse(model, parts=["node 'n' (Range)", "a constant of unreasonable size"])


TALL, FLAT = np.zeros((1 << 17, 8), np.float32), np.zeros((8, 1 << 17), np.float32)


@pytest.mark.parametrize(
    ("op", "constants", "attrs"),
    [
        ("MatMul", (TALL, FLAT), {}),
        ("MatMul", (TALL[None], FLAT[None]), {}),
        ("MatMul", (TALL[: 1 << 16].astype(np.int32), FLAT[:, : 1 << 16].astype(np.int32)), {}),
        ("Gemm", (FLAT, FLAT), {"transA": 1}),
        ("Conv", (np.zeros((1, 1, 1 << 19), np.float32), np.zeros((1, 1, (1 << 18) + 1), np.float32)), {}),
        ("Einsum", (TALL, FLAT), {"equation": "ij, jk -> ik"}),
        ("Einsum", (TALL, FLAT), {"equation": "...j, jk"}),
    ],
)
def test_products_of_constants_without_end(
    op: str, constants: tuple[np.ndarray, ...], attrs: dict[str, Any], refuse: Run, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node(op, ["a", "b"], ["c"], name="n", **attrs),
        helper.make_node("ReduceSum", ["c"], ["sum"]),
        helper.make_node("Mul", ["x", "sum"], ["y"]),
    ]
    model = small_models.save(
        tmp_path / "net.onnx", nodes, dict(zip("ab", constants, strict=True)), x=(1, 4), y=("d", "e")
    )
    refuse(model, parts=[f"node 'n' ({op})", "multiplications, more than 68719476736", "let the exporter fold"])


def test_products_of_constants_are_folded(run: Run, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["a", "b"], ["w"]),
        helper.make_node("Einsum", ["w", "b"], ["v"], equation="ij,jk->ik"),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    constants = {"a": weights(4, 5), "b": weights(5, 5)}
    model = small_models.save(tmp_path / "net.onnx", nodes, constants, x=(1, 4), y=(1, 5))
    assert [node["op"] for node in run("inspect", model, "--json").record["nodes"]] == ["fully_connected"]


def damaged(path: Path, damage: Callable[[onnx.ModelProto], None]) -> Path:
    proto = onnx.load(small_models.classifier(path))
    damage(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def test_damaged_files(refuse: Run, run: Run, tmp_path: Path) -> None:
    def unknown_type(proto: onnx.ModelProto) -> None:
        proto.graph.initializer[0].data_type = 77

    def no_outputs(proto: onnx.ModelProto) -> None:
        del proto.graph.output[:]

    path = tmp_path / "net.onnx"
    for damage, part in ((unknown_type, "weights 'w' are not readable"), (no_outputs, "the model has no output")):
        refuse(damaged(path, damage), parts=["net.onnx", part])
        assert part in "".join(run("inspect", path, "--json").record["unsupported"])


def test_the_computers_memory_is_no_defect(refuse: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_arguments: object, **_options: object) -> None:
        raise MemoryError("Unable to allocate 74.5 GiB")

    monkeypatch.setattr("mcugen.verbs.pipeline.quantize", short)
    refuse(model, parts=["this computer's memory does not suffice", "74.5 GiB", "fewer samples"])


def test_a_graph_without_nodes(run: Run, tmp_path: Path) -> None:
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    proto = helper.make_model(
        helper.make_graph([], "g", [port], [port]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(proto, tmp_path / "net.onnx")
    assert run("inspect", tmp_path / "net.onnx", "--json").record["supported"]
    run("build", tmp_path / "net.onnx", "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("op", "constants"),
    [
        ("Mul", [np.float32(2)]),
        ("Sub", [weights(3)]),
        ("Relu", []),
        ("PRelu", [np.float32(0.5)]),
        ("Expand", [np.array([1, 5])]),
    ],
)
def test_an_input_without_axes(op: str, constants: list[np.ndarray], run: Run, tmp_path: Path) -> None:
    model = one_node(tmp_path / "net.onnx", op, (), *map(np.asarray, constants))
    np.savez(tmp_path / "data.npz", x=weights(32))
    run("build", model, "--calibrate", tmp_path / "data.npz", "-o", tmp_path / "out")
    assert run("evaluate", tmp_path / "out", "--data", tmp_path / "data.npz", "--json").record


@pytest.mark.parametrize("scale", [1e-44, 1e-6])
def test_values_closer_together_than_float32_can_tell(scale: float, run: Run, tmp_path: Path) -> None:
    given = {"w": weights(12, 4) * np.float32(scale), "b": np.full(4, 1.0 if scale > 1e-20 else 0.0, np.float32)}
    model = small_models.classifier(tmp_path / "net.onnx", weights=given)
    run("build", model, "-o", tmp_path / "out", "--outputs", "logits")

"""Models whose tensors begin with an axis other than a batch of 1, through every command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
from onnx import helper
from strict import WARNINGS

Run = Callable[..., Any]
STRICT = ("-std=c99", *WARNINGS)
SAMPLES = 12


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32) / 2


def sequence(path: Path) -> Path:
    """An RNN over [time, batch, features], as PyTorch exports it, whose output has the axis of time first."""
    nodes = [
        helper.make_node("RNN", ["x", "w", "r"], ["states"], name="rnn", hidden_size=4),
        helper.make_node("Squeeze", ["states", "axes"], ["rows"], name="squeeze"),
        helper.make_node("MatMul", ["rows", "v"], ["y"], name="head"),
    ]
    constants = {"w": weights(1, 4, 3), "r": weights(1, 4, 4), "v": weights(4, 2), "axes": np.array([1, 2])}
    return small_models.save(path, nodes, constants, x=(7, 1, 3), y=(7, 2))


def signals(path: Path) -> Path:
    """A 1-D convolution and a global pool over three signals at once."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["sums"], name="conv", pads=[1, 1], strides=[2]),
        helper.make_node("Relu", ["sums"], ["bent"], name="relu"),
        helper.make_node("GlobalAveragePool", ["bent"], ["y"], name="pool"),
    ]
    return small_models.save(path, nodes, {"w": weights(5, 2, 3)}, x=(3, 2, 9), y=(3, 5, 1))


def number(path: Path) -> Path:
    """An output without any axis."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["rows"], name="dense"),
        helper.make_node("ReduceMean", ["rows"], ["y"], name="mean", keepdims=0),
    ]
    return small_models.save(path, nodes, {"w": weights(6, 4)}, x=(1, 6), y=())


def one_number(path: Path) -> Path:
    """A regression without its last axis, as `squeeze(-1)` leaves it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["column"], name="dense"),
        helper.make_node("Squeeze", ["column", "axes"], ["bare"], name="squeeze"),
        helper.make_node("Sigmoid", ["bare"], ["y"], name="sigmoid"),
    ]
    return small_models.save(path, nodes, {"w": weights(6, 1), "axes": np.array([1])}, x=(1, 6), y=(1,))


@pytest.mark.parametrize(
    ("make", "shape"), [(sequence, (7, 1, 3)), (signals, (3, 2, 9)), (number, (6,)), (one_number, (6,))]
)
def test_every_command_takes_it(make: Callable[[Path], Path], shape: tuple[int, ...], run: Run, tmp_path: Path) -> None:
    model, data, folder = make(tmp_path / "net.onnx"), tmp_path / "calib.npz", tmp_path / "out"
    np.savez(data, x=np.random.default_rng(0).normal(size=(SAMPLES, *shape)).astype(np.float32))
    built = run("build", model, "--calibrate", data, "--target", "cortex-m4", "--layers", "-o", folder, "--json")
    assert built.record["layer_fidelity"]["samples"] == SAMPLES
    program, sources = tmp_path / "selftest", [folder / name for name in ("src/net.c", "src/net_weights.c")]
    test = folder / "test/net_selftest.c"
    subprocess.run(["gcc", *STRICT, f"-I{folder / 'src'}", *sources, test, "-o", program], check=True)
    assert "2 golden vectors" in subprocess.run([program], check=True, capture_output=True, text=True).stdout
    found = run("evaluate", folder, "--data", data, "--layers", "--json").record
    assert found["samples"] == SAMPLES and found["sqnr_db"] > 25
    assert run("simulate", folder, "--vectors", "2", "--json").record["vectors"] == 2

"""What the training scripts share: seeds, export, the check against ONNX Runtime, and the data files."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int64]

OPSET = 18
LARGEST_EXPORT_ERROR = 1e-4


def make_deterministic(seed: int) -> None:
    """Fix every random source and use one thread, so that a second run writes the same bytes."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fit(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, *, epochs: int, batch_size: int, learning_rate: float,
    augment: nn.Module | None = None,
) -> None:
    """Train a classifier with AdamW, a one-cycle learning rate and cross-entropy; leaves it in evaluation mode."""
    steps = epochs * (len(x) // batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            batch = x[rows] if augment is None else augment(x[rows])
            optimizer.zero_grad()
            criterion(network(batch), y[rows]).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def predict(network: nn.Module, x: torch.Tensor) -> FloatArray:
    """Return the float32 outputs of a network in evaluation mode, one row a sample."""
    with torch.no_grad():
        return np.asarray(network(x).numpy(), dtype=np.float32)


def export(network: nn.Module, sample: torch.Tensor, path: Path, *, input_name: str, output_name: str) -> None:
    """Write a network as ONNX with a free batch size, through PyTorch's own exporter."""
    program = torch.onnx.export(
        network, (sample,), dynamo=True, opset_version=OPSET, input_names=[input_name], output_names=[output_name],
        dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
    )
    if program is None:
        raise RuntimeError(f"{path.name}: the exporter returned no model")
    save_onnx(program.model_proto, path)


def save_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Check a model and write it without notes of where it was made (source paths, stack traces)."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        noted.ClearField("doc_string")
        noted.ClearField("metadata_props")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def check_export(path: Path, x: FloatArray, expected: FloatArray) -> float:
    """Return the largest difference between ONNX Runtime's outputs and the trained network's; raises if it is large."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (name,) = (value.name for value in session.get_inputs())
    (output,) = session.run(None, {name: x})
    error = float(np.abs(output - expected).max())
    if error > LARGEST_EXPORT_ERROR:
        raise RuntimeError(f"{path.name}: the export differs from the trained network by {error:.2e}")
    return error


def accuracy(scores: FloatArray, y: LabelArray) -> float:
    """Return the share of rows whose largest score is at the label."""
    return float((scores.argmax(axis=1) == y).mean())


def save_data(folder: Path, *, x_calib: FloatArray, x_eval: FloatArray, y_eval: LabelArray) -> None:
    """Write calib.npz (x) and eval.npz (x, y)."""
    np.savez_compressed(folder / "calib.npz", x=x_calib)
    np.savez_compressed(folder / "eval.npz", x=x_eval, y=y_eval)

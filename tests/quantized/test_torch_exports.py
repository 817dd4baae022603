"""PyTorch's quantized exports (export_torch.py made them): all integers, and those of onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_models import load, prove, quantize, run_onnxruntime, steps_apart

FOLDER = Path(__file__).parent / "torch"
STEPS = {"qat_converted": 0.0, "qat_fake_quantized": 1.0, "pt2e": 1.0, "pt2e_qat": 1.0}
"""Fake-quantized weights and biases are rounded in float there, where mcugen rounds once."""


@pytest.mark.parametrize("name", list(STEPS))
def test_pytorch_exports_keep_their_integers(name: str, tmp_path: Path) -> None:
    path = FOLDER / f"{name}.onnx"
    quantized = quantize(load(path))
    assert not quantized.synthetic and not quantized.notes
    assert {node.op for node in quantized.graph.nodes} <= {
        *("conv2d", "depthwise_conv2d", "fully_connected", "reshape", "transpose")
    }
    x = np.random.default_rng(4).normal(size=(64, 1, 8, 8)).astype(np.float32)
    assert steps_apart(quantized, x, run_onnxruntime(path, x)) <= STEPS[name]
    prove(quantized, tmp_path)

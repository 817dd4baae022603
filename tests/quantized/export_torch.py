"""Writes the models of `torch/`: one small network, random weights, by PyTorch's four ways to export integers.

python tests/quantized/export_torch.py     (made with torch 2.13.0, torchao 0.18.0, onnxscript 0.7.2)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.ao import quantization as eager
from torchao.quantization.pt2e import move_exported_model_to_eval
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

FOLDER = Path(__file__).parent / "torch"
BATCHES = 8


class Net(nn.Module):
    """Convolution with BatchNorm, grouped convolution with stride, fully connected layer; [1, 1, 8, 8] -> [1, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = eager.QuantStub(), eager.DeQuantStub()
        self.conv, self.norm, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.grouped, self.relu2 = nn.Conv2d(4, 8, 3, stride=2, groups=4), nn.ReLU()
        self.last = nn.Linear(8 * 3 * 3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.conv(self.enter(x))))
        return self.leave(self.last(torch.flatten(self.relu2(self.grouped(x)), 1)))


def sample(count: int = 1) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8)


def eager_qat() -> nn.Module:
    net = eager.fuse_modules_qat(Net().train(), [["conv", "norm", "relu"], ["grouped", "relu2"]])
    net.qconfig = eager.get_default_qat_qconfig("qnnpack", version=0)
    eager.prepare_qat(net, inplace=True)
    for _ in range(BATCHES):
        net(sample(4))
    return net.eval()


def fake_quantized() -> nn.Module:
    net = eager_qat()
    for module in net.modules():
        if hasattr(module, "disable_observer"):
            module.disable_observer()
    return net


def converted() -> nn.Module:
    torch.backends.quantized.engine = "qnnpack"
    return eager.convert(eager_qat())


def pt2e(prepare: Callable[..., Any], *, qat: bool) -> nn.Module:
    program = torch.export.export(Net().train(qat), (sample(),), strict=True).module()
    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=qat)
    prepared = prepare(program, XNNPACKQuantizer().set_global(config))
    for _ in range(BATCHES):
        prepared(sample())
    if qat:
        move_exported_model_to_eval(prepared)
    return convert_pt2e(prepared)


def clean(path: Path) -> None:
    """Without what the exporters note of the machine."""
    model = onnx.load(path)
    model.ClearField("metadata_props")
    model.doc_string = ""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
        part.doc_string = ""
    for tensor in model.graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.doc_string = ""
    onnx.save(model, path)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    makers: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
        "qat_fake_quantized": (fake_quantized, {"dynamo": False, "opset_version": 17}),
        "qat_converted": (converted, {"dynamo": False, "opset_version": 17}),
        "pt2e": (lambda: pt2e(prepare_pt2e, qat=False), {"dynamo": True, "external_data": False}),
        "pt2e_qat": (lambda: pt2e(prepare_qat_pt2e, qat=True), {"dynamo": True, "external_data": False}),
    }
    for name, (make, options) in makers.items():
        torch.manual_seed(0)
        path = FOLDER / f"{name}.onnx"
        torch.onnx.export(make(), (sample(),), path, input_names=["x"], output_names=["y"], **options)
        clean(path)
        print(path.name, path.stat().st_size, file=sys.stderr)


if __name__ == "__main__":
    main()

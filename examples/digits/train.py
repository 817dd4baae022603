"""Train the digit recogniser and write digits.onnx, calib.npz and eval.npz beside this file.

Run from the root of the repository: python -m examples.digits.train
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from examples import training

FOLDER = Path(__file__).parent
SEED = 1
CALIBRATION_IMAGES = 200


def conv_block(channels_in: int, channels_out: int, kernel: int, *, groups: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU that keep height and width."""
    convolution = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


class Digits(nn.Module):
    """A small residual network with depthwise-separable layers: [N,1,8,8] images in 0..1 to [N,10] logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_block(1, 16, 3)
        self.widen = nn.Sequential(conv_block(16, 16, 3, groups=16), conv_block(16, 32, 1))
        self.halve = nn.MaxPool2d(2)
        self.residual = nn.Sequential(
            conv_block(32, 32, 3, groups=32), nn.Conv2d(32, 32, 1, bias=False), nn.BatchNorm2d(32)
        )
        self.mix = conv_block(32, 32, 3)
        self.pool = nn.AvgPool2d(2)
        self.classify = nn.Linear(32 * 2 * 2, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.halve(self.widen(self.stem(image)))
        x = torch.relu(x + self.residual(x))
        x = self.pool(self.mix(x))
        logits: torch.Tensor = self.classify(torch.flatten(x, 1))
        return logits


class Shift(nn.Module):
    """Move each batch of images by up to one pixel, so that the network does not rely on exact centring."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        down, right = (int(step) for step in torch.randint(-1, 2, (2,)))
        padded = nn.functional.pad(images, (1, 1, 1, 1))
        return padded[:, :, 1 + down : 9 + down, 1 + right : 9 + right]


def main() -> None:
    training.make_deterministic(SEED)
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    x_train, x_eval, y_train, y_eval = train_test_split(
        images, labels.astype(np.int64), test_size=360, stratify=labels, random_state=SEED
    )
    network = Digits()
    training.fit(
        network, torch.from_numpy(x_train), torch.from_numpy(y_train), epochs=60, batch_size=64, learning_rate=1e-2,
        augment=Shift(),
    )
    logits = training.predict(network, torch.from_numpy(x_eval))
    model_path = FOLDER / "digits.onnx"
    training.export(network, torch.from_numpy(x_eval[:2]), model_path, input_name="image", output_name="logits")
    error = training.check_export(model_path, x_eval, logits)
    training.save_data(FOLDER, x_calib=x_train[:CALIBRATION_IMAGES], x_eval=x_eval, y_eval=y_eval)
    print(f"parameters      {sum(weights.numel() for weights in network.parameters())}")
    print(f"float accuracy  {training.accuracy(logits, y_eval):.4f} on {len(y_eval)} images")
    print(f"ONNX Runtime    differs by at most {error:.1e}")


if __name__ == "__main__":
    main()

"""Train the exercise recogniser and write motion.onnx, calib.npz and eval.npz beside this file.

Run from the root of the repository: python -m examples.motion.train
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from examples import training

FOLDER = Path(__file__).parent
SEED = 1
WINDOW = 128
TRAIN_STEP, EVAL_STEP = 64, 256
UNSEEN_SUBJECTS = (9, 10)
CALIBRATION_WINDOWS = 40
ACCELERATION_FULL_SCALE_G, ROTATION_FULL_SCALE_RAD_S = 4.0, 8.0
FULL_SCALE = np.array([ACCELERATION_FULL_SCALE_G] * 3 + [ROTATION_FULL_SCALE_RAD_S] * 3)
SENSOR_STEPS = 2048


def load_recordings() -> dict[str, Any]:
    """Return the recordings that the package seglearn ships, without importing the package."""
    spec = find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise SystemExit("the data is part of the package seglearn: pip install seglearn==1.2.5 --no-deps")
    path = Path(spec.origin).parent / "data" / "watch_dataset.npy"
    recordings: dict[str, Any] = np.load(path, allow_pickle=True).item()
    return recordings


def to_full_scale(recording: npt.NDArray[np.float64]) -> training.FloatArray:
    """Return [6, samples] as a 12-bit sensor reports it: 1.0 is full scale, larger values saturate."""
    steps = np.round(recording.T / FULL_SCALE[:, None] * SENSOR_STEPS)
    return np.asarray(np.clip(steps, -SENSOR_STEPS, SENSOR_STEPS - 1) / SENSOR_STEPS, dtype=np.float32)


def windows(
    recordings: dict[str, Any], subjects: tuple[int, ...], step: int
) -> tuple[training.FloatArray, training.LabelArray]:
    """Cut the recordings of some subjects into windows: x [N,6,WINDOW] in full scales, y [N]."""
    x, y = [], []
    for recording, label, subject in zip(recordings["X"], recordings["y"], recordings["subject"], strict=True):
        if subject in subjects:
            signal = to_full_scale(recording)
            starts = range(0, signal.shape[1] - WINDOW + 1, step)
            x += [signal[:, start : start + WINDOW] for start in starts]
            y += [int(label)] * len(starts)
    return np.stack(x), np.array(y, dtype=np.int64)


def conv_block(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    """Return convolution, batch normalisation, ReLU and a pool that halves the length."""
    convolution = nn.Conv1d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(channels_out), nn.ReLU(), nn.MaxPool1d(2))


class Motion(nn.Module):
    """A 1-D convolutional network: [N,6,128] windows of six axes to [N,7] logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_block(6, 16, 7), conv_block(16, 24, 5), conv_block(24, 32, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten()
        )
        self.classify = nn.Linear(32, 7)

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classify(self.features(window))
        return logits


class WearDifferently(nn.Module):
    """Turn and scale a batch a little: no two people wear a watch at the same angle or move with the same strength."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angles = 0.25 * torch.randn(len(x), 3)
        zero = torch.zeros(len(x))
        generator = torch.stack(
            [zero, -angles[:, 2], angles[:, 1], angles[:, 2], zero, -angles[:, 0], -angles[:, 1], angles[:, 0], zero], 1
        ).reshape(-1, 3, 3)
        turn = torch.matrix_exp(generator)
        strength = 1 + 0.1 * torch.randn(len(x), 1, 1)
        turned = torch.cat([turn @ x[:, :3], turn @ x[:, 3:] * strength], dim=1)
        return (turned + 0.01 * torch.randn_like(x)).clamp(-1, 1)


def main() -> None:
    training.make_deterministic(SEED)
    recordings = load_recordings()
    seen = tuple(sorted(set(recordings["subject"].tolist()) - set(UNSEEN_SUBJECTS)))
    x_train, y_train = windows(recordings, seen, TRAIN_STEP)
    x_eval, y_eval = windows(recordings, UNSEEN_SUBJECTS, EVAL_STEP)
    network = Motion()
    training.fit(
        network, torch.from_numpy(x_train), torch.from_numpy(y_train), epochs=30, batch_size=64, learning_rate=1e-2,
        augment=WearDifferently(),
    )
    logits = training.predict(network, torch.from_numpy(x_eval))
    model_path = FOLDER / "motion.onnx"
    training.export(network, torch.from_numpy(x_eval[:2]), model_path, input_name="window", output_name="logits")
    error = training.check_export(model_path, x_eval, logits)
    x_calib = x_train[np.random.default_rng(SEED).choice(len(x_train), CALIBRATION_WINDOWS, replace=False)]
    training.save_data(FOLDER, x_calib=x_calib, x_eval=x_eval, y_eval=y_eval)
    print(f"parameters      {sum(weights.numel() for weights in network.parameters())}")
    print(f"float accuracy  {training.accuracy(logits, y_eval):.4f} on {len(y_eval)} windows of people never seen")
    print(f"ONNX Runtime    differs by at most {error:.1e}")


if __name__ == "__main__":
    main()

"""mcugen compiles ONNX models to standalone int8 C for microcontrollers."""

from __future__ import annotations

__version__ = "0.1.0"

"""Fully connected layers with weights of 4 bits on cores without packed arithmetic: a convolution of one pixel."""

from __future__ import annotations

from mcugen.kernels.conv2d_int4_scalar import candidates

__all__ = ["OP", "candidates"]

OP = "packed_fully_connected"

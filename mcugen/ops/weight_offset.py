"""Layers whose imported weights have a zero point, or reach -128: kernels that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcugen.kernels import variants
from mcugen.kernels.layer import ConvLayer, grouped_params
from mcugen.ops.int16 import weighted_call
from mcugen.ops.operator import Lowering
from mcugen.ops.packed_weights import packed_lowerings
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

LOWEST_PACKED = -127
"""Kernels that pack weights in pairs have no room for -128."""
CYCLES_PER_MAC = 12.0
CYCLES_PER_OUTPUT = 30.0


def weighted_lowerings(op: str, layer: ConvLayer, plain: KernelCall, target: Target) -> list[Lowering]:
    """The plain kernel and its variants, as far as they take the layer's weights, or those of its weights' format.

    Weights that leave int8 (int16 in the graph: integers less their zero point) are stored as int8 and an offset for each
    output channel, and run on a kernel of their own.  Layers that read or write int16 have variants of their own, whose OP
    ends in _s16.
    """
    packed = packed_lowerings(op, layer, plain, target)
    if packed:
        return packed
    if layer.wide:
        return [
            Lowering((weighted_call(layer),)),
            *(Lowering((call,)) for call in variants(f"{op}_s16", layer, target)),
        ]
    if layer.weights.dtype != np.int8:
        return [Lowering((offset_call(layer),))]
    if layer.weights.min(initial=0) < LOWEST_PACKED:
        return [Lowering((plain,))]
    return [Lowering((plain,)), *(Lowering((call,)) for call in variants(op, layer, target))]


def offset_call(layer: ConvLayer) -> KernelCall:
    """The call for weights [out_c, ...] in [-255, 255] whose range within a channel is at most 255."""
    flat = layer.weights.reshape(len(layer.weights), -1).astype(np.int64)
    offset = flat.min(axis=1) + 128
    constants = {
        "weights": (flat - offset[:, None]).astype(np.int8).reshape(layer.weights.shape),
        "offset": offset.astype(np.int16),
        "bias": layer.bias,
        **layer.scales,
    }
    outputs = layer.out_h * layer.out_w * layer.out_c
    return KernelCall(
        "mcugen_conv2d_s8_offset",
        ("conv2d_s8_offset.h",),
        grouped_params(layer),
        constants,
        cycles=layer.macs * CYCLES_PER_MAC + outputs * CYCLES_PER_OUTPUT,
        code_bytes=400,
    )

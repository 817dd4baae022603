"""Layers whose weights are stored in fewer bits than int8: kernels that take them as stored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mcugen.graph import Graph, Node
from mcugen.kernels import variants
from mcugen.kernels.layer import INT8, ConvLayer, grouped_params
from mcugen.ops.int16 import weighted_call
from mcugen.ops.operator import Lowering
from mcugen.program import Array, KernelCall
from mcugen.weight_format import PackedWeights, pack_weights

if TYPE_CHECKING:
    from mcugen.targets import Target

CYCLES_PER_MAC = 10.0
CYCLES_PER_SHIFTED_MAC = 19.0
CYCLES_PER_INDEXED_MAC = 13.0
CYCLES_PER_INT16_MAC = 14.0
SLOW_MULTIPLY = 9
"""With a multiplication of more cycles than this, a shift is faster than a table and a multiplication."""
CYCLES_PER_OUTPUT = 60.0
CYCLES_PER_ROW = 140.0
"""Of a window with several rows."""


def packed_lowerings(op: str, layer: ConvLayer, plain: KernelCall, target: Target) -> list[Lowering]:
    """The kernels for the layer's weight format, the plain one first; none where the weights are int8 or off their grid.

    Variants for layers that read or write int16 have an OP that ends in _s16.
    """
    packed = None if layer.weight_format == INT8 else pack_weights(layer.weights, layer.weight_format)
    if packed is None:
        return []
    if layer.wide:
        calls = [packed_int16_call(layer, packed), *variants(f"packed_{op}_s16", layer, target)]
        return [Lowering((call,)) for call in calls]
    slow = target.cycles is not None and target.cycles.multiply > SLOW_MULTIPLY
    first = packed_call(layer, packed, plain, shift_only=slow and layer.weight_format == "pow2")
    return [Lowering((first,)), *(Lowering((call,)) for call in variants(f"packed_{op}", layer, target))]


def stored_format(node: Node, graph: Graph) -> str | None:
    """The format in which the weights of an integer node are stored, None where they are int8 or there are none."""
    word = node.attrs.get("weight_format")
    return word if word is not None and pack_weights(graph.constant(node.inputs[1]), word) is not None else None


def packed_call(layer: ConvLayer, packed: PackedWeights, plain: KernelCall, *, shift_only: bool = False) -> KernelCall:
    """The call that takes every shape, in place of `plain`; `shift_only`: without a table, for powers of two."""
    short = packed.table.itemsize == 1
    constants: dict[str, Array] = {"codes" if short else "index": packed.codes}
    if not shift_only:
        constants["table"] = packed.table
    constants |= _factors_and_scales(layer, packed)
    name = "conv2d_s8_w4" if short else "conv2d_s8_indexed"
    outputs = layer.out_h * layer.out_w * layer.out_c
    per_mac = CYCLES_PER_INDEXED_MAC if not short else CYCLES_PER_SHIFTED_MAC if shift_only else CYCLES_PER_MAC
    rows = CYCLES_PER_ROW * layer.kernel_h if layer.kernel_h * layer.kernel_w > 1 else 0
    return dataclasses.replace(
        plain,
        function=f"mcugen_{name}",
        headers=(f"{name}.h",),
        params=grouped_params(layer),
        constants=constants,
        cycles=layer.macs * per_mac + outputs * (CYCLES_PER_OUTPUT + rows),
        code_bytes=400,
    )


def packed_int16_call(layer: ConvLayer, packed: PackedWeights) -> KernelCall:
    """The call that takes every shape, for a layer that reads or writes int16."""
    plain = weighted_call(layer)
    bits = 4 if packed.table.itemsize == 1 else 8
    return dataclasses.replace(
        plain,
        function="mcugen_conv2d_s16_packed",
        headers=("conv2d_s16_packed.h",),
        params={**plain.params, "bits": bits},
        constants={
            "codes": packed.codes,
            "table": packed.table.astype(np.int16),
            **_factors_and_scales(layer, packed),
        },
        cycles=plain.cycles + layer.macs * (CYCLES_PER_INT16_MAC - CYCLES_PER_MAC),
        code_bytes=500,
    )


def _factors_and_scales(layer: ConvLayer, packed: PackedWeights) -> dict[str, Array]:
    factors: dict[str, Array] = {} if packed.factors is None else {"factors": packed.factors}
    return factors | {"bias": layer.bias, **layer.scales}

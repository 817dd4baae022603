"""Convolution on cores without packed arithmetic: one channel of 2 pixels at a time, two products a multiplication."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.conv2d_1x1_dsp import is_pointwise
from mcugen.kernels.conv2d_dsp import pixel_overlap
from mcugen.kernels.cost_scalar import column_cycles, matmul_cycles, window_cycles
from mcugen.kernels.layer import ConvLayer, convolution_params
from mcugen.kernels.pack_scalar import pack_stream
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "conv2d"
COLUMN_BLOCKS = ("mcugen_column_s8_scalar", "mcugen_column_words_s8_scalar")


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `conv2d_1x1_s8_scalar` or `conv2d_s8_scalar` kernel, for one group."""
    if "scalar" not in target.variants or layer.groups != 1:
        return
    stream = pack_stream(layer, 1)
    if stream is None:
        return
    pointwise = is_pointwise(layer)
    name = "conv2d_1x1_s8_scalar" if pointwise else "conv2d_s8_scalar"
    pixels = layer.out_h * layer.out_w
    params = convolution_params(layer)
    if pointwise:
        kept = ("in_c", "out_c", "out_zero_point", "act_min", "act_max")
        params = {"pixels": pixels} | {field: params[field] for field in kept}
    steps = -(-layer.depth // 4)
    bytewise = not pointwise and layer.in_c % 4 != 0
    windows = () if pointwise else (f"mcugen_window_{'bytes' if bytewise else 'words'}_s8_scalar",)
    column = column_cycles(layer.in_c, aligned=layer.in_c % 4 == 0)
    unpacking = pixels * column if pointwise else window_cycles(layer)
    yield KernelCall(
        function=f"mcugen_{name}",
        headers=(f"{name}.h",),
        params=params,
        constants={"weights": stream},
        scratch=(20 if bytewise else 16) * steps,
        overlap={0: pixel_overlap(layer, 2)},
        cycles=matmul_cycles(steps, layer.out_c, pixels) + unpacking,
        code_bytes=152 if pointwise else 240 if bytewise else 220,
        shared_code=shared(*COLUMN_BLOCKS, "mcugen_matmul_s8_scalar", *windows),
        variant="scalar",
    )

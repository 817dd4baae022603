"""Fully connected layer on cores without packed arithmetic: 2 outputs at a time, two products a multiplication."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.cost_scalar import column_cycles, matvec_cycles
from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.kernels.pack_scalar import pack_stream
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_s8_scalar` kernel, for one row of input."""
    if "scalar" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    stream = pack_stream(layer, 2)
    if stream is None:
        return
    steps = -(-layer.depth // 4)
    yield KernelCall(
        function="mcugen_fully_connected_s8_scalar",
        headers=("fully_connected_s8_scalar.h",),
        params=layer.fields("in_c", "out_c", *ENDS),
        constants={"weights": stream},
        scratch=8 * steps,
        overlap={0: -layer.depth},
        cycles=column_cycles(layer.depth, aligned=True) + matvec_cycles(steps, layer.out_c),
        code_bytes=76,
        shared_code=shared("mcugen_column_s8_scalar", "mcugen_column_words_s8_scalar", "mcugen_matvec_s8_scalar"),
        variant="scalar",
    )

"""Fully connected layer on cores with the DSP instructions without conditions on weights and scales, and without
scratch."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.cost_dsp import matvec_plain_cycles
from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.kernels.pack_dsp import pack_plain_stream
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_plain_s8_dsp` kernel, for one row of input."""
    if "dsp" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    fours, ones = divmod(layer.out_c, 4)
    blocks = [4] * fours + [1] * ones
    yield KernelCall(
        function="mcugen_fully_connected_plain_s8_dsp",
        headers=("fully_connected_plain_s8_dsp.h",),
        params=layer.fields("in_c", "out_c", *ENDS),
        constants={"weights": pack_plain_stream(layer, blocks)},
        overlap={0: layer.out_c - blocks[-1] if len(blocks) > 1 else -layer.depth},
        over_read={0: -layer.depth % 4},
        cycles=matvec_plain_cycles(-(-layer.depth // 4), fours, ones),
        code_bytes=56,
        shared_code=shared("mcugen_matvec_plain_s8_dsp"),
        variant="dsp",
    )

"""Fully connected layer of one row on cores with MVE: 4 outputs at a time, the input read in place."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_mve import VECTOR, clamp_cycles, matrix_code, matvec_cycles, needs_any, pack_stream
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_s8_mve` kernel, for one row of input."""
    if "mve" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    yield KernelCall(
        function="mcugen_fully_connected_s8_mve",
        headers=("fully_connected_s8_mve.h",),
        params={
            "in_c": layer.depth,
            "out_c": layer.out_c,
            "any": int(needs_any(layer)),
            "out_zero_point": layer.out_zero_point,
            "act_min": layer.act_min,
            "act_max": layer.act_max,
        },
        constants={"weights": pack_stream(layer)},
        overlap={0: (layer.out_c - 1) // 4 * 4 if layer.out_c > 4 else -layer.depth},
        over_read={0: -layer.depth % VECTOR},
        cycles=20 + matvec_cycles(layer) + clamp_cycles(layer),
        code_bytes=60,
        shared_code=matrix_code(layer, pairs=False, single=True),
        variant="mve",
    )

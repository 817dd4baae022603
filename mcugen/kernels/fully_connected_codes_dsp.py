"""Fully connected layer whose weights are codes of 4 bits on cores with the DSP instructions: 4 outputs at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.cost_dsp import codes_4x1_cycles, codes_column_cycles, codes_table_cycles
from mcugen.kernels.layer import ENDS, ConvLayer
from mcugen.kernels.pack_codes_dsp import TABLE_BYTES, code_constants
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_fully_connected"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_codes_s8_dsp` kernel, for one row of input."""
    if "dsp" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    constants = code_constants(layer, 4)
    if constants is None:
        return
    steps, blocks = -(-layer.depth // 8), -(-layer.out_c // 4)
    grouped = "factors" in constants
    yield KernelCall(
        function="mcugen_fully_connected_codes_s8_dsp",
        headers=("fully_connected_codes_s8_dsp.h",),
        params=layer.fields("in_c", "out_c", *ENDS),
        constants=constants,
        scratch=TABLE_BYTES + 16 * steps,
        overlap={0: -layer.depth},
        cycles=codes_table_cycles() + codes_column_cycles(steps) + blocks * codes_4x1_cycles(steps, grouped=grouped),
        code_bytes=328 if grouped else 268,
        shared_code=shared("mcugen_codes_table_s8_dsp", "mcugen_codes_column_s8_dsp", "mcugen_codes_4x1_s8_dsp"),
        variant="dsp",
    )

"""Fully connected layer whose weights are codes of 4 bits and that reads or writes int16 on DSP cores: 4 outputs at a time."""

from __future__ import annotations

from collections.abc import Iterator

from mcugen.kernels.cost_dsp import codes_4x1_cycles, codes_column_s16_cycles, codes_table_cycles
from mcugen.kernels.layer import ConvLayer
from mcugen.kernels.pack_codes_dsp import TABLE_BYTES, code_constants
from mcugen.kernels.shared_code import shared
from mcugen.program import KernelCall
from mcugen.targets import Target

OP = "packed_fully_connected_s16"


def candidates(layer: ConvLayer, target: Target) -> Iterator[KernelCall]:
    """The `fully_connected_codes_s16_dsp` kernel, for one row of input."""
    if "dsp" not in target.variants or layer.out_h * layer.out_w != 1:
        return
    constants = code_constants(layer, 4)
    if constants is None:
        return
    steps, blocks = -(-layer.depth // 8), -(-layer.out_c // 4)
    grouped = "factors" in constants
    direct = layer.in_bytes == 2 and layer.depth % 8 == 0
    column = f"mcugen_codes_column_{'s16' if layer.in_bytes == 2 else 's8_s16'}_dsp"
    fill = 0.0 if direct else codes_column_s16_cycles(steps, layer.in_bytes)
    yield KernelCall(
        function="mcugen_fully_connected_codes_s16_dsp",
        headers=("fully_connected_codes_s16_dsp.h",),
        params=layer.fields("in_bytes", "out_bytes", "in_c", "out_c", "out_zero_point", "act_min", "act_max"),
        constants=constants,
        scratch=TABLE_BYTES + (0 if direct else 16 * steps),
        overlap={} if direct else {0: -layer.depth * layer.in_bytes},
        cycles=codes_table_cycles() + fill + blocks * codes_4x1_cycles(steps, grouped=grouped),
        code_bytes=328 if grouped else 268,
        shared_code=shared("mcugen_codes_table_s8_dsp", "mcugen_codes_4x1_s8_dsp", *(() if direct else (column,))),
        variant="dsp",
    )

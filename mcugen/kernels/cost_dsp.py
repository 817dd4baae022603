"""Cycles of the DSP matrix kernels on a Cortex-M4: instruction counts of the loops, the rest fitted to measurements.

The loop terms follow from runtime_c/matmul_s8_dsp.h and matvec_s8_dsp.h (loads two cycles, or one behind another load;
taken branches three); the constants were fitted to runs of whole layers, compiled by gcc 12 with -O2, over depths of 8
to 640. Within 2 % of every layer measured, also of clang's.
"""

from __future__ import annotations


def _turns(steps: int, unroll: int) -> int:
    """Cycles of the backward branches of a loop over `steps` groups of 4 inputs."""
    return 4 * (-(-steps // unroll) - 1)


def matvec_cycles(steps: int, fours: int, ones: int) -> float:
    """One call of `mcugen_matvec_s8_dsp` with `fours` blocks of 4 channels and `ones` of 1."""
    return 70 + fours * (19 * steps + _turns(steps, 8) + 45) + ones * (7 * steps + _turns(steps, 4) + 18)


def matvec_direct_cycles(steps: int, fours: int, ones: int) -> float:
    """One call of `mcugen_matvec_direct_s8_dsp` with `fours` blocks of 4 channels and `ones` of 1."""
    return 85 + fours * (20 * steps + _turns(steps, 8) + 45) + ones * (8 * steps + _turns(steps, 4) + 18)


def column_cycles(steps: int) -> float:
    """One call of `mcugen_column_s8_dsp`."""
    return 50 + 6.75 * steps


def column_pair_cycles(steps: int) -> float:
    """One pair of pixels in `mcugen_column_pairs_s8_dsp`."""
    return 13 + 12.5 * steps


def matmul_pair_cycles(steps: int, threes: int, twos: int) -> float:
    """One pair of pixels in `mcugen_matmul_s8_dsp` with `threes` blocks of 3 channels and `twos` of 2."""
    return 27 + threes * (24 * steps + _turns(steps, 8) + 43) + twos * (17 * steps + _turns(steps, 4) + 34)


def matmul_cycles(steps: int, threes: int, twos: int, pixels: int, batch: int) -> float:
    """All calls of `mcugen_matmul_s8_dsp`: pixels in batches of `batch` pairs; an odd last one costs like a pair."""
    calls = -(-(pixels // 2) // batch) + pixels % 2
    return 65 * calls + matmul_pair_cycles(steps, threes, twos) * ((pixels + 1) // 2)


def matvec_plain_cycles(steps: int, fours: int, ones: int) -> float:
    """The whole of `mcugen_fully_connected_plain_s8_dsp` with `fours` blocks of 4 channels and `ones` of 1."""
    return 85 + fours * (24 * steps + _turns(steps, 4) + 44) + ones * (9 * steps + _turns(steps, 4) + 22)


def matmul_plain_cycles(steps: int, twos: int, ones: int, pixels: int) -> float:
    """All calls of `mcugen_matmul_plain_s8_dsp`, `twos` blocks of 2 channels and `ones` of 1; the loops load their
    end."""
    two = 21 * steps + 1.5 * _turns(steps, 4) + 43
    one = 14 * steps + 1.5 * _turns(steps, 2) + 32
    return (109 + twos * two + ones * one) * ((pixels + 1) // 2)


def matmul_lean_cycles(steps: int, threes: int, twos: int, pixels: int) -> float:
    """All calls of `mcugen_matmul_lean_s8_dsp`; the loops load their end."""
    three = 25 * steps + 1.5 * _turns(steps, 8) + 45
    two = 19 * steps + 1.5 * _turns(steps, 4) + 36
    return (73 + threes * three + twos * two) * ((pixels + 1) // 2)


def matvec_int4_cycles(steps: int, fours: int, ones: int) -> float:
    """One call of `mcugen_matvec_int4_s8_dsp`, `steps` groups of 8 inputs."""
    return 86 + fours * (42 * steps + _turns(steps, 2) + 42) + ones * (18 * steps + 31)


def column_int4_cycles(steps: int) -> float:
    """One call of `mcugen_column_int4_s8_dsp` for `steps` groups of 4 inputs."""
    return 40 + 18.0 * steps


def matmul_int4_cycles(steps: int, threes: int, twos: int) -> float:
    """One call of `mcugen_matmul_int4_s8_dsp` for a pair of pixels, `steps` groups of 8 inputs."""
    return 80 + threes * (51 * steps + 1.5 * _turns(steps, 2) + 50) + twos * (42 * steps + 40)


def codes_table_cycles() -> float:
    """One call of `mcugen_codes_table_s8_dsp`."""
    return 2150


def codes_column_cycles(steps: int) -> float:
    """One call of `mcugen_codes_column_s8_dsp`, `steps` groups of 8 inputs."""
    return 60 + 26.0 * steps


def codes_4x1_cycles(steps: int, *, grouped: bool) -> float:
    """A block of 4 channels of `mcugen_fully_connected_codes_s8_dsp`; factors make a call for every 4 steps."""
    return 71 * steps + (100 + 136 * -(-steps // 4) if grouped else 202)


def codes_2x2_cycles(steps: int, *, grouped: bool) -> float:
    """A block of 2 channels of 2 pixels of `mcugen_conv2d_codes_s8_dsp`; factors make a call for every 4 steps."""
    return 51 * steps + (85 + 134 * -(-steps // 4) if grouped else 182)


def codes_column_s16_cycles(steps: int, in_bytes: int) -> float:
    """One call of `mcugen_codes_column_s16_dsp`, or of that for int8, `steps` groups of 8 inputs."""
    return 24 + (20.0 if in_bytes == 2 else 46.0) * steps


def matvec_int4_s16_cycles(steps: int) -> float:
    """A block of 4 channels of `mcugen_fully_connected_int4_s16_dsp`."""
    return 42 * steps + 1.5 * _turns(steps, 2) + 114


def matmul_int4_s16_cycles(steps: int, twos: int) -> float:
    """One call of `mcugen_matmul_int4_s16_dsp` for a pair of pixels and `twos` blocks of 2 channels."""
    return 90 + twos * (36 * steps + 1.5 * _turns(steps, 4) + 50)

"""Bytes of the functions that are in a firmware once, whoever calls them, as gcc 12 makes them with -O2."""

from __future__ import annotations

from types import MappingProxyType

SIZES = MappingProxyType(
    {
        "mcugen_average_pixel_s8_dsp": 928,
        "mcugen_codes_2x2_s8_dsp": 200,
        "mcugen_codes_4x1_s8_dsp": 268,
        "mcugen_codes_column_s16_dsp": 174,
        "mcugen_codes_column_s8_dsp": 160,
        "mcugen_codes_column_s8_s16_dsp": 70,
        "mcugen_codes_table_s8_dsp": 50,
        "mcugen_column_int4_s8_dsp": 76,
        "mcugen_column_pairs_s8_dsp": 166,
        "mcugen_column_rows_s8_dsp": 174,
        "mcugen_column_s16_dsp": 156,
        "mcugen_column_s8_dsp": 158,
        "mcugen_column_s8_scalar": 264,
        "mcugen_column_words_s8_scalar": 42,
        "mcugen_conv2d_1x1_s8_dsp_shared": 246,
        "mcugen_conv2d_lean_s8_dsp_shared": 760,
        "mcugen_conv2d_s8_dsp_shared": 1462,
        "mcugen_depthwise_conv2d_3x3_s8_dsp_shared": 668,
        "mcugen_depthwise_line_s8_dsp": 728,
        "mcugen_depthwise_pair_s16_dsp": 1432,
        "mcugen_depthwise_pixel_mve": 492,
        "mcugen_depthwise_pixel_s8_dsp": 310,
        "mcugen_depthwise_row_3x3_mve": 362,
        "mcugen_depthwise_row_s8_dsp": 564,
        "mcugen_depthwise_rows_s8_dsp": 1206,
        "mcugen_depthwise_rows_s8_scalar": 278,
        "mcugen_depthwise_unpack_s8_dsp": 202,
        "mcugen_gates_s8_dsp": 488,
        "mcugen_int4_2x2_s16_dsp": 318,
        "mcugen_int4_4x1_s16_dsp": 374,
        "mcugen_int4_s8_scalar": 214,
        "mcugen_matmul_any_s8_mve": 1414,
        "mcugen_matmul_int4_s8_dsp": 812,
        "mcugen_matmul_lean_s8_dsp": 1314,
        "mcugen_matmul_plain_s8_dsp": 708,
        "mcugen_matmul_s16_dsp": 1532,
        "mcugen_matmul_s8_dsp": 1198,
        "mcugen_matmul_s8_mve": 1294,
        "mcugen_matmul_s8_scalar": 364,
        "mcugen_matvec_any_s8_mve": 404,
        "mcugen_matvec_direct_s8_dsp": 934,
        "mcugen_matvec_int4_s8_dsp": 558,
        "mcugen_matvec_plain_s8_dsp": 728,
        "mcugen_matvec_s16_dsp": 390,
        "mcugen_matvec_s8_dsp": 858,
        "mcugen_matvec_s8_mve": 380,
        "mcugen_matvec_s8_scalar": 416,
        "mcugen_max_pixel_s8_dsp": 326,
        "mcugen_strip_s8_scalar": 354,
        "mcugen_sums_s8_dsp": 224,
        "mcugen_window_bytes_s8_scalar": 678,
        "mcugen_window_words_s8_scalar": 454,
        "mcugen_winograd_copy_s8_dsp": 100,
        "mcugen_winograd_input_s8_dsp": 678,
        "mcugen_winograd_output_s16_dsp": 454,
        "mcugen_winograd_output_s8_dsp": 454,
        "mcugen_winograd_patch_s8_dsp": 596,
        "mcugen_winograd_sums_s8_dsp": 1042,
    }
)


def shared(*functions: str) -> dict[str, int]:
    """The functions' bytes, as `KernelCall.shared_code` takes them."""
    return {name: SIZES[name] for name in functions}

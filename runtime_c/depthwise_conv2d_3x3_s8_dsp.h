/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 depthwise convolution, stride 1, int8, for cores with the DSP instructions; see depthwise_rows_s8_dsp.h. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_3X3_S8_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_3X3_S8_DSP_H

#include <stdbool.h>

#include "clamp_s8.h"
#include "depthwise_rows_s8_dsp.h"

/* "Columns" lie along the direction in which outputs are computed one after the other, "rows" across it; either may be the
 * image's width, the steps in bytes say which.  Two channels at a time: 8 rows of them are unpacked into the scratch, then their
 * output rows are computed.  With `in_place`, channels are the outer loop, rows that two strips share stay in the scratch, and
 * the output may be the input itself (same sizes and steps); otherwise strips of rows are the outer loop.
 * scratch: 32 bytes for each of out_columns + 2 columns.  Reads one byte past the input's end where the number
 * of channels is odd.  weights: `channels` records of depthwise_rows_s8_dsp.h. */
struct mcugen_depthwise_conv2d_3x3_s8_dsp {
    int32_t in_columns, in_rows;
    int32_t in_column_step, in_row_step;
    int32_t out_columns, out_rows;
    int32_t out_column_step, out_row_step;
    int32_t channels;
    int32_t pad_column, pad_row;
    int32_t in_place;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

/* The columns left and right of the image: the input zero point in all rows. */
static MCUGEN_INLINE void mcugen_depthwise_pad_columns(uint32_t *strip, int32_t columns, uint32_t zero_points)
{
    for (int32_t i = 0; i < columns * MCUGEN_DEPTHWISE_COLUMN_WORDS; ++i) {
        strip[i] = zero_points;
    }
}

/* Unpacks input rows `row` and following as far as `words` words a column reach; the first `kept` words are there already. */
static MCUGEN_INLINE void mcugen_depthwise_fill_strip(const struct mcugen_depthwise_conv2d_3x3_s8_dsp *p, const int8_t *in,
                                                      uint32_t *strip, int32_t row, int32_t kept, int32_t words,
                                                      const int8_t *padding)
{
    const int32_t available = p->out_columns + 2 - p->pad_column;
    const int32_t columns = available < p->in_columns ? available : p->in_columns;
    uint32_t *first = strip + p->pad_column * MCUGEN_DEPTHWISE_COLUMN_WORDS;
    for (int32_t k = 0; k < kept; ++k) {
        for (int32_t x = 0; x < columns; ++x) {
            uint32_t *column = first + x * MCUGEN_DEPTHWISE_COLUMN_WORDS;
            column[k] = column[k + 3];
            column[k + 4] = column[k + 7];
        }
    }
    for (int32_t k = kept; k < words; ++k) {
        const int32_t y = row + 2 * k;
        const bool upper = y >= 0 && y < p->in_rows;
        const bool lower = y + 1 >= 0 && y + 1 < p->in_rows;
        mcugen_depthwise_unpack_s8_dsp(first + k, upper ? in + (ptrdiff_t)y * p->in_row_step : padding,
                                       lower ? in + (ptrdiff_t)(y + 1) * p->in_row_step : padding,
                                       upper ? p->in_column_step : 0, lower ? p->in_column_step : 0, columns);
    }
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_3x3_s8_dsp(const struct mcugen_depthwise_conv2d_3x3_s8_dsp *p,
                                                             const int8_t *in, int8_t *out, void *scratch)
{
    uint32_t *strip = (uint32_t *)scratch;
    const int8_t padding[2] = {(int8_t)p->in_zero_point, (int8_t)p->in_zero_point};
    const uint32_t zero_points = (uint32_t)(uint16_t)p->in_zero_point * 0x10001u;
    const int32_t strip_rows = 6;
    const int32_t columns = p->out_columns + 2;
    const int32_t right = p->pad_column + p->in_columns;
    const int32_t strips = (p->out_rows + strip_rows - 1) / strip_rows;
    const int32_t pairs = (p->channels + 1) >> 1;
    struct mcugen_depthwise_rows_s8_dsp rows = {
        .out_columns = p->out_columns,
        .out_column_step = p->out_column_step,
        .out_row_step = p->out_row_step,
        .out_zero_point = p->out_zero_point,
    };
    mcugen_depthwise_pad_columns(strip, p->pad_column, zero_points);
    if (right < columns) {
        mcugen_depthwise_pad_columns(strip + right * MCUGEN_DEPTHWISE_COLUMN_WORDS, columns - right, zero_points);
    }
    int32_t s = 0;
    int32_t pair = 0;
    for (int32_t i = 0; i < strips * pairs; ++i) {
        const int32_t first = s * strip_rows;
        const int32_t left = p->out_rows - first;
        const int32_t c = 2 * pair;
        rows.out_rows = left < strip_rows ? left : strip_rows;
        mcugen_depthwise_fill_strip(p, in + c, strip, first - p->pad_row, p->in_place && s > 0 ? 1 : 0,
                                    (rows.out_rows + 3) >> 1, padding);
        for (int32_t k = 0; k < 2 && c + k < p->channels; ++k) {
            rows.weights = p->weights + (ptrdiff_t)(c + k) * MCUGEN_DEPTHWISE_RECORD_WORDS;
            rows.strip = strip + 4 * k;
            rows.out = out + (ptrdiff_t)first * p->out_row_step + c + k;
            mcugen_depthwise_rows_s8_dsp(&rows);
        }
        if (p->in_place) {
            s = s + 1 == strips ? 0 : s + 1;
            pair += s == 0;
        } else {
            pair = pair + 1 == pairs ? 0 : pair + 1;
            s += pair == 0;
        }
    }
    mcugen_clamp_s8(out, p->out_columns * p->out_rows * p->channels, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_3X3_S8_DSP_H */

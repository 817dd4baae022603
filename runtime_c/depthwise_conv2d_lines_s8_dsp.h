/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, int8, any window without dilation, strides 1 and 2 along a line, on cores with the DSP
 * instructions: four outputs along the line and two taps at a time, from columns that are unpacked once. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_LINES_S8_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_LINES_S8_DSP_H

#include <stdbool.h>

#include "clamp_s8.h"
#include "column_s8_dsp.h"
#include "fixed_point.h"

/* A line is a row of the image, or a column of it where the window is longer along the height: `columns` are along the line
 * and `rows` across; steps are bytes.  Reads up to 3 bytes past the input's end.  out may be in where both have one shape.
 *
 * A pixel's four channels are unpacked to int16 pairs E[i] = {x[2 i], x[2 i + 1]}, each channel apart.  With stride 1, output
 * 2 i is the sum over j of A[j] E[i + j], output 2 i + 1 of B[j] E[i + j], where A pairs the taps from the first one on and
 * B from one before it; j < terms = taps / 2 + 1.  With stride 2, output i is the sum of A[j] E[i + j].
 * weights, for every channel: bias, multiplier, shift; then for every row of taps `terms` words of the bytes
 * {A[j][0] B[j][0] A[j][1] B[j][1]} (B is 0 with stride 2).
 * scratch: a ring of `taps_across` lines of 4 channels by `words` words. */
struct mcugen_depthwise_conv2d_lines_s8_dsp {
    int32_t in_columns, in_rows;
    int32_t in_column_step, in_row_step;
    int32_t out_columns, out_rows;
    int32_t out_column_step, out_row_step;
    int32_t channels;
    int32_t pad_column, pad_row;
    int32_t stride_column, stride_row;
    int32_t taps_across, terms, words;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

/* Line `row` of four channels at `in`, or padding, into `to`: `words` pairs of each channel. */
static MCUGEN_INLINE void mcugen_depthwise_unpack_line(const struct mcugen_depthwise_conv2d_lines_s8_dsp *p, const int8_t *in,
                                                       int32_t row, uint32_t *to)
{
    const int8_t z = (int8_t)p->in_zero_point;
    const int8_t padding[4] = {z, z, z, z};
    const uint32_t columns = row >= 0 && row < p->in_rows ? (uint32_t)p->in_columns : 0u;
    uint32_t column = 0u - (uint32_t)p->pad_column;
    int32_t offset = row * p->in_row_step - p->pad_column * p->in_column_step;
    for (int32_t i = 0; i < p->words; ++i, column += 2, offset += 2 * p->in_column_step, ++to) {
        const uint32_t a = mcugen_load32(column < columns ? in + offset : padding);
        const uint32_t b = mcugen_load32(column + 1u < columns ? in + offset + p->in_column_step : padding);
        const uint32_t low = mcugen_pkhbt(a, b);
        const uint32_t high = mcugen_pkhtb(b, a);
        to[0] = mcugen_sxtb16(low);
        to[p->words] = mcugen_sxtb16_ror8(low);
        to[2 * p->words] = mcugen_sxtb16(high);
        to[3 * p->words] = mcugen_sxtb16_ror8(high);
    }
}

/* One row of taps into four sums with stride 1: the outputs of the pairs at `e` and the ones after. */
static MCUGEN_INLINE const uint32_t *mcugen_depthwise_taps_1(int32_t *acc, const uint32_t *e, const uint32_t *w, int32_t terms)
{
    uint32_t first = e[0];
    MCUGEN_UNROLL
    for (int32_t j = 0; j < terms; ++j) {
        const uint32_t second = e[j + 1];
        const uint32_t a = mcugen_sxtb16(w[j]);
        const uint32_t b = mcugen_sxtb16_ror8(w[j]);
        acc[0] = mcugen_smlad(first, a, acc[0]);
        acc[1] = mcugen_smlad(first, b, acc[1]);
        acc[2] = mcugen_smlad(second, a, acc[2]);
        acc[3] = mcugen_smlad(second, b, acc[3]);
        first = second;
    }
    return w + terms;
}

/* The same with stride 2: one output a pair. */
static MCUGEN_INLINE const uint32_t *mcugen_depthwise_taps_2(int32_t *acc, const uint32_t *e, const uint32_t *w, int32_t terms)
{
    uint32_t e0 = e[0];
    uint32_t e1 = e[1];
    uint32_t e2 = e[2];
    MCUGEN_UNROLL
    for (int32_t j = 0; j < terms; ++j) {
        const uint32_t e3 = e[j + 3];
        const uint32_t a = mcugen_sxtb16(w[j]);
        acc[0] = mcugen_smlad(e0, a, acc[0]);
        acc[1] = mcugen_smlad(e1, a, acc[1]);
        acc[2] = mcugen_smlad(e2, a, acc[2]);
        acc[3] = mcugen_smlad(e3, a, acc[3]);
        e0 = e1;
        e1 = e2;
        e2 = e3;
    }
    return w + terms;
}

/* One line of outputs of one channel; `slot` is the line of the ring that the first row of taps reads. */
static MCUGEN_INLINE void mcugen_depthwise_line_of_outputs(const struct mcugen_depthwise_conv2d_lines_s8_dsp *p,
                                                           const uint32_t *ring, int32_t slot, const uint32_t *weights,
                                                           int8_t *out)
{
    const int32_t bias = (int32_t)weights[0];
    const int32_t multiplier = (int32_t)weights[1];
    const int32_t shift = (int32_t)weights[2];
    const int32_t line = 4 * p->words;
    const uint32_t *e = ring;
    for (int32_t left = p->out_columns; left > 0; left -= 4, e += p->stride_column == 1 ? 2 : 4) {
        int32_t acc[4] = {bias, bias, bias, bias};
        const uint32_t *w = weights + 3;
        const uint32_t *row = e + slot * line;
        const uint32_t *end = e + p->taps_across * line;
        for (int32_t k = p->taps_across; k > 0; --k) {
            w = p->stride_column == 1 ? mcugen_depthwise_taps_1(acc, row, w, p->terms)
                                      : mcugen_depthwise_taps_2(acc, row, w, p->terms);
            row += line;
            row = row == end ? e : row;
        }
        const int32_t step = p->out_column_step;
        const int32_t y0 = mcugen_ssat8(mcugen_requantize(acc[0], multiplier, shift, p->out_zero_point));
        const int32_t y1 = mcugen_ssat8(mcugen_requantize(acc[1], multiplier, shift, p->out_zero_point));
        const int32_t y2 = mcugen_ssat8(mcugen_requantize(acc[2], multiplier, shift, p->out_zero_point));
        const int32_t y3 = mcugen_ssat8(mcugen_requantize(acc[3], multiplier, shift, p->out_zero_point));
        out[0] = (int8_t)y0;
        if (left >= 4) {
            out[step] = (int8_t)y1;
            out[2 * step] = (int8_t)y2;
            out[3 * step] = (int8_t)y3;
            out += 4 * step;
        } else {
            if (left > 1) {
                out[step] = (int8_t)y1;
            }
            if (left > 2) {
                out[2 * step] = (int8_t)y2;
            }
        }
    }
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_lines_s8_dsp(const struct mcugen_depthwise_conv2d_lines_s8_dsp *p,
                                                               const int8_t *in, int8_t *out, void *scratch)
{
    uint32_t *ring = (uint32_t *)scratch;
    const int32_t record = 3 + p->taps_across * p->terms;
    const uint32_t *weights = p->weights;
    for (int32_t c = 0; c < p->channels; c += 4) {
        const int32_t channels = p->channels - c < 4 ? p->channels - c : 4;
        int32_t next = -p->pad_row; /* the line that is unpacked next, and where */
        int32_t to = 0;
        for (int32_t y = 0; y < p->out_rows; ++y) {
            for (const int32_t end = y * p->stride_row - p->pad_row + p->taps_across; next < end; ++next) {
                mcugen_depthwise_unpack_line(p, in + c, next, ring + to * 4 * p->words);
                to = to + 1 == p->taps_across ? 0 : to + 1;
            }
            /* the ring is full: its oldest line is the next to be overwritten */
            for (int32_t k = 0; k < channels; ++k) {
                mcugen_depthwise_line_of_outputs(p, ring + k * p->words, to, weights + k * record,
                                                 out + (ptrdiff_t)y * p->out_row_step + c + k);
            }
        }
        weights += channels * record;
    }
    mcugen_clamp_s8(out, p->out_columns * p->out_rows * p->channels, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_LINES_S8_DSP_H */

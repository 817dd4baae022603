/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with weights of 4 bits that reads or writes int16, any kernel, stride, dilation and padding, for cores with the DSP
 * instructions: 2 channels of 2 pixels at a time. */
#ifndef MCUGEN_CONV2D_CODES_S16_DSP_H
#define MCUGEN_CONV2D_CODES_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "codes_s16_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c] of out_bytes.  codes: for every 2 channels and 8 inputs,
 * in the order [kernel_h][kernel_w][in_c], the words of codes_s16_dsp.h, out_c filled up to a multiple of 2; table: 16 values, or
 * null for weights of 4 bits as they are; factors may be null, else there is a table, and for every 2 channels and 32 inputs 2
 * factors.  shift may be null: all zero.  Padded taps read in_zero_point, of int16 0.
 * Scratch: 1024 bytes where there is a table; 32 * steps, steps = ceil(kernel_h * kernel_w * in_c / 8); and 8 * steps * in_bytes
 * where windows are copied: kernel_w * in_c elements are no whole words, taps are apart in a row, or something is padded. */
struct mcugen_conv2d_codes_s16_dsp {
    int32_t in_bytes, out_bytes;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *codes;
    const int8_t *table;
    const uint8_t *factors;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

static MCUGEN_INLINE void mcugen_conv2d_codes_put(const struct mcugen_conv2d_codes_s16_dsp *p, int8_t *out, int32_t oc,
                                                  int32_t acc)
{
    const int32_t value = mcugen_requantize(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point);
    mcugen_put(out, oc, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
}

/* The channels of two pixels whose column is filled, with the sums of their inputs; the second is not stored where out_stride is 0. */
static MCUGEN_INLINE void mcugen_conv2d_codes_pair_s16(const struct mcugen_conv2d_codes_s16_dsp *p, const uint32_t *table,
                                                       const uint32_t *column, int32_t steps, const int32_t *sums,
                                                       int8_t *out, int32_t out_stride)
{
    const uint8_t *factors = p->factors;
    const int32_t first_sum = p->table ? 0 : sums[0];
    const int32_t second_sum = p->table ? 0 : sums[1];
    struct mcugen_codes_s8_dsp m = {.weights = p->codes, .table = table};
    for (int32_t first = 0; first < p->out_c; first += 2) {
        m.column = column;
        factors = mcugen_codes_sums(&m, steps, factors, 2, p->table ? mcugen_codes_2x2_s8_dsp : mcugen_int4_2x2_s16_dsp);
        for (int32_t r = 0; r < 2 && first + r < p->out_c; ++r) {
            const int32_t bias = p->bias[first + r];
            /* The second pixel first: where the stride is 0 the first overwrites it. */
            mcugen_conv2d_codes_put(p, out + out_stride, first + r, mcugen_codes_total(m.acc[2 + r], bias, second_sum));
            mcugen_conv2d_codes_put(p, out, first + r, mcugen_codes_total(m.acc[r], bias, first_sum));
        }
    }
}

static MCUGEN_INLINE void mcugen_conv2d_codes_s16_dsp(const struct mcugen_conv2d_codes_s16_dsp *p, const int8_t *in,
                                                      int8_t *out, void *scratch)
{
    const int32_t pixel = p->in_c * p->in_bytes;
    const int32_t run = p->kernel_w * pixel;
    const int32_t steps = (p->kernel_h * p->kernel_w * p->in_c + 7) >> 3;
    const int32_t each = p->in_bytes == 2 ? 1 : 2; /* words of a pixel's column for one of the input */
    const int32_t out_stride = p->out_c * p->out_bytes;
    uint32_t *table = (uint32_t *)scratch;
    uint32_t *column = p->table ? table + MCUGEN_CODES_TABLE : table;
    int8_t *staged = (int8_t *)(column + 8 * steps);
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = pixel, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = run,
    };
    const bool whole_words = (run & 3) == 0;
    const bool padded = p->pad_top > 0 || p->pad_left > 0 ||
                        (p->out_h - 1) * p->stride_h - p->pad_top + (p->kernel_h - 1) * p->dilation_h >= p->in_h ||
                        (p->out_w - 1) * p->stride_w - p->pad_left + (p->kernel_w - 1) * p->dilation_w >= p->in_w;
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    const int32_t pitch = p->in_w * pixel;
    int32_t sums[2] = {0, 0};
    int32_t second = 0;
    int32_t y = -p->pad_top;
    if (p->table) {
        mcugen_codes_table_s8_dsp(p->table, table);
    }
    for (int32_t i = 0; i < 8 * steps; ++i) {
        column[i] = 0;
    }
    if (padded || !whole_words || p->dilation_w != 1) {
        for (int32_t i = p->kernel_h * run; i < 8 * steps * p->in_bytes; ++i) {
            staged[i] = 0;
        }
    }
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1 && whole_words;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            uint32_t *to = column + second;
            if (row_inside && x >= 0 && x <= x_last) {
                const int8_t *row = in + y * pitch + x * pixel;
                int32_t sum = 0;
                for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
                    sum += mcugen_codes_column_wide(row, p->in_bytes, to, run >> 2, 2);
                    to += (run >> 1) * each;
                    row += p->dilation_h * pitch;
                }
                sums[second] = sum;
            } else {
                mcugen_window_s8(&w, in, y, x, staged);
                sums[second] = mcugen_codes_column_wide(staged, p->in_bytes, to, 2 * steps * p->in_bytes, 2);
            }
            if (second) {
                mcugen_conv2d_codes_pair_s16(p, table, column, steps, sums, out, out_stride);
                out += 2 * out_stride;
            }
            second ^= 1;
        }
    }
    if (second) {
        mcugen_conv2d_codes_pair_s16(p, table, column, steps, sums, out, 0);
    }
}

#endif /* MCUGEN_CONV2D_CODES_S16_DSP_H */

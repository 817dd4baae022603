/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution whose weights are codes of 4 bits into a table and that reads or writes int16, any kernel, stride, dilation and
 * padding, for cores with the DSP instructions: 2 channels of 2 pixels at a time. */
#ifndef MCUGEN_CONV2D_CODES_S16_DSP_H
#define MCUGEN_CONV2D_CODES_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "codes_s16_dsp.h"
#include "codes_s8_dsp.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c] of out_bytes.  codes: for every 2 channels and 8 inputs,
 * in the order [kernel_h][kernel_w][in_c], the words of codes_s16_dsp.h, out_c filled up to a multiple of 2; table: 16 values; factors
 * may be null, else for every 2 channels and 32 inputs 2 factors.  shift may be null: all zero.  Padded taps read in_zero_point, of
 * int16 0.  Scratch: 1024 + 32 * steps bytes, steps = ceil(kernel_h * kernel_w * in_c / 8); and 8 * steps * in_bytes more where
 * `staged`: kernel_w * in_c elements are no whole words, taps are apart in a row, or something is padded. */
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
    int32_t staged;
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

/* The channels of two pixels whose column is filled; the second is not stored where out_stride is 0. */
static MCUGEN_INLINE void mcugen_conv2d_codes_pair_s16(const struct mcugen_conv2d_codes_s16_dsp *p, const uint32_t *table,
                                                       int32_t steps, int8_t *out, int32_t out_stride)
{
    const uint8_t *factors = p->factors;
    struct mcugen_codes_s8_dsp m = {.weights = p->codes, .table = table};
    for (int32_t first = 0; first < p->out_c; first += 2) {
        m.column = table + MCUGEN_CODES_TABLE;
        factors = mcugen_codes_sums(&m, steps, factors, 2, mcugen_codes_2x2_s8_dsp);
        for (int32_t r = 0; r < 2 && first + r < p->out_c; ++r) {
            const int32_t bias = p->bias[first + r];
            /* The second pixel first: where the stride is 0 the first overwrites it. */
            mcugen_conv2d_codes_put(p, out + out_stride, first + r, m.acc[2 + r] + bias);
            mcugen_conv2d_codes_put(p, out, first + r, m.acc[r] + bias);
        }
    }
}

static MCUGEN_INLINE void mcugen_conv2d_codes_s16_dsp(const struct mcugen_conv2d_codes_s16_dsp *p, const int8_t *in,
                                                      int8_t *out, void *scratch)
{
    const int32_t steps = (p->kernel_h * p->kernel_w * p->in_c + 7) >> 3;
    const int32_t out_stride = p->out_c * p->out_bytes;
    uint32_t *table = (uint32_t *)scratch;
    uint32_t *column = table + MCUGEN_CODES_TABLE;
    const struct mcugen_columns_s16_dsp c = {
        .window = {
            .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c * p->in_bytes, .kernel_h = p->kernel_h,
            .kernel_w = p->kernel_w, .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
            .zero_point = p->in_zero_point, .row_bytes = p->kernel_w * p->in_c * p->in_bytes,
        },
        .in = in, .staged = (int8_t *)(column + 8 * steps), .in_bytes = p->in_bytes, .steps = steps,
    };
    int32_t second = 0;
    mcugen_codes_table_s8_dsp(p->table, table);
    mcugen_columns_begin(&c, column, p->staged != 0);
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            mcugen_columns_fill(&c, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, column + second);
            if (second) {
                mcugen_conv2d_codes_pair_s16(p, table, steps, out, out_stride);
                out += 2 * out_stride;
            }
            second ^= 1;
        }
    }
    if (second) {
        mcugen_conv2d_codes_pair_s16(p, table, steps, out, 0);
    }
}

#endif /* MCUGEN_CONV2D_CODES_S16_DSP_H */

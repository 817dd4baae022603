/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation and padding, whose weights are codes of 4 bits into a table, for cores with the
 * DSP instructions: 2 channels of 2 pixels at a time. */
#ifndef MCUGEN_CONV2D_CODES_S8_DSP_H
#define MCUGEN_CONV2D_CODES_S8_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "codes_s8_dsp.h"
#include "fixed_point.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c].  codes: for every 2 channels and 8 inputs, in the order
 * [kernel_h][kernel_w][in_c], the words of codes_s8_dsp.h, out_c filled up to a multiple of 2; factors may be null, else for every
 * 2 channels and 32 inputs 2 factors; table: 16 values.  shift may be null: all zero.  Padded taps read in_zero_point.
 * Scratch: 1024 + 32 * steps bytes, steps = ceil(kernel_h * kernel_w * in_c / 8), and 8 * steps more where kernel_h is not 1, the
 * taps of a row are apart or something is padded. */
struct mcugen_conv2d_codes_s8_dsp {
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

/* The channels of two pixels whose column is filled; the second is not stored where out_stride is 0. */
static MCUGEN_INLINE void mcugen_conv2d_codes_pair(const struct mcugen_conv2d_codes_s8_dsp *p, const uint32_t *table,
                                                   int32_t steps, int8_t *out, int32_t out_stride)
{
    const uint8_t *factors = p->factors;
    struct mcugen_codes_s8_dsp m = {.weights = p->codes, .table = table};
    for (int32_t first = 0; first < p->out_c; first += 2) {
        m.column = table + MCUGEN_CODES_TABLE;
        factors = mcugen_codes_sums(&m, steps, factors, 2, mcugen_codes_2x2_s8_dsp);
        for (int32_t r = 0; r < 2 && first + r < p->out_c; ++r) {
            const int32_t oc = first + r;
            const int32_t shift = p->shift ? p->shift[oc] : 0;
            /* The second pixel first: where the stride is 0 the first overwrites it. */
            out[out_stride + oc] = mcugen_requantize_s8(m.acc[2 + r] + p->bias[oc], p->multiplier[oc], shift,
                                                        p->out_zero_point, p->act_min, p->act_max);
            out[oc] = mcugen_requantize_s8(m.acc[r] + p->bias[oc], p->multiplier[oc], shift, p->out_zero_point,
                                           p->act_min, p->act_max);
        }
    }
}

static MCUGEN_INLINE void mcugen_conv2d_codes_s8_dsp(const struct mcugen_conv2d_codes_s8_dsp *p, const int8_t *in,
                                                     int8_t *out, void *scratch)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t steps = (p->kernel_h * run + 7) >> 3;
    uint32_t *table = (uint32_t *)scratch;
    uint32_t *column = table + MCUGEN_CODES_TABLE;
    int8_t *bytes = (int8_t *)(column + 8 * steps);
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = run,
    };
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    const int32_t pitch = p->in_w * p->in_c;
    int32_t second = 0;
    int32_t y = -p->pad_top;
    mcugen_codes_table_s8_dsp(p->table, table);
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            int8_t *to = bytes;
            const int8_t *from = to;
            if (row_inside && x >= 0 && x <= x_last) {
                const int8_t *row = in + y * pitch + x * p->in_c;
                if (p->kernel_h == 1) {
                    from = row;
                } else {
                    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
                        to = mcugen_copy_s8(to, row, run);
                        row += p->dilation_h * pitch;
                    }
                }
            } else {
                mcugen_window_s8(&w, in, y, x, to);
            }
            mcugen_codes_column_s8_dsp(from, column + second, p->kernel_h * run, 2);
            if (second) {
                mcugen_conv2d_codes_pair(p, table, steps, out, p->out_c);
                out += 2 * p->out_c;
            }
            second ^= 1;
        }
    }
    if (second) {
        for (int32_t i = 0; i < 4 * steps; ++i) {
            column[2 * i + 1] = 0;
        }
        mcugen_conv2d_codes_pair(p, table, steps, out, 0);
    }
}

#endif /* MCUGEN_CONV2D_CODES_S8_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution with int8 weights that reads or writes int16, any kernel, stride, dilation and padding, one output a
 * channel, for cores with MVE: 8 channels of a pixel at a time. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_S16_MVE_H
#define MCUGEN_DEPTHWISE_CONV2D_S16_MVE_H

#include "mve_s16.h"
#include "window.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][in_c] of out_bytes.  Inputs count less in_zero_point, so that
 * padded taps are left out.  Weights, for every 8 channels (the last ones filled up with zeros), in words, `even` 0, 2, 4, 6 and
 * `odd` the others: int32 bias[even], bias[odd]; int8 weights[kernel_h * kernel_w][8]; int32 multiplier[even], multiplier[odd];
 * of int8 inputs also int32 shift[even], shift[odd]. */
struct mcugen_depthwise_conv2d_s16_mve {
    int32_t in_bytes, out_bytes;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int32_t *weights;
};

/* The taps on the image, from the first one on. */
struct mcugen_depthwise_part_mve {
    int32_t rows, columns;
    ptrdiff_t input;   /* bytes from the image to the first tap */
    ptrdiff_t weights; /* bytes from a block's weights to the first tap's */
};

/* One pixel, all channels. */
static MCUGEN_MVE_INLINE void mcugen_depthwise_pixel_s16_mve(const struct mcugen_depthwise_conv2d_s16_mve *p, const int8_t *in,
                                                             const struct mcugen_depthwise_part_mve *part, int8_t *out)
{
    const ptrdiff_t column_step = (ptrdiff_t)p->dilation_w * p->in_c * p->in_bytes;
    const ptrdiff_t row_step = (ptrdiff_t)p->dilation_h * p->in_w * p->in_c * p->in_bytes;
    const mcugen_s16x8 offset = mcugen_dup_s16x8(-p->in_zero_point);
    const int8_t *first = in + (part->rows > 0 && part->columns > 0 ? part->input : 0);
    const int32_t rows = part->columns > 0 ? part->rows : 0;
    const int32_t *w = p->weights;
    for (int32_t left = p->in_c; left > 0; left -= 8) {
        mcugen_s32x4 even = mcugen_load_w32x4(w);
        mcugen_s32x4 odd = mcugen_load_w32x4(w + 4);
        const int8_t *weights = (const int8_t *)(w + 8) + part->weights;
        const int8_t *row = first;
        for (int32_t ky = 0; ky < rows; ++ky, row += row_step, weights += 8 * p->kernel_w) {
            const int8_t *tap = row;
            const int8_t *weight = weights;
            for (int32_t kx = part->columns; kx > 0; --kx, tap += column_step, weight += 8) {
                mcugen_s16x8 x = mcugen_load_wide(tap, p->in_bytes, left);
                if (p->in_bytes == 1) {
                    x = mcugen_add_s16x8(x, offset);
                }
                const mcugen_s16x8 v = mcugen_load_s16x8(weight);
                even = mcugen_add_s32x4(even, mcugen_mul_even_s16x8(x, v));
                odd = mcugen_add_s32x4(odd, mcugen_mul_odd_s16x8(x, v));
            }
        }
        w += 8 + 2 * p->kernel_h * p->kernel_w;
        if (p->in_bytes == 1) {
            even = mcugen_shift_s32x4(even, mcugen_load_w32x4(w + 8));
            odd = mcugen_shift_s32x4(odd, mcugen_load_w32x4(w + 12));
        }
        even = mcugen_add_n_s32x4(mcugen_mulh_s32x4(even, mcugen_load_w32x4(w)), p->out_zero_point);
        odd = mcugen_add_n_s32x4(mcugen_mulh_s32x4(odd, mcugen_load_w32x4(w + 4)), p->out_zero_point);
        w += p->in_bytes == 1 ? 16 : 8;
        const mcugen_s16x8 v = mcugen_bound_s16x8(mcugen_saturate_s16x8(even, odd), p->act_min, p->act_max);
        mcugen_store_wide(out, v, p->out_bytes, left);
        first += 8 * p->in_bytes;
        out += 8 * p->out_bytes;
    }
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_s16_mve(const struct mcugen_depthwise_conv2d_s16_mve *p, const int8_t *in,
                                                          int8_t *out, void *scratch)
{
    (void)scratch;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const int32_t top = mcugen_first_tap(y, p->dilation_h);
        const int32_t row = y + top * p->dilation_h;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w, out += p->in_c * p->out_bytes) {
            const int32_t left = mcugen_first_tap(x, p->dilation_w);
            const int32_t column = x + left * p->dilation_w;
            const struct mcugen_depthwise_part_mve part = {
                .rows = mcugen_end_tap(y, p->dilation_h, p->in_h, p->kernel_h) - top,
                .columns = mcugen_end_tap(x, p->dilation_w, p->in_w, p->kernel_w) - left,
                .input = ((ptrdiff_t)row * p->in_w + column) * p->in_c * p->in_bytes,
                .weights = (ptrdiff_t)8 * (top * p->kernel_w + left),
            };
            mcugen_depthwise_pixel_s16_mve(p, in, &part, out);
        }
    }
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_S16_MVE_H */

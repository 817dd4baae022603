/* SPDX-License-Identifier: Apache-2.0 */
/* One output pixel of a depthwise convolution on cores with MVE: 8 channels at a time.
 *
 * Products of int8 fit 16 bits, and so do the sums of two where |w0| + |w1| <= 255 (`pairs`): two taps are multiplied and
 * added in 16 bits, then the even and the odd lanes widened and added to 4 accumulators each.
 *
 * Weight stream, for every 8 channels (the last ones filled up with zeros), in words, `even` 0, 2, 4, 6 and `odd` the others:
 *   int32 bias[even], bias[odd]; int8 weights[kernel_h * kernel_w][8]; int32 multiplier[even], multiplier[odd]
 * multiplier is M / 2 as in matmul_s8_mve.h; where `any` is 1 it is M, and int32 shift[even], shift[odd] follow. */
#ifndef MCUGEN_DEPTHWISE_PIXEL_S8_MVE_H
#define MCUGEN_DEPTHWISE_PIXEL_S8_MVE_H

#include "mve.h"

struct mcugen_depthwise_pixel_mve {
    int32_t kernel_h, kernel_w;
    int32_t row_step, column_step; /* bytes from tap to tap */
    int32_t channels;
    int32_t pairs, any;
    int32_t zero_point; /* of the output */
    const int32_t *weights;
};

struct mcugen_depthwise_sums {
    mcugen_s32x4 even, odd;
};

static MCUGEN_MVE_INLINE struct mcugen_depthwise_sums mcugen_depthwise_one_tap(struct mcugen_depthwise_sums s, const int8_t *in,
                                                                       const int8_t *weights)
{
    const mcugen_s16x8 x = mcugen_load_s16x8(in);
    const mcugen_s16x8 w = mcugen_load_s16x8(weights);
    s.even = mcugen_add_s32x4(s.even, mcugen_mul_even_s16x8(x, w));
    s.odd = mcugen_add_s32x4(s.odd, mcugen_mul_odd_s16x8(x, w));
    return s;
}

static MCUGEN_MVE_INLINE struct mcugen_depthwise_sums mcugen_depthwise_two_taps(struct mcugen_depthwise_sums s, const int8_t *in,
                                                                            int32_t step, const int8_t *weights)
{
    const mcugen_s16x8 first = mcugen_mul_s16x8(mcugen_load_s16x8(in), mcugen_load_s16x8(weights));
    const mcugen_s16x8 second = mcugen_mul_s16x8(mcugen_load_s16x8(in + step), mcugen_load_s16x8(weights + 8));
    const mcugen_s16x8 sum = mcugen_add_s16x8(first, second);
    s.even = mcugen_add_s32x4(s.even, mcugen_even_s16x8(sum));
    s.odd = mcugen_add_s32x4(s.odd, mcugen_odd_s16x8(sum));
    return s;
}

/* Scales 8 sums and stores the first `count` of them, all where it is 8 or more. */
static MCUGEN_MVE_INLINE void mcugen_depthwise_store(struct mcugen_depthwise_sums s, const int32_t *scale, int32_t zero_point,
                                                 bool any, int8_t *out, int32_t count)
{
    if (any) {
        s.even = mcugen_mulh_s32x4(mcugen_shift_s32x4(s.even, mcugen_load_w32x4(scale + 8)), mcugen_load_w32x4(scale));
        s.odd = mcugen_mulh_s32x4(mcugen_shift_s32x4(s.odd, mcugen_load_w32x4(scale + 12)), mcugen_load_w32x4(scale + 4));
        s.even = mcugen_add_n_s32x4(s.even, zero_point);
        s.odd = mcugen_add_n_s32x4(s.odd, zero_point);
    } else {
        s.even = mcugen_mulh_add_s32x4(s.even, mcugen_load_w32x4(scale), zero_point);
        s.odd = mcugen_mulh_add_s32x4(s.odd, mcugen_load_w32x4(scale + 4), zero_point);
    }
    const mcugen_s16x8 v = mcugen_saturate_s8x8(s.even, s.odd);
    if (count >= 8) {
        mcugen_store_s16x8(out, v);
    } else {
        mcugen_store_first_s16x8(out, v, count);
    }
}

/* All channels of the pixel whose first tap is at `in`; reads up to 7 bytes behind each tap's channels. */
MCUGEN_SHARED void mcugen_depthwise_pixel_mve(const struct mcugen_depthwise_pixel_mve *p, const int8_t *in, int8_t *out);
MCUGEN_SHARED void mcugen_depthwise_pixel_mve(const struct mcugen_depthwise_pixel_mve *p, const int8_t *in, int8_t *out)
{
    const int32_t paired = p->pairs != 0 ? p->kernel_w & ~1 : 0;
    const int32_t *w = p->weights;
    for (int32_t left = p->channels; left > 0; left -= 8, in += 8, out += 8) {
        struct mcugen_depthwise_sums s = {mcugen_load_w32x4(w), mcugen_load_w32x4(w + 4)};
        const int8_t *weights = (const int8_t *)(w + 8);
        const int8_t *row = in;
        for (int32_t ky = p->kernel_h; ky > 0; --ky, row += p->row_step) {
            const int8_t *x = row;
            int32_t kx = 0;
            for (; kx < paired; kx += 2, weights += 16, x += 2 * p->column_step) {
                s = mcugen_depthwise_two_taps(s, x, p->column_step, weights);
            }
            for (; kx < p->kernel_w; ++kx, weights += 8, x += p->column_step) {
                s = mcugen_depthwise_one_tap(s, x, weights);
            }
        }
        w += 8 + 2 * p->kernel_h * p->kernel_w;
        mcugen_depthwise_store(s, w, p->zero_point, p->any != 0, out, left);
        w += p->any != 0 ? 16 : 8;
    }
}

#endif /* MCUGEN_DEPTHWISE_PIXEL_S8_MVE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Pools that read or write int16, channels-last, for cores with MVE: 8 channels of a window at a time. */
#ifndef MCUGEN_POOL_S16_MVE_H
#define MCUGEN_POOL_S16_MVE_H

#include "mve_s16.h"
#include "pool_window.h"

/* Averages or sums: in [in_h][in_w][channels] of in_bytes an element, out [out_h][out_w][channels] of out_bytes.  One multiplier and
 * shift a divisor; divisor_class [out_h][out_w] says which one an output takes, null: all take the first.  shift may be null: all
 * zero. */
struct mcugen_average_pool2d_s16_mve {
    int32_t in_bytes, out_bytes;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int32_t *multiplier;
    const uint8_t *shift;
    const uint8_t *divisor_class;
};

static MCUGEN_INLINE void mcugen_average_pool2d_s16_mve(const struct mcugen_average_pool2d_s16_mve *p, const int8_t *in,
                                                        int8_t *out, void *scratch)
{
    (void)scratch;
    const struct mcugen_pool_shape shape = {
        .in_h = p->in_h, .in_w = p->in_w, .channels = p->channels * p->in_bytes, .kernel_h = p->kernel_h,
        .kernel_w = p->kernel_w, .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
    };
    int8_t *to = out;
    for (int32_t pixel = 0, oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox, ++pixel) {
            ptrdiff_t first;
            const struct mcugen_pool_window w =
                mcugen_pool_window(&shape, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, &first);
            const int32_t index = p->divisor_class ? p->divisor_class[pixel] : 0;
            const mcugen_s32x4 multiplier = mcugen_dup_s32x4(p->multiplier[index]);
            const int32_t shift = p->shift ? p->shift[index] : 0;
            const int32_t rows = w.taps > 0 ? w.rows : 0;
            for (int32_t left = p->channels; left > 0; left -= 8, first += 8 * p->in_bytes, to += 8 * p->out_bytes) {
                mcugen_s32x4 even = mcugen_dup_s32x4(-p->in_zero_point * w.taps);
                mcugen_s32x4 odd = even;
                for (int32_t ky = 0; ky < rows; ++ky) {
                    const int8_t *tap = in + first + (ptrdiff_t)ky * w.row_step;
                    for (int32_t kx = w.columns; kx > 0; --kx, tap += w.column_step) {
                        const mcugen_s16x8 x = mcugen_load_wide(tap, p->in_bytes, left);
                        even = mcugen_add_s32x4(even, mcugen_even_s16x8(x));
                        odd = mcugen_add_s32x4(odd, mcugen_odd_s16x8(x));
                    }
                }
                even = mcugen_mulh_s32x4(mcugen_shift_n_s32x4(even, shift), multiplier);
                odd = mcugen_mulh_s32x4(mcugen_shift_n_s32x4(odd, shift), multiplier);
                const mcugen_s16x8 v = mcugen_saturate_s16x8(mcugen_add_n_s32x4(even, p->out_zero_point),
                                                             mcugen_add_n_s32x4(odd, p->out_zero_point));
                mcugen_store_wide(to, mcugen_bound_s16x8(v, p->act_min, p->act_max), p->out_bytes, left);
            }
            to += (p->channels - ((p->channels + 7) & ~7)) * p->out_bytes;
        }
    }
}

/* Maxima, or minima where flip is -1: in [in_h][in_w][channels] of int16, out [out_h][out_w][channels]. */
struct mcugen_max_pool2d_s16_mve {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t flip;
};

static MCUGEN_INLINE void mcugen_max_pool2d_s16_mve(const struct mcugen_max_pool2d_s16_mve *p, const int8_t *in, int8_t *out,
                                                    void *scratch)
{
    (void)scratch;
    const struct mcugen_pool_shape shape = {
        .in_h = p->in_h, .in_w = p->in_w, .channels = 2 * p->channels, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
    };
    int8_t *to = out;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            ptrdiff_t first;
            const struct mcugen_pool_window w =
                mcugen_pool_window(&shape, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, &first);
            const int32_t rows = w.taps > 0 ? w.rows : 0;
            for (int32_t left = p->channels; left > 0; left -= 8, first += 16, to += 16) {
                mcugen_s16x8 best = mcugen_dup_s16x8(p->flip ? 32767 : -32768);
                for (int32_t ky = 0; ky < rows; ++ky) {
                    const int8_t *tap = in + first + (ptrdiff_t)ky * w.row_step;
                    for (int32_t kx = w.columns; kx > 0; --kx, tap += w.column_step) {
                        const mcugen_s16x8 x = mcugen_load_wide(tap, 2, left);
                        best = p->flip ? mcugen_min_s16x8(best, x) : mcugen_max_s16x8(best, x);
                    }
                }
                mcugen_store_wide(to, best, 2, left);
            }
            to += (p->channels - ((p->channels + 7) & ~7)) * 2;
        }
    }
}

#endif /* MCUGEN_POOL_S16_MVE_H */

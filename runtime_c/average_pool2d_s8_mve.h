/* SPDX-License-Identifier: Apache-2.0 */
/* Average or sum over windows, int8, channels-last, for cores with MVE: 8 channels at a time. */
#ifndef MCUGEN_AVERAGE_POOL2D_S8_MVE_H
#define MCUGEN_AVERAGE_POOL2D_S8_MVE_H

#include "mve.h"
#include "pool_window.h"

/* The fields of mcugen_average_pool2d_s8; windows of at most 255 taps, whose sums fit 16 bits. */
struct mcugen_average_pool2d_s8_mve {
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

/* The sums of the first `count` of 8 channels over a window. */
static MCUGEN_MVE_INLINE mcugen_s16x8 mcugen_pool_sum_mve(const struct mcugen_pool_window *w, const int8_t *in, int32_t count)
{
    mcugen_s16x8 sum = mcugen_dup_s16x8(0);
    const int32_t rows = w->taps > 0 ? w->rows : 0;
    for (int32_t ky = 0; ky < rows; ++ky, in += w->row_step) {
        const int8_t *tap = in;
        for (int32_t kx = w->columns; kx > 0; --kx, tap += w->column_step) {
            sum = mcugen_add_s16x8(sum, mcugen_load_first_s16x8(tap, count));
        }
    }
    return sum;
}

static MCUGEN_INLINE void mcugen_average_pool2d_s8_mve(const struct mcugen_average_pool2d_s8_mve *p, const int8_t *in,
                                                       int8_t *out, void *scratch)
{
    (void)scratch;
    const struct mcugen_pool_shape shape = {
        .in_h = p->in_h, .in_w = p->in_w, .channels = p->channels, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
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
            const int32_t offset = -p->in_zero_point * w.taps;
            for (int32_t c = 0; c < p->channels; c += 8) {
                const mcugen_s16x8 sum = mcugen_pool_sum_mve(&w, in + first + c, p->channels - c);
                const mcugen_s32x4 even = mcugen_shift_n_s32x4(mcugen_add_n_s32x4(mcugen_even_s16x8(sum), offset), shift);
                const mcugen_s32x4 odd = mcugen_shift_n_s32x4(mcugen_add_n_s32x4(mcugen_odd_s16x8(sum), offset), shift);
                const mcugen_s16x8 v = mcugen_saturate_s8x8(
                    mcugen_add_n_s32x4(mcugen_mulh_s32x4(even, multiplier), p->out_zero_point),
                    mcugen_add_n_s32x4(mcugen_mulh_s32x4(odd, multiplier), p->out_zero_point));
                mcugen_store_first_s16x8(to + c, v, p->channels - c);
            }
            to += p->channels;
        }
    }
    mcugen_clamp_s8_mve(out, p->out_h * p->out_w * p->channels, p->act_min, p->act_max);
}

#endif /* MCUGEN_AVERAGE_POOL2D_S8_MVE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Average or sum over windows, channels-last, that reads or writes int16: plain C for every core. */
#ifndef MCUGEN_AVERAGE_POOL2D_S16_H
#define MCUGEN_AVERAGE_POOL2D_S16_H

#include "element_s16.h"
#include "window.h"

/* in [in_h][in_w][channels], out [out_h][out_w][channels].  One multiplier and shift a divisor; divisor_class
 * [out_h][out_w] says which one an output takes, null: all take the first.  shift may be null: all zero. */
struct mcugen_average_pool2d_s16 {
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

static MCUGEN_INLINE void mcugen_average_pool2d_s16(const struct mcugen_average_pool2d_s16 *p, const int8_t *in,
                                                   int8_t *out, void *scratch)
{
    (void)scratch;
    ptrdiff_t o = 0;
    const int32_t row_step = p->dilation_h * p->in_w * p->channels;
    const int32_t column_step = p->dilation_w * p->channels;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        const int32_t y = oy * p->stride_h - p->pad_top;
        const int32_t first_y = mcugen_first_tap(y, p->dilation_h);
        const int32_t rows = mcugen_end_tap(y, p->dilation_h, p->in_h, p->kernel_h) - first_y;
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t x = ox * p->stride_w - p->pad_left;
            const int32_t first_x = mcugen_first_tap(x, p->dilation_w);
            const int32_t columns = mcugen_end_tap(x, p->dilation_w, p->in_w, p->kernel_w) - first_x;
            const int32_t corner = (y + first_y * p->dilation_h) * p->in_w + x + first_x * p->dilation_w;
            const int32_t index = p->divisor_class ? p->divisor_class[oy * p->out_w + ox] : 0;
            const int32_t multiplier = p->multiplier[index];
            const int32_t shift = p->shift ? p->shift[index] : 0;
            const int32_t offset = rows > 0 && columns > 0 ? -p->in_zero_point * rows * columns : 0;
            for (int32_t c = 0; c < p->channels; ++c) {
                int32_t acc = offset;
                for (int32_t ky = 0; ky < rows; ++ky) {
                    const ptrdiff_t tap = (ptrdiff_t)corner * p->channels + c + (ptrdiff_t)ky * row_step;
                    for (int32_t kx = 0; kx < columns; ++kx) {
                        acc += mcugen_element(in, tap + (ptrdiff_t)kx * column_step, p->in_bytes);
                    }
                }
                const int32_t value = mcugen_requantize(acc, multiplier, shift, p->out_zero_point);
                mcugen_put(out, o++, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
            }
        }
    }
}

#endif /* MCUGEN_AVERAGE_POOL2D_S16_H */

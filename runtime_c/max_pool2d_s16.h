/* SPDX-License-Identifier: Apache-2.0 */
/* Maximum or minimum over windows, int16, channels-last: plain C for every core. */
#ifndef MCUGEN_MAX_POOL2D_S16_H
#define MCUGEN_MAX_POOL2D_S16_H

#include <stddef.h>

#include "element_s16.h"
#include "window.h"

/* in [in_h][in_w][channels], out [out_h][out_w][channels]; flip is 0 for the maximum, -1 for the minimum: inverting all
 * bits of an int16 reverses the order. */
struct mcugen_max_pool2d_s16 {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t flip;
};

static MCUGEN_INLINE void mcugen_max_pool2d_s16(const struct mcugen_max_pool2d_s16 *p, const int8_t *in, int8_t *out,
                                               void *scratch)
{
    (void)scratch;
    const mcugen_int16 *from = mcugen_in_s16(in);
    mcugen_int16 *to = mcugen_out_s16(out);
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
            for (int32_t c = 0; c < p->channels; ++c) {
                int32_t best = -32768;
                for (int32_t ky = 0; ky < rows; ++ky) {
                    const mcugen_int16 *tap = from + (ptrdiff_t)corner * p->channels + c + (ptrdiff_t)ky * row_step;
                    for (int32_t kx = 0; kx < columns; ++kx) {
                        const int32_t value = tap[(ptrdiff_t)kx * column_step] ^ p->flip;
                        best = value > best ? value : best;
                    }
                }
                *to++ = (int16_t)(best ^ p->flip);
            }
        }
    }
}

#endif /* MCUGEN_MAX_POOL2D_S16_H */

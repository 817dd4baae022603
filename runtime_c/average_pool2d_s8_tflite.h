/* SPDX-License-Identifier: Apache-2.0 */
/* Average over windows, int8, channels-last, in TensorFlow Lite's arithmetic: plain C for every core. */
#ifndef MCUGEN_AVERAGE_POOL2D_S8_TFLITE_H
#define MCUGEN_AVERAGE_POOL2D_S8_TFLITE_H

#include <stddef.h>

#include "fixed_point.h"
#include "window.h"

/* in [in_h][in_w][channels], out [out_h][out_w][channels]; every window has a tap on the image. */
struct mcugen_average_pool2d_s8_tflite {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t act_min, act_max;
};

static MCUGEN_INLINE void mcugen_average_pool2d_s8_tflite(const struct mcugen_average_pool2d_s8_tflite *p,
                                                          const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
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
            const int32_t count = rows * columns;
            for (int32_t c = 0; c < p->channels; ++c) {
                int32_t acc = 0;
                for (int32_t ky = 0; ky < rows; ++ky) {
                    const int8_t *tap = in + (ptrdiff_t)corner * p->channels + c + (ptrdiff_t)ky * row_step;
                    for (int32_t kx = 0; kx < columns; ++kx) {
                        acc += tap[(ptrdiff_t)kx * column_step];
                    }
                }
                acc = (acc > 0 ? acc + count / 2 : acc - count / 2) / count;
                *out++ = (int8_t)mcugen_clamp(acc, p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_AVERAGE_POOL2D_S8_TFLITE_H */

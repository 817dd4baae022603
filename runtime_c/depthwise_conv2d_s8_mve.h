/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, int8, any kernel, stride, dilation and padding, one output a channel, for cores with MVE. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_S8_MVE_H
#define MCUGEN_DEPTHWISE_CONV2D_S8_MVE_H

#include "depthwise_pixel_s8_mve.h"
#include "window_s8_mve.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][in_c]; weights: the stream of depthwise_pixel_s8_mve.h.  Windows that hang over
 * the edge are copied to scratch, kernel_h * kernel_w * in_c + 16 bytes.  Up to 15 bytes behind the input are read. */
struct mcugen_depthwise_conv2d_s8_mve {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t pairs, any;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int32_t *weights;
};

static MCUGEN_INLINE void mcugen_depthwise_conv2d_s8_mve(const struct mcugen_depthwise_conv2d_s8_mve *p, const int8_t *in,
                                                         int8_t *out, void *scratch)
{
    const struct mcugen_window_s8 window = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point,
        .row_bytes = p->kernel_w * p->in_c,
    };
    const struct mcugen_depthwise_pixel_mve inside = {
        .kernel_h = p->kernel_h, .kernel_w = p->kernel_w, .row_step = p->dilation_h * p->in_w * p->in_c,
        .column_step = p->dilation_w * p->in_c, .channels = p->in_c, .pairs = p->pairs, .any = p->any,
        .zero_point = p->out_zero_point, .weights = p->weights,
    };
    struct mcugen_depthwise_pixel_mve copied = inside;
    copied.row_step = window.row_bytes;
    copied.column_step = p->in_c;
    int8_t *column = (int8_t *)scratch;
    int8_t *to = out;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool rows_inside = y >= 0 && y + (p->kernel_h - 1) * p->dilation_h < p->in_h;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w, to += p->in_c) {
            if (rows_inside && x >= 0 && x + (p->kernel_w - 1) * p->dilation_w < p->in_w) {
                const int8_t *first = in + ((ptrdiff_t)y * p->in_w + x) * p->in_c;
                mcugen_depthwise_pixel_mve(&inside, first, to);
            } else {
                mcugen_window_s8_mve(&window, in, y, x, column);
                mcugen_depthwise_pixel_mve(&copied, column, to);
            }
        }
    }
    mcugen_clamp_s8_mve(out, p->out_h * p->out_w * p->in_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_S8_MVE_H */

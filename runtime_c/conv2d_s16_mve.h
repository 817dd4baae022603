/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with int8 weights that reads or writes int16, any kernel, stride, dilation and padding, one group, for cores with
 * MVE: 4 channels of 2 pixels at a time, their windows copied. */
#ifndef MCUGEN_CONV2D_S16_MVE_H
#define MCUGEN_CONV2D_S16_MVE_H

#include "matmul_s16_mve.h"
#include "window_s8_mve.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c] of out_bytes; weights: the stream of matmul_s16_mve.h
 * over [kernel_h][kernel_w][in_c].  Padded taps read in_zero_point, which is 0 for int16.  scratch 2 * row + 16 bytes, row =
 * kernel_h * kernel_w * in_c * in_bytes rounded up to 16.  Up to 15 bytes behind the input are read. */
struct mcugen_conv2d_s16_mve {
    int32_t in_bytes, out_bytes;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_conv2d_s16_mve(const struct mcugen_conv2d_s16_mve *p, const int8_t *in, int8_t *out,
                                                void *scratch)
{
    const int32_t pixel = p->in_c * p->in_bytes;
    const int32_t step = p->out_c * p->out_bytes;
    const struct mcugen_window_s8 window = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = pixel, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point,
        .row_bytes = p->kernel_w * pixel,
    };
    const int32_t row = (p->kernel_h * p->kernel_w * pixel + 15) & ~15;
    int8_t *column = (int8_t *)scratch;
    struct mcugen_matmul_s16_mve m = {
        .in0 = column, .in1 = column + row, .weights = p->weights, .out0 = out, .out1 = out + step, .row_bytes = row,
        .channels = p->out_c, .zero_point = p->out_zero_point, .low = p->act_min, .high = p->act_max,
    };
    int32_t waiting = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            mcugen_window_s8_mve(&window, in, y, x, column + waiting);
            waiting ^= row;
            if (waiting == 0) {
                mcugen_matmul_wide_mve(&m, p->in_bytes, p->out_bytes);
                m.out0 += 2 * step;
                m.out1 += 2 * step;
            }
        }
    }
    if (waiting != 0) {
        mcugen_matvec_wide_mve(&m, p->in_bytes, p->out_bytes);
    }
}

#endif /* MCUGEN_CONV2D_S16_MVE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, with weights of 4 bits, any kernel, stride, dilation and padding, one group, for cores with MVE: 4 channels of
 * 2 pixels at a time, their windows copied. */
#ifndef MCUGEN_CONV2D_CODES_S8_MVE_H
#define MCUGEN_CONV2D_CODES_S8_MVE_H

#include "matmul_codes_s8_mve.h"
#include "window_s8_mve.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c]; weights: the stream of matmul_codes_s8_mve.h for `kind` over
 * [kernel_h][kernel_w][in_c], table for kinds that look weights up.  scratch 2 * depth + 16 bytes, depth = kernel_h * kernel_w *
 * in_c rounded up to 32.  Up to 15 bytes behind the input are read. */
struct mcugen_conv2d_codes_s8_mve {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t kind;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
    const int8_t *table;
};

static MCUGEN_INLINE void mcugen_conv2d_codes_s8_mve(const struct mcugen_conv2d_codes_s8_mve *p, const int8_t *in, int8_t *out,
                                                    void *scratch)
{
    const struct mcugen_window_s8 window = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point,
        .row_bytes = p->kernel_w * p->in_c,
    };
    const int32_t depth = (p->kernel_h * p->kernel_w * p->in_c + 31) & ~31;
    int8_t *column = (int8_t *)scratch;
    struct mcugen_matmul_codes_s8_mve m = {
        .in0 = column, .in1 = column + depth, .weights = p->weights, .out0 = out, .out1 = out + p->out_c, .depth = depth,
        .channels = p->out_c, .zero_point = p->out_zero_point, .table = p->table,
    };
    int32_t waiting = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            mcugen_window_s8_mve(&window, in, y, x, column + waiting);
            waiting ^= depth;
            if (waiting == 0) {
                mcugen_matmul_codes_mve(&m, p->kind);
                m.out0 += 2 * p->out_c;
                m.out1 += 2 * p->out_c;
            }
        }
    }
    if (waiting != 0) {
        mcugen_matvec_codes_mve(&m, p->kind);
    }
    mcugen_clamp_s8_mve(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_CODES_S8_MVE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise (1x1, stride 1) convolution with int8 weights that reads or writes int16, for cores with MVE: 4 channels of 2 pixels
 * at a time, read in place; of one pixel it is a fully connected layer. */
#ifndef MCUGEN_CONV2D_1X1_S16_MVE_H
#define MCUGEN_CONV2D_1X1_S16_MVE_H

#include "matmul_s16_mve.h"

/* in [pixels][in_c] of in_bytes an element, out [pixels][out_c] of out_bytes; weights: the stream of matmul_s16_mve.h.  Up to 15
 * bytes behind the input are read where a pixel's are no multiple of 16. */
struct mcugen_conv2d_1x1_s16_mve {
    int32_t in_bytes, out_bytes;
    int32_t pixels;
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_conv2d_1x1_s16_mve(const struct mcugen_conv2d_1x1_s16_mve *p, const int8_t *in,
                                                    int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t pixel = p->in_c * p->in_bytes;
    const int32_t step = p->out_c * p->out_bytes;
    struct mcugen_matmul_s16_mve m = {
        .in0 = in, .in1 = in + pixel, .weights = p->weights, .out0 = out, .out1 = out + step,
        .row_bytes = (pixel + 15) & ~15, .channels = p->out_c, .zero_point = p->out_zero_point, .low = p->act_min,
        .high = p->act_max,
    };
    for (int32_t pairs = p->pixels >> 1; pairs > 0; --pairs) {
        mcugen_matmul_wide_mve(&m, p->in_bytes, p->out_bytes);
        m.in0 += 2 * pixel;
        m.in1 += 2 * pixel;
        m.out0 += 2 * step;
        m.out1 += 2 * step;
    }
    if (p->pixels & 1) {
        mcugen_matvec_wide_mve(&m, p->in_bytes, p->out_bytes);
    }
}

#endif /* MCUGEN_CONV2D_1X1_S16_MVE_H */

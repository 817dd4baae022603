/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise convolution, int8, for cores without packed arithmetic; conditions on the weights in matmul_s8_scalar.h. */
#ifndef MCUGEN_CONV2D_1X1_S8_SCALAR_H
#define MCUGEN_CONV2D_1X1_S8_SCALAR_H

#include <stdint.h>

#include "clamp_s8.h"
#include "matmul_s8_scalar.h"

/* in [pixels][in_c], out [pixels][out_c]; scratch: 4 bytes for each of in_c inputs, rounded up to a multiple of 4;
 * weights: the stream of matmul_s8_scalar.h. */
struct mcugen_conv2d_1x1_s8_scalar {
    int32_t pixels;
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_conv2d_1x1_s8_scalar(const struct mcugen_conv2d_1x1_s8_scalar *p, const int8_t *in,
                                                      int8_t *out, void *scratch)
{
    uint32_t *column = (uint32_t *)scratch;
    struct mcugen_matmul_s8_scalar m = {
        p->weights, column, (p->in_c + 3) >> 2, out, out + p->out_c, p->out_c,
        mcugen_scalar_rounding(p->out_zero_point),
    };
    for (int32_t left = p->pixels; left > 0; left -= 2) {
        mcugen_column_s8_scalar(in, column, p->in_c, 4);
        in += p->in_c;
        if (left > 1) {
            mcugen_column_s8_scalar(in, column + 2, p->in_c, 4);
            in += p->in_c;
        } else {
            m.out_stride = 0;
        }
        mcugen_matmul_s8_scalar(&m);
        m.out += 2 * p->out_c;
        m.out_end += 2 * p->out_c;
    }
    mcugen_clamp_s8(out, p->pixels * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_1X1_S8_SCALAR_H */

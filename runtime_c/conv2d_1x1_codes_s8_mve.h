/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise (1x1, stride 1) convolution, int8, with weights of 4 bits, for cores with MVE: 4 channels of 2 pixels at a time, read
 * in place; of one pixel it is a fully connected layer. */
#ifndef MCUGEN_CONV2D_1X1_CODES_S8_MVE_H
#define MCUGEN_CONV2D_1X1_CODES_S8_MVE_H

#include "matmul_codes_s8_mve.h"
#include "mve.h"

/* in [pixels][in_c], out [pixels][out_c]; weights: the stream of matmul_codes_s8_mve.h for `kind`, table for kinds that look weights
 * up.  Up to 31 bytes behind the input are read where in_c is no multiple of 32. */
struct mcugen_conv2d_1x1_codes_s8_mve {
    int32_t pixels;
    int32_t in_c, out_c;
    int32_t kind;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
    const int8_t *table;
};

static MCUGEN_INLINE void mcugen_conv2d_1x1_codes_s8_mve(const struct mcugen_conv2d_1x1_codes_s8_mve *p, const int8_t *in,
                                                        int8_t *out, void *scratch)
{
    (void)scratch;
    struct mcugen_matmul_codes_s8_mve m = {
        .in0 = in, .in1 = in + p->in_c, .weights = p->weights, .out0 = out, .out1 = out + p->out_c,
        .depth = (p->in_c + 31) & ~31, .channels = p->out_c, .zero_point = p->out_zero_point, .table = p->table,
    };
    for (int32_t pairs = p->pixels >> 1; pairs > 0; --pairs) {
        mcugen_matmul_codes_mve(&m, p->kind);
        m.in0 += 2 * p->in_c;
        m.in1 += 2 * p->in_c;
        m.out0 += 2 * p->out_c;
        m.out1 += 2 * p->out_c;
    }
    if (p->pixels & 1) {
        mcugen_matvec_codes_mve(&m, p->kind);
    }
    mcugen_clamp_s8_mve(out, p->pixels * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_1X1_CODES_S8_MVE_H */

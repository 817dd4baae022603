/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer of one row, int8, for cores with MVE: 4 outputs at a time. */
#ifndef MCUGEN_FULLY_CONNECTED_S8_MVE_H
#define MCUGEN_FULLY_CONNECTED_S8_MVE_H

#include "matmul_s8_mve.h"
#include "mve.h"

/* in [in_c], out [out_c]; weights: the stream of matmul_s8_mve.h with shifts where `any` is 1.  Up to 15 bytes behind the
 * input are read where in_c is no multiple of 16. */
struct mcugen_fully_connected_s8_mve {
    int32_t in_c, out_c;
    int32_t any;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_fully_connected_s8_mve(const struct mcugen_fully_connected_s8_mve *p, const int8_t *in,
                                                        int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t depth = (p->in_c + 15) & ~15;
    const struct mcugen_matmul_s8_mve m = {
        .in0 = in, .in1 = in, .weights = p->weights, .out0 = out, .out1 = out, .depth = depth,
        .end = mcugen_matmul_mve_end(p->weights, p->out_c, depth, p->any != 0), .zero_point = p->out_zero_point,
        .rest = p->out_c & 3,
    };
    mcugen_matvec_mve_run(&m, p->any != 0);
    mcugen_clamp_s8_mve(out, p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_FULLY_CONNECTED_S8_MVE_H */

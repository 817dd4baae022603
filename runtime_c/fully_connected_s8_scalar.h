/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8, for cores without packed arithmetic; conditions on the weights in matmul_s8_scalar.h. */
#ifndef MCUGEN_FULLY_CONNECTED_S8_SCALAR_H
#define MCUGEN_FULLY_CONNECTED_S8_SCALAR_H

#include <stdint.h>

#include "clamp_s8.h"
#include "matvec_s8_scalar.h"

/* in [in_c], out [out_c]; scratch 2 bytes for each of in_c inputs, rounded up to a multiple of 4; weights: the
 * stream of matvec_s8_scalar.h. */
struct mcugen_fully_connected_s8_scalar {
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_fully_connected_s8_scalar(const struct mcugen_fully_connected_s8_scalar *p,
                                                           const int8_t *in, int8_t *out, void *scratch)
{
    const struct mcugen_matvec_s8_scalar m = {
        p->weights, (uint32_t *)scratch, (p->in_c + 3) >> 2, out, out + p->out_c, 0,
        mcugen_scalar_rounding(p->out_zero_point),
    };
    mcugen_column_s8_scalar(in, (uint32_t *)scratch, p->in_c, 2);
    mcugen_matvec_s8_scalar(&m);
    mcugen_clamp_s8(out, p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_FULLY_CONNECTED_S8_SCALAR_H */

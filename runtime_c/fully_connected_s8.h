/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8: plain C for every core. */
#ifndef MCUGEN_FULLY_CONNECTED_S8_H
#define MCUGEN_FULLY_CONNECTED_S8_H

#include "fixed_point.h"

/* in [rows][in_c], out [rows][out_c], weights [out_c][in_c]; bias has the input zero point folded in; shift may be null. */
struct mcugen_fully_connected_s8 {
    int32_t rows, in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

static MCUGEN_INLINE void mcugen_fully_connected_s8(const struct mcugen_fully_connected_s8 *p, const int8_t *in,
                                                    int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        const int8_t *weights = p->weights;
        for (int32_t oc = 0; oc < p->out_c; ++oc) {
            int32_t acc = p->bias[oc];
            for (int32_t k = 0; k < p->in_c; ++k) {
                acc += (int32_t)in[k] * (int32_t)*weights++;
            }
            *out++ = mcugen_requantize_s8(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point,
                                          p->act_min, p->act_max);
        }
        in += p->in_c;
    }
}

#endif /* MCUGEN_FULLY_CONNECTED_S8_H */

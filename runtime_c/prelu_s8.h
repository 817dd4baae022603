/* SPDX-License-Identifier: Apache-2.0 */
/* PRelu, int8, channels along any axis: plain C for every core. */
#ifndef MCUGEN_PRELU_S8_H
#define MCUGEN_PRELU_S8_H

#include "fixed_point.h"

/* in and out [outer][channels][inner]; d = in - in_zero_point is requantized by multiplier where d >= 0, else by slope[c], which
 * may be negative. */
struct mcugen_prelu_s8 {
    int32_t outer, channels, inner;
    int32_t in_zero_point;
    int32_t multiplier, shift;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const int32_t *slope;
};

static MCUGEN_INLINE void mcugen_prelu_s8(const struct mcugen_prelu_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t o = 0; o < p->outer; ++o) {
        for (int32_t c = 0; c < p->channels; ++c) {
            const int32_t slope = p->slope[c];
            for (int32_t i = 0; i < p->inner; ++i) {
                const int32_t distance = (int32_t)*in++ - p->in_zero_point;
                *out++ = mcugen_requantize_s8(distance, distance < 0 ? slope : p->multiplier, p->shift,
                                              p->out_zero_point, p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_PRELU_S8_H */

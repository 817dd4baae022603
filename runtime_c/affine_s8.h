/* SPDX-License-Identifier: Apache-2.0 */
/* A scale and an offset per channel, int8, channels along any axis: plain C for every core. */
#ifndef MCUGEN_AFFINE_S8_H
#define MCUGEN_AFFINE_S8_H

#include "fixed_point.h"

/* in and out [outer][channels][inner]; acc = in * weights[c] + bias[c], as a depthwise 1x1 convolution (the input zero point is
 * folded into bias).  shift may be null: all zero. */
struct mcugen_affine_s8 {
    int32_t outer, channels, inner;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

static MCUGEN_INLINE void mcugen_affine_s8(const struct mcugen_affine_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t o = 0; o < p->outer; ++o) {
        for (int32_t c = 0; c < p->channels; ++c) {
            for (int32_t i = 0; i < p->inner; ++i) {
                const int32_t acc = p->bias[c] + (int32_t)*in++ * (int32_t)p->weights[c];
                *out++ = mcugen_requantize_s8(acc, p->multiplier[c], p->shift ? p->shift[c] : 0, p->out_zero_point,
                                              p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_AFFINE_S8_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* A scale and an offset per channel, channels along any axis, that reads or writes int16: plain C for every core. */
#ifndef MCUGEN_AFFINE_S16_H
#define MCUGEN_AFFINE_S16_H

#include "element_s16.h"

/* in and out [outer][channels][inner]; acc = in * weights[c] + bias[c], as a depthwise 1x1 convolution (the input zero point is
 * folded into bias).  shift may be null: all zero. */
struct mcugen_affine_s16 {
    int32_t in_bytes, out_bytes;
    int32_t outer, channels, inner;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

static MCUGEN_INLINE void mcugen_affine_s16(const struct mcugen_affine_s16 *p, const int8_t *in, int8_t *out,
                                            void *scratch)
{
    (void)scratch;
    ptrdiff_t at = 0;
    for (int32_t o = 0; o < p->outer; ++o) {
        for (int32_t c = 0; c < p->channels; ++c) {
            for (int32_t i = 0; i < p->inner; ++i, ++at) {
                const int32_t acc = p->bias[c] + mcugen_element(in, at, p->in_bytes) * (int32_t)p->weights[c];
                const int32_t value =
                    mcugen_requantize(acc, p->multiplier[c], p->shift ? p->shift[c] : 0, p->out_zero_point);
                mcugen_put(out, at, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
            }
        }
    }
}

#endif /* MCUGEN_AFFINE_S16_H */

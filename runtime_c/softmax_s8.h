/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax over the last axis, int8, with a table of exponentials: plain C for every core. */
#ifndef MCUGEN_SOFTMAX_S8_H
#define MCUGEN_SOFTMAX_S8_H

#include <stddef.h>
#include <stdint.h>

#include "mcugen.h"

/* in and out [rows][columns], out at scale 1 / 256 and zero point -128; exponential[d] = 65535 * exp(-d * scale of in); its
 * last entry stands for all that would follow (an index that is cut, since a load under a condition is slow on some cores).  columns <= 65537, so that the sum fits 32 bits. */
struct mcugen_softmax_s8 {
    int32_t rows, columns;
    int32_t exponential_size;
    const uint16_t *exponential;
};

static MCUGEN_INLINE uint32_t mcugen_softmax_exponential_s8(const struct mcugen_softmax_s8 *p, int32_t distance)
{
    const int32_t last = p->exponential_size - 1;
    return p->exponential[distance < last ? distance : last];
}

static MCUGEN_INLINE void mcugen_softmax_s8(const struct mcugen_softmax_s8 *p, const int8_t *in, int8_t *out,
                                            void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t largest = -128;
        for (int32_t i = 0; i < p->columns; ++i) {
            largest = in[i] > largest ? in[i] : largest;
        }
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->columns; ++i) {
            sum += mcugen_softmax_exponential_s8(p, largest - in[i]);
        }
        for (int32_t i = 0; i < p->columns; ++i) {
            const uint32_t scaled = mcugen_softmax_exponential_s8(p, largest - in[i]) * 256u;
            const int32_t value = (int32_t)((scaled + sum / 2u) / sum) - 128;
            out[i] = (int8_t)(value > 127 ? 127 : value);
        }
        in += p->columns;
        out += p->columns;
    }
}

#endif /* MCUGEN_SOFTMAX_S8_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax over the last axis of int16, with two tables of exponentials: plain C for every core. */
#ifndef MCUGEN_SOFTMAX_S16_H
#define MCUGEN_SOFTMAX_S16_H

#include "element_s16.h"

/* in int16 and out int8 [rows][columns], out at scale 1 / 256 and zero point -128; coarse[i] = 65535 * exp(-256 * i * scale of
 * in) and fine[i] = 65535 * exp(-i * scale of in).  columns <= 65537, so that the sum fits 32 bits. */
struct mcugen_softmax_s16 {
    int32_t rows, columns;
    const uint16_t *coarse;
    const uint16_t *fine;
};

static MCUGEN_INLINE uint32_t mcugen_softmax_exponential_s16(const struct mcugen_softmax_s16 *p, int32_t distance)
{
    return ((uint32_t)p->coarse[distance >> 8] * p->fine[distance & 255] + 32768u) >> 16;
}

/* out may begin where in does: a value is read before its place is written, and the largest is known before. */
static MCUGEN_INLINE void mcugen_softmax_s16(const struct mcugen_softmax_s16 *p, const int8_t *in, int8_t *out,
                                             void *scratch)
{
    (void)scratch;
    const mcugen_int16 *from = mcugen_in_s16(in);
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t largest = -32768;
        for (int32_t i = 0; i < p->columns; ++i) {
            largest = from[i] > largest ? from[i] : largest;
        }
        uint32_t sum = 0;
        for (int32_t i = 0; i < p->columns; ++i) {
            sum += mcugen_softmax_exponential_s16(p, largest - from[i]);
        }
        for (int32_t i = 0; i < p->columns; ++i) {
            const uint32_t scaled = mcugen_softmax_exponential_s16(p, largest - from[i]) * 256u;
            const int32_t value = (int32_t)((scaled + sum / 2u) / sum) - 128;
            *out++ = (int8_t)(value > 127 ? 127 : value);
        }
        from += p->columns;
    }
}

#endif /* MCUGEN_SOFTMAX_S16_H */

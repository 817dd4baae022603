/* SPDX-License-Identifier: Apache-2.0 */
/* From a dynamic tensor (dynamic_s8.h) to calibrated parameters: plain C for every core. */
#ifndef MCUGEN_FROM_DYNAMIC_S8_H
#define MCUGEN_FROM_DYNAMIC_S8_H

#include "dynamic_s8.h"

/* in [size + 2], out [size]; one over the output's scale is mantissa * 2^exponent. */
struct mcugen_from_dynamic_s8 {
    int32_t size;
    int32_t zero_point, mantissa, exponent;
};

static MCUGEN_INLINE void mcugen_from_dynamic_s8(const struct mcugen_from_dynamic_s8 *p, const int8_t *in, int8_t *out,
                                                 void *scratch)
{
    const int32_t shift = -(in[p->size] + p->exponent);
    const int32_t in_zero_point = in[p->size + 1];
    const int32_t factor = 1 << mcugen_clamp(-shift, 0, 7);
    (void)scratch;
    for (int32_t i = 0; i < p->size; ++i) {
        const int32_t value = (in[i] - in_zero_point) * p->mantissa;
        const int32_t steps = shift >= 0 ? mcugen_rounding_shift(value, shift) : value * factor;
        out[i] = (int8_t)mcugen_ssat8(steps + p->zero_point);
    }
}

#endif /* MCUGEN_FROM_DYNAMIC_S8_H */

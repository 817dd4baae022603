/* SPDX-License-Identifier: Apache-2.0 */
/* From calibrated parameters to a dynamic tensor (dynamic_s8.h): plain C for every core. */
#ifndef MCUGEN_TO_DYNAMIC_S8_H
#define MCUGEN_TO_DYNAMIC_S8_H

#include "dynamic_s8.h"

/* in [size], out [size + 2]; the input's scale is mantissa * 2^exponent. scratch: int32 [size]. */
struct mcugen_to_dynamic_s8 {
    int32_t size;
    int32_t zero_point, mantissa, exponent;
};

static MCUGEN_INLINE void mcugen_to_dynamic_s8(const struct mcugen_to_dynamic_s8 *p, const int8_t *in, int8_t *out,
                                               void *scratch)
{
    int32_t *const values = (int32_t *)scratch;
    for (int32_t i = 0; i < p->size; ++i) {
        values[i] = (in[i] - p->zero_point) * p->mantissa;
    }
    mcugen_settle_s8(values, p->size, p->exponent, out);
}

#endif /* MCUGEN_TO_DYNAMIC_S8_H */

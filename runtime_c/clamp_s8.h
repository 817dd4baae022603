/* SPDX-License-Identifier: Apache-2.0 */
/* The explicit bounds of an activation, for kernels that only saturate; no code where the bounds are those of int8. */
#ifndef MCUGEN_CLAMP_S8_H
#define MCUGEN_CLAMP_S8_H

#include "fixed_point.h"

static MCUGEN_INLINE void mcugen_clamp_s8(int8_t *data, int32_t count, int32_t low, int32_t high)
{
    if (low > -128 || high < 127) {
        for (int32_t i = 0; i < count; ++i) {
            data[i] = (int8_t)mcugen_clamp(data[i], low, high);
        }
    }
}

#endif /* MCUGEN_CLAMP_S8_H */

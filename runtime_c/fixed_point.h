/* SPDX-License-Identifier: Apache-2.0 */
/* The integer arithmetic of every kernel; twin of mcugen/fixed_point.py, bit for bit. */
#ifndef MCUGEN_FIXED_POINT_H
#define MCUGEN_FIXED_POINT_H

#include <stdint.h>

#include "simd.h"

static MCUGEN_INLINE int32_t mcugen_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : (value > high ? high : value);
}

/* zero_point + round(acc * 2^shift * multiplier / 2^32), one rounding, half up; |acc * 2^shift| < 2^31.
 * Not saturated. The product with 2^shift instead of a left shift keeps negative accumulators defined. */
static MCUGEN_INLINE int32_t mcugen_requantize(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero_point)
{
    return mcugen_smmlar(acc * (int32_t)((uint32_t)1 << shift), multiplier, zero_point);
}

/* The same, saturated to int8 and to [low, high]; the clamp vanishes where the bounds are those of int8. */
static MCUGEN_INLINE int8_t mcugen_requantize_s8(int32_t acc, int32_t multiplier, int32_t shift, int32_t zero_point,
                                                 int32_t low, int32_t high)
{
    const int32_t value = mcugen_ssat8(mcugen_requantize(acc, multiplier, shift, zero_point));
    /* Compilers do not know the range of a saturating instruction's result. */
    return (int8_t)(low > -128 || high < 127 ? mcugen_clamp(value, low, high) : value);
}

#endif /* MCUGEN_FIXED_POINT_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors whose parameters are found at run time: size int8 integers q, then an exponent e and a zero point z;
 * real = 2^e * (q - z). */
#ifndef MCUGEN_DYNAMIC_S8_H
#define MCUGEN_DYNAMIC_S8_H

#include "fixed_point.h"

/* value / 2^shift, halves up; |value| < 2^30, shifts of 31 and more are 31. */
static MCUGEN_INLINE int32_t mcugen_rounding_shift(int32_t value, int32_t shift)
{
    const int32_t n = shift > 31 ? 31 : shift;
    return (value + (int32_t)(((uint32_t)1 << n) >> 1)) >> n;
}

/* out[size + 2] from values in units of 2^exponent. */
static MCUGEN_INLINE void mcugen_settle_s8(const int32_t *values, int32_t size, int32_t exponent, int8_t *out)
{
    int32_t low = 0;
    int32_t high = 0;
    for (int32_t i = 0; i < size; ++i) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    int32_t shift = 0;
    while (mcugen_rounding_shift(high, shift) - mcugen_rounding_shift(low, shift) > 255) {
        ++shift;
    }
    const int32_t zero_point = -128 - mcugen_rounding_shift(low, shift);
    const int32_t half = (int32_t)(((uint32_t)1 << shift) >> 1);
    for (int32_t i = 0; i < size; ++i) {
        out[i] = (int8_t)(zero_point + ((values[i] + half) >> shift));
    }
    out[size] = (int8_t)mcugen_clamp(exponent + shift, -128, 127);
    out[size + 1] = (int8_t)zero_point;
}

#endif /* MCUGEN_DYNAMIC_S8_H */

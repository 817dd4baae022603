/* SPDX-License-Identifier: Apache-2.0 */
/* The integer arithmetic of TensorFlow Lite's reference kernels; twin of mcugen/tflite_arithmetic.py, bit for bit. */
#ifndef MCUGEN_FIXED_POINT_TFLITE_H
#define MCUGEN_FIXED_POINT_TFLITE_H

#include <stdint.h>

#include "fixed_point.h"

/* (a * b + nudge) / 2^31, towards zero; not both INT32_MIN. */
static MCUGEN_INLINE int32_t mcugen_high_multiply(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b;
    const int64_t nudge = product >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
    return (int32_t)((product + nudge) / ((int64_t)1 << 31));
}

/* x / 2^exponent, the nearest, ties away from zero; 0 <= exponent <= 31. */
static MCUGEN_INLINE int32_t mcugen_divide_by_power(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + ((x & mask) > threshold ? 1 : 0);
}

/* acc * multiplier * 2^(exponent - 31), rounded twice; |acc * 2^exponent| < 2^31. */
static MCUGEN_INLINE int32_t mcugen_requantize_tflite(int32_t acc, int32_t multiplier, int32_t exponent)
{
    const int32_t left = exponent > 0 ? exponent : 0;
    const int32_t right = exponent > 0 ? 0 : -exponent;
    return mcugen_divide_by_power(mcugen_high_multiply(acc * (int32_t)((uint32_t)1 << left), multiplier), right);
}

/* The same to int8 in [low, high]. */
static MCUGEN_INLINE int8_t mcugen_requantize_s8_tflite(int32_t acc, int32_t multiplier, int32_t exponent,
                                                        int32_t zero_point, int32_t low, int32_t high)
{
    const int32_t value = mcugen_requantize_tflite(acc, multiplier, exponent);
    /* Cut first, so that the zero point cannot overflow. */
    return (int8_t)mcugen_clamp(mcugen_clamp(value, -512, 512) + zero_point, low, high);
}

#endif /* MCUGEN_FIXED_POINT_TFLITE_H */

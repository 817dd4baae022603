/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax over the last axis, int8, in TensorFlow Lite's arithmetic: plain C for every core. */
#ifndef MCUGEN_SOFTMAX_S8_TFLITE_H
#define MCUGEN_SOFTMAX_S8_TFLITE_H

#include <stddef.h>

#include "fixed_point_tflite.h"

/* in and out [rows][columns], out at scale 1 / 256 and zero point -128.  (q - largest) * 2^exponent * multiplier / 2^31 is the
 * exponent of e in Q5.26; differences below lowest count as zero.  columns < 512, so that the last shift is at most 31. */
struct mcugen_softmax_s8_tflite {
    int32_t rows, columns;
    int32_t multiplier, exponent, lowest;
};

static MCUGEN_INLINE int32_t mcugen_shift_left_saturated(int32_t x, int32_t bits)
{
    const int64_t shifted = (int64_t)x * ((int64_t)1 << bits);
    return shifted > INT32_MAX ? INT32_MAX : (shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted);
}

/* exp of a value in Q5.26, not positive, in Q0.31: a Taylor polynomial around -1/8 and a product of powers. */
static MCUGEN_INLINE int32_t mcugen_exp_tflite(int32_t a)
{
    static const int32_t power[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = (int32_t)1 << 24;
    const int32_t reduced = (a & (quarter - 1)) - quarter;
    const int32_t x = mcugen_shift_left_saturated(reduced, 5) + ((int32_t)1 << 28);
    const int32_t x2 = mcugen_high_multiply(x, x);
    const int32_t x3 = mcugen_high_multiply(x2, x);
    const int32_t x4 = mcugen_divide_by_power(mcugen_high_multiply(x2, x2), 2);
    const int32_t rest = mcugen_divide_by_power(mcugen_high_multiply(x4 + x3, 715827883) + x2, 1);
    const int32_t remainder = reduced - a;
    int32_t result = 1895147668 + mcugen_high_multiply(1895147668, x + rest);
    for (int32_t i = 0; i < 7; ++i) {
        if ((remainder & ((int32_t)1 << (24 + i))) != 0) {
            result = mcugen_high_multiply(result, power[i]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

/* 1 / (1 + a), a in [0, 1), both in Q0.31, by three steps of Newton's method. */
static MCUGEN_INLINE int32_t mcugen_one_over_one_plus_tflite(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + mcugen_high_multiply(half, -1010580540);
    for (int32_t i = 0; i < 3; ++i) {
        const int32_t error = ((int32_t)1 << 29) - mcugen_high_multiply(half, x);
        x += mcugen_shift_left_saturated(mcugen_high_multiply(x, error), 2);
    }
    return mcugen_shift_left_saturated(x, 1);
}

static MCUGEN_INLINE int32_t mcugen_softmax_exponential_tflite(const struct mcugen_softmax_s8_tflite *p, int32_t difference)
{
    return mcugen_exp_tflite(
        mcugen_high_multiply(difference * (int32_t)((uint32_t)1 << p->exponent), p->multiplier));
}

static MCUGEN_INLINE void mcugen_softmax_s8_tflite(const struct mcugen_softmax_s8_tflite *p, const int8_t *in,
                                                   int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t largest = -128;
        for (int32_t i = 0; i < p->columns; ++i) {
            largest = in[i] > largest ? in[i] : largest;
        }
        int32_t sum = 0;
        for (int32_t i = 0; i < p->columns; ++i) {
            if (in[i] - largest >= p->lowest) {
                sum += mcugen_divide_by_power(mcugen_softmax_exponential_tflite(p, in[i] - largest), 12);
            }
        }
        int32_t headroom = 0;
        for (uint32_t bits = (uint32_t)sum; bits < 0x80000000u; bits <<= 1) {
            ++headroom;
        }
        const int32_t reciprocal =
            mcugen_one_over_one_plus_tflite((int32_t)(((uint32_t)sum << headroom) & 0x7fffffffu));
        for (int32_t i = 0; i < p->columns; ++i) {
            int32_t value = -128;
            if (in[i] - largest >= p->lowest) {
                const int32_t exponential = mcugen_softmax_exponential_tflite(p, in[i] - largest);
                value += mcugen_divide_by_power(mcugen_high_multiply(reciprocal, exponential), 35 - headroom);
            }
            out[i] = (int8_t)mcugen_clamp(value, -128, 127);
        }
        in += p->columns;
        out += p->columns;
    }
}

#endif /* MCUGEN_SOFTMAX_S8_TFLITE_H */

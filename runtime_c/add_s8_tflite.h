/* SPDX-License-Identifier: Apache-2.0 */
/* Sum of two int8 tensors with broadcasting, in TensorFlow Lite's arithmetic: plain C for every core. */
#ifndef MCUGEN_ADD_S8_TFLITE_H
#define MCUGEN_ADD_S8_TFLITE_H

#include <stddef.h>

#include "fixed_point_tflite.h"

/* Both operands are scaled by 2^20 and to a common scale, their sum to the output's.  The multipliers and exponents are
 * those of mcugen_requantize_tflite; no exponent is positive.  Sizes and strides: see struct mcugen_add_s8. */
struct mcugen_add_s8_tflite {
    int32_t zero_point1, zero_point2;
    int32_t multiplier1, multiplier2;
    int32_t exponent1, exponent2;
    int32_t multiplier, exponent, out_zero_point;
    int32_t act_min, act_max;
    int32_t size_0, size_1, size_2, size_3;
    int32_t stride1_0, stride1_1, stride1_2, stride1_3;
    int32_t stride2_0, stride2_1, stride2_2, stride2_3;
};

static MCUGEN_INLINE void mcugen_add_s8_tflite(const struct mcugen_add_s8_tflite *p, const int8_t *in1,
                                               const int8_t *in2, int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t unit = (int32_t)1 << 20;
    for (int32_t i0 = 0; i0 < p->size_0; ++i0) {
        for (int32_t i1 = 0; i1 < p->size_1; ++i1) {
            for (int32_t i2 = 0; i2 < p->size_2; ++i2) {
                const int8_t *a = in1 + (ptrdiff_t)(i0 * p->stride1_0 + i1 * p->stride1_1 + i2 * p->stride1_2);
                const int8_t *b = in2 + (ptrdiff_t)(i0 * p->stride2_0 + i1 * p->stride2_1 + i2 * p->stride2_2);
                for (int32_t i3 = 0; i3 < p->size_3; ++i3) {
                    const int32_t first =
                        mcugen_requantize_tflite((*a - p->zero_point1) * unit, p->multiplier1, p->exponent1);
                    const int32_t second =
                        mcugen_requantize_tflite((*b - p->zero_point2) * unit, p->multiplier2, p->exponent2);
                    *out++ = mcugen_requantize_s8_tflite(first + second, p->multiplier, p->exponent, p->out_zero_point,
                                                         p->act_min, p->act_max);
                    a += p->stride1_3;
                    b += p->stride2_3;
                }
            }
        }
    }
}

#endif /* MCUGEN_ADD_S8_TFLITE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Product of two tensors, element by element, with broadcasting, any of the three int16: plain C for every core. */
#ifndef MCUGEN_MUL_S16_H
#define MCUGEN_MUL_S16_H

#include "element_s16.h"

/* out = requantize((in1 - zero_point1) * (in2 - zero_point2)), clamped.
 * out [size_0][size_1][size_2][size_3]; a stride is 0 along the axes over which an operand is broadcast. */
struct mcugen_mul_s16 {
    int32_t in1_bytes, in2_bytes, out_bytes;
    int32_t zero_point1, zero_point2, out_zero_point;
    int32_t multiplier, shift;
    int32_t act_min, act_max;
    int32_t size_0, size_1, size_2, size_3;
    int32_t stride1_0, stride1_1, stride1_2, stride1_3;
    int32_t stride2_0, stride2_1, stride2_2, stride2_3;
};

static MCUGEN_INLINE void mcugen_mul_s16(const struct mcugen_mul_s16 *p, const int8_t *in1, const int8_t *in2, int8_t *out,
                                        void *scratch)
{
    (void)scratch;
    ptrdiff_t o = 0;
    for (int32_t i0 = 0; i0 < p->size_0; ++i0) {
        for (int32_t i1 = 0; i1 < p->size_1; ++i1) {
            for (int32_t i2 = 0; i2 < p->size_2; ++i2) {
                ptrdiff_t a = (ptrdiff_t)(i0 * p->stride1_0 + i1 * p->stride1_1 + i2 * p->stride1_2);
                ptrdiff_t b = (ptrdiff_t)(i0 * p->stride2_0 + i1 * p->stride2_1 + i2 * p->stride2_2);
                for (int32_t i3 = 0; i3 < p->size_3; ++i3) {
                    const int32_t product = (mcugen_element(in1, a, p->in1_bytes) - p->zero_point1) *
                                            (mcugen_element(in2, b, p->in2_bytes) - p->zero_point2);
                    const int32_t value = mcugen_requantize(product, p->multiplier, p->shift, p->out_zero_point);
                    mcugen_put(out, o++, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
                    a += p->stride1_3;
                    b += p->stride2_3;
                }
            }
        }
    }
}

/* The same with a constant second operand, int16. */
struct mcugen_mul_constant_s16 {
    int32_t in1_bytes, out_bytes;
    int32_t zero_point1, zero_point2, out_zero_point;
    int32_t multiplier, shift;
    int32_t act_min, act_max;
    int32_t size_0, size_1, size_2, size_3;
    int32_t stride1_0, stride1_1, stride1_2, stride1_3;
    int32_t stride2_0, stride2_1, stride2_2, stride2_3;
    const int16_t *operand;
};

static MCUGEN_INLINE void mcugen_mul_constant_s16(const struct mcugen_mul_constant_s16 *p, const int8_t *in, int8_t *out,
                                                 void *scratch)
{
    const struct mcugen_mul_s16 product = {
        .in1_bytes = p->in1_bytes, .in2_bytes = 2, .out_bytes = p->out_bytes,
        .zero_point1 = p->zero_point1, .zero_point2 = p->zero_point2, .out_zero_point = p->out_zero_point,
        .multiplier = p->multiplier, .shift = p->shift, .act_min = p->act_min, .act_max = p->act_max,
        .size_0 = p->size_0, .size_1 = p->size_1, .size_2 = p->size_2, .size_3 = p->size_3,
        .stride1_0 = p->stride1_0, .stride1_1 = p->stride1_1, .stride1_2 = p->stride1_2, .stride1_3 = p->stride1_3,
        .stride2_0 = p->stride2_0, .stride2_1 = p->stride2_1, .stride2_2 = p->stride2_2, .stride2_3 = p->stride2_3,
    };
    mcugen_mul_s16(&product, in, (const int8_t *)(const void *)p->operand, out, scratch);
}

#endif /* MCUGEN_MUL_S16_H */

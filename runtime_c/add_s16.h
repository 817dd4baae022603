/* SPDX-License-Identifier: Apache-2.0 */
/* Sum or difference of two tensors with broadcasting, any of the three int16: plain C for every core. */
#ifndef MCUGEN_ADD_S16_H
#define MCUGEN_ADD_S16_H

#include "element_s16.h"

/* out = (in1 * multiplier1 + in2 * multiplier2 + constant) >> shift, clamped; the sum never leaves int32.
 * out [size_0][size_1][size_2][size_3]; a stride is 0 along the axes over which an operand is broadcast. */
struct mcugen_add_s16 {
    int32_t in1_bytes, in2_bytes, out_bytes;
    int32_t multiplier1, multiplier2, constant, shift;
    int32_t act_min, act_max;
    int32_t size_0, size_1, size_2, size_3;
    int32_t stride1_0, stride1_1, stride1_2, stride1_3;
    int32_t stride2_0, stride2_1, stride2_2, stride2_3;
};

static MCUGEN_INLINE void mcugen_add_s16(const struct mcugen_add_s16 *p, const int8_t *in1, const int8_t *in2, int8_t *out,
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
                    const int32_t sum = mcugen_element(in1, a, p->in1_bytes) * p->multiplier1 +
                                        mcugen_element(in2, b, p->in2_bytes) * p->multiplier2 + p->constant;
                    mcugen_put(out, o++, mcugen_clamp(sum >> p->shift, p->act_min, p->act_max), p->out_bytes);
                    a += p->stride1_3;
                    b += p->stride2_3;
                }
            }
        }
    }
}

/* The same with a constant second operand, int16. */
struct mcugen_add_constant_s16 {
    int32_t in1_bytes, out_bytes;
    int32_t multiplier1, multiplier2, constant, shift;
    int32_t act_min, act_max;
    int32_t size_0, size_1, size_2, size_3;
    int32_t stride1_0, stride1_1, stride1_2, stride1_3;
    int32_t stride2_0, stride2_1, stride2_2, stride2_3;
    const int16_t *operand;
};

static MCUGEN_INLINE void mcugen_add_constant_s16(const struct mcugen_add_constant_s16 *p, const int8_t *in, int8_t *out,
                                                 void *scratch)
{
    const struct mcugen_add_s16 sum = {
        .in1_bytes = p->in1_bytes, .in2_bytes = 2, .out_bytes = p->out_bytes,
        .multiplier1 = p->multiplier1, .multiplier2 = p->multiplier2, .constant = p->constant, .shift = p->shift,
        .act_min = p->act_min, .act_max = p->act_max,
        .size_0 = p->size_0, .size_1 = p->size_1, .size_2 = p->size_2, .size_3 = p->size_3,
        .stride1_0 = p->stride1_0, .stride1_1 = p->stride1_1, .stride1_2 = p->stride1_2, .stride1_3 = p->stride1_3,
        .stride2_0 = p->stride2_0, .stride2_1 = p->stride2_1, .stride2_2 = p->stride2_2, .stride2_3 = p->stride2_3,
    };
    mcugen_add_s16(&sum, in, (const int8_t *)(const void *)p->operand, out, scratch);
}

#endif /* MCUGEN_ADD_S16_H */

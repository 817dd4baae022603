/* SPDX-License-Identifier: Apache-2.0 */
/* Sum or difference of two tensors of one shape, any of the three int16, for cores with MVE: 8 elements at a time. */
#ifndef MCUGEN_ADD_S16_MVE_H
#define MCUGEN_ADD_S16_MVE_H

#include "mve_s16.h"

/* out = (in1 * multiplier1 + in2 * multiplier2 + constant) >> shift, clamped; size values, and the sum never leaves int32. */
struct mcugen_add_s16_mve {
    int32_t in1_bytes, in2_bytes, out_bytes;
    int32_t multiplier1, multiplier2, constant, shift;
    int32_t act_min, act_max;
    int32_t size;
};

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_add_wide_mve(const struct mcugen_add_s16_mve *p, mcugen_s32x4 a, mcugen_s32x4 b)
{
    mcugen_s32x4 sum = mcugen_dup_s32x4(p->constant);
    sum = mcugen_mla_n_s32x4(sum, a, p->multiplier1);
    sum = mcugen_mla_n_s32x4(sum, b, p->multiplier2);
    return mcugen_shift_n_s32x4(sum, -p->shift);
}

static MCUGEN_INLINE void mcugen_add_s16_mve(const struct mcugen_add_s16_mve *p, const int8_t *in1, const int8_t *in2,
                                             int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t left = p->size; left > 0; left -= 8) {
        const mcugen_s16x8 a = mcugen_load_wide(in1, p->in1_bytes, left);
        const mcugen_s16x8 b = mcugen_load_wide(in2, p->in2_bytes, left);
        const mcugen_s32x4 even = mcugen_add_wide_mve(p, mcugen_even_s16x8(a), mcugen_even_s16x8(b));
        const mcugen_s32x4 odd = mcugen_add_wide_mve(p, mcugen_odd_s16x8(a), mcugen_odd_s16x8(b));
        const mcugen_s16x8 v = mcugen_bound_s16x8(mcugen_saturate_s16x8(even, odd), p->act_min, p->act_max);
        mcugen_store_wide(out, v, p->out_bytes, left);
        in1 += 8 * p->in1_bytes;
        in2 += 8 * p->in2_bytes;
        out += 8 * p->out_bytes;
    }
}

#endif /* MCUGEN_ADD_S16_MVE_H */

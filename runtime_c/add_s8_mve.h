/* SPDX-License-Identifier: Apache-2.0 */
/* Sum of two int8 tensors of one shape for cores with MVE: 4 elements at a time. */
#ifndef MCUGEN_ADD_S8_MVE_H
#define MCUGEN_ADD_S8_MVE_H

#include "mve.h"

/* out = sat8((in1 * multiplier1 + in2 * multiplier2 + constant) >> shift), clamped; the sum never leaves int32. */
struct mcugen_add_s8_mve {
    int32_t multiplier1, multiplier2, constant, shift;
    int32_t act_min, act_max;
    int32_t size;
};

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_add_four_mve(const struct mcugen_add_s8_mve *p, mcugen_s32x4 a, mcugen_s32x4 b)
{
    mcugen_s32x4 sum = mcugen_dup_s32x4(p->constant);
    sum = mcugen_mla_n_s32x4(sum, a, p->multiplier1);
    sum = mcugen_mla_n_s32x4(sum, b, p->multiplier2);
    return mcugen_saturate_s8x4(mcugen_shift_n_s32x4(sum, -p->shift));
}

static MCUGEN_INLINE void mcugen_add_s8_mve(const struct mcugen_add_s8_mve *p, const int8_t *in1, const int8_t *in2,
                                            int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t whole = p->size & ~3;
    const int32_t rest = p->size & 3;
    for (int32_t i = 0; i < whole; i += 4) {
        mcugen_store_s32x4(out + i, mcugen_add_four_mve(p, mcugen_load_s32x4(in1 + i), mcugen_load_s32x4(in2 + i)));
    }
    if (rest > 0) {
        const mcugen_s32x4 a = mcugen_load_first_s32x4(in1 + whole, rest);
        const mcugen_s32x4 b = mcugen_load_first_s32x4(in2 + whole, rest);
        mcugen_store_first_s32x4(out + whole, mcugen_add_four_mve(p, a, b), rest);
    }
    mcugen_clamp_s8_mve(out, p->size, p->act_min, p->act_max);
}

#endif /* MCUGEN_ADD_S8_MVE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Sum or difference of two int8 tensors of one shape, for cores with the DSP instructions: one SMLAD an element. */
#ifndef MCUGEN_ADD_S8_DSP_H
#define MCUGEN_ADD_S8_DSP_H

#include "fixed_point.h"

/* out = clamp((in1 * multiplier1 + in2 * multiplier2 + constant) >> shift); the sum never leaves int32.
 * `size` values each; out may be either operand. */
struct mcugen_add_s8_dsp {
    int32_t multiplier1, multiplier2, constant, shift;
    int32_t act_min, act_max;
    int32_t size;
};

static MCUGEN_INLINE int32_t mcugen_add_element(uint32_t pair, uint32_t multipliers, const struct mcugen_add_s8_dsp *p)
{
    const int32_t value = mcugen_ssat8(mcugen_smlad(pair, multipliers, p->constant) >> p->shift);
    return p->act_min > -128 || p->act_max < 127 ? mcugen_clamp(value, p->act_min, p->act_max) : value;
}

/* Four elements: the bytes of a and b. */
static MCUGEN_INLINE uint32_t mcugen_add_word(uint32_t a, uint32_t b, uint32_t multipliers, const struct mcugen_add_s8_dsp *p)
{
    const uint32_t low = mcugen_pkhbt(a, b);
    const uint32_t high = mcugen_pkhtb(b, a);
    const int32_t y0 = mcugen_add_element(mcugen_sxtb16(low), multipliers, p);
    const int32_t y1 = mcugen_add_element(mcugen_sxtb16_ror8(low), multipliers, p);
    const int32_t y2 = mcugen_add_element(mcugen_sxtb16(high), multipliers, p);
    const int32_t y3 = mcugen_add_element(mcugen_sxtb16_ror8(high), multipliers, p);
    return mcugen_pack_s8(y0, y1, y2, y3);
}

static MCUGEN_INLINE void mcugen_add_s8_dsp(const struct mcugen_add_s8_dsp *p, const int8_t *in1, const int8_t *in2,
                                            int8_t *out, void *scratch)
{
    (void)scratch;
    const uint32_t multipliers = mcugen_pkhbt((uint32_t)p->multiplier1, (uint32_t)p->multiplier2);
    int32_t left = p->size;
    for (; left >= 8; left -= 8) {
        const uint32_t a0 = mcugen_load32(in1);
        const uint32_t a1 = mcugen_load32(in1 + 4);
        const uint32_t b0 = mcugen_load32(in2);
        const uint32_t b1 = mcugen_load32(in2 + 4);
        mcugen_store32(out, mcugen_add_word(a0, b0, multipliers, p));
        mcugen_store32(out + 4, mcugen_add_word(a1, b1, multipliers, p));
        in1 += 8;
        in2 += 8;
        out += 8;
    }
    for (; left > 0; --left) {
        const uint32_t pair = mcugen_pkhbt((uint32_t)(int32_t)*in1++, (uint32_t)(int32_t)*in2++);
        *out++ = (int8_t)mcugen_add_element(pair, multipliers, p);
    }
}

#endif /* MCUGEN_ADD_S8_DSP_H */

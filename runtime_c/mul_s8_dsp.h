/* SPDX-License-Identifier: Apache-2.0 */
/* Product of two int8 tensors of one shape, for cores with the DSP instructions: four elements at a time. */
#ifndef MCUGEN_MUL_S8_DSP_H
#define MCUGEN_MUL_S8_DSP_H

#include "fixed_point.h"

/* out = requantize((in1 - zero_point1) * (in2 - zero_point2)), clamped.  `size` values each; out may be either operand. */
struct mcugen_mul_s8_dsp {
    int32_t zero_point1, zero_point2, out_zero_point;
    int32_t multiplier, shift;
    int32_t act_min, act_max;
    int32_t size;
};

static MCUGEN_INLINE int32_t mcugen_mul_element(int32_t product, const struct mcugen_mul_s8_dsp *p)
{
    return mcugen_requantize_s8(product, p->multiplier, p->shift, p->out_zero_point, p->act_min, p->act_max);
}

static MCUGEN_INLINE void mcugen_mul_s8_dsp(const struct mcugen_mul_s8_dsp *p, const int8_t *in1, const int8_t *in2,
                                            int8_t *out, void *scratch)
{
    (void)scratch;
    const uint32_t zero1 = (uint32_t)(uint16_t)p->zero_point1 * 0x10001u;
    const uint32_t zero2 = (uint32_t)(uint16_t)p->zero_point2 * 0x10001u;
    int32_t left = p->size;
    for (; left >= 4; left -= 4) {
        const uint32_t a = mcugen_load32(in1);
        const uint32_t b = mcugen_load32(in2);
        const uint32_t a02 = mcugen_ssub16(mcugen_sxtb16(a), zero1);
        const uint32_t a13 = mcugen_ssub16(mcugen_sxtb16_ror8(a), zero1);
        const uint32_t b02 = mcugen_ssub16(mcugen_sxtb16(b), zero2);
        const uint32_t b13 = mcugen_ssub16(mcugen_sxtb16_ror8(b), zero2);
        const int32_t y0 = mcugen_mul_element(mcugen_low16(a02) * mcugen_low16(b02), p);
        const int32_t y1 = mcugen_mul_element(mcugen_low16(a13) * mcugen_low16(b13), p);
        const int32_t y2 = mcugen_mul_element(mcugen_high16(a02) * mcugen_high16(b02), p);
        const int32_t y3 = mcugen_mul_element(mcugen_high16(a13) * mcugen_high16(b13), p);
        mcugen_store32(out, mcugen_pack_s8(y0, y1, y2, y3));
        in1 += 4;
        in2 += 4;
        out += 4;
    }
    for (; left > 0; --left) {
        *out++ = (int8_t)mcugen_mul_element((*in1++ - p->zero_point1) * (*in2++ - p->zero_point2), p);
    }
}

#endif /* MCUGEN_MUL_S8_DSP_H */

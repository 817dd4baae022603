/* SPDX-License-Identifier: Apache-2.0 */
/* Sum or difference of two tensors of one shape, any of the three int16, for cores with the DSP instructions. */
#ifndef MCUGEN_ADD_S16_DSP_H
#define MCUGEN_ADD_S16_DSP_H

#include "clamp_s16.h"

/* out = (in1 * multiplier1 + in2 * multiplier2 + constant) >> shift, stored as `store` says; size values. */
struct mcugen_add_s16_dsp {
    int32_t in1_bytes, in2_bytes, store;
    int32_t multiplier1, multiplier2, constant, shift;
    int32_t act_min, act_max;
    int32_t size;
};

static MCUGEN_INLINE void mcugen_add_s16_dsp(const struct mcugen_add_s16_dsp *p, const int8_t *in1, const int8_t *in2,
                                             int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const uint32_t factors = mcugen_pkhbt((uint32_t)p->multiplier1, (uint32_t)p->multiplier2);
    const int32_t end = p->size & ~1;
    int32_t i = 0;
    for (; i < end; i += 2) {
        const uint32_t a = mcugen_pair_s16(in1, p->in1_bytes);
        const uint32_t b = mcugen_pair_s16(in2, p->in2_bytes);
        const int32_t low = mcugen_smlad(mcugen_pkhbt(a, b), factors, p->constant) >> p->shift;
        const int32_t high = mcugen_smlad(mcugen_pkhtb(b, a), factors, p->constant) >> p->shift;
        const int32_t first = mcugen_saturate_stored(low, p->store);
        const int32_t second = mcugen_saturate_stored(high, p->store);
        if (bytes == 2) {
            mcugen_store32(out, mcugen_pkhbt((uint32_t)first, (uint32_t)second));
        } else {
            out[0] = (int8_t)first;
            out[1] = (int8_t)second;
        }
        in1 += 2 * p->in1_bytes;
        in2 += 2 * p->in2_bytes;
        out += 2 * bytes;
    }
    if (i < p->size) {
        const int32_t sum = mcugen_element(in1, 0, p->in1_bytes) * p->multiplier1 +
                            mcugen_element(in2, 0, p->in2_bytes) * p->multiplier2 + p->constant;
        mcugen_put(out, 0, mcugen_saturate_stored(sum >> p->shift, p->store), bytes);
        out += bytes;
    }
    mcugen_clamp_stored(out - (ptrdiff_t)p->size * bytes, p->size, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_ADD_S16_DSP_H */

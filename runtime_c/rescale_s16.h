/* SPDX-License-Identifier: Apache-2.0 */
/* One linear function of every value, clamped, that reads or writes int16; rows go into longer rows of the output. */
#ifndef MCUGEN_RESCALE_S16_H
#define MCUGEN_RESCALE_S16_H

#include "element_s16.h"

/* out = (in * multiplier + constant) >> shift, clamped; the sum never leaves int32.  rows of width values each go to out,
 * out + out_stride, ... */
struct mcugen_rescale_s16 {
    int32_t in_bytes, out_bytes;
    int32_t rows, width, out_stride;
    int32_t multiplier, constant, shift;
    int32_t act_min, act_max;
};

static MCUGEN_INLINE void mcugen_rescale_s16(const struct mcugen_rescale_s16 *p, const int8_t *in, int8_t *out,
                                             void *scratch)
{
    (void)scratch;
    ptrdiff_t from = 0;
    for (int32_t row = 0; row < p->rows; ++row) {
        const ptrdiff_t to = (ptrdiff_t)row * p->out_stride;
        for (int32_t i = 0; i < p->width; ++i) {
            const int32_t sum = mcugen_element(in, from++, p->in_bytes) * p->multiplier + p->constant;
            mcugen_put(out, to + i, mcugen_clamp(sum >> p->shift, p->act_min, p->act_max), p->out_bytes);
        }
    }
}

#endif /* MCUGEN_RESCALE_S16_H */

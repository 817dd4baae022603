/* SPDX-License-Identifier: Apache-2.0 */
/* Transpose of up to six axes, int16. */
#ifndef MCUGEN_TRANSPOSE_S16_H
#define MCUGEN_TRANSPOSE_S16_H

#include "element_s16.h"

/* size_i: the output's axes, outermost first; step_i: how far apart, in elements, their entries lie in the input. */
struct mcugen_transpose_s16 {
    int32_t size_0, size_1, size_2, size_3, size_4, size_5;
    int32_t step_0, step_1, step_2, step_3, step_4, step_5;
};

/* The innermost three axes from one starting point. */
static MCUGEN_INLINE mcugen_int16 *mcugen_transpose_inner_s16(const struct mcugen_transpose_s16 *p, const mcugen_int16 *in,
                                                       mcugen_int16 *out)
{
    for (int32_t i = 0; i < p->size_3; ++i, in += p->step_3) {
        const mcugen_int16 *middle = in;
        for (int32_t j = 0; j < p->size_4; ++j, middle += p->step_4) {
            const mcugen_int16 *from = middle;
            for (int32_t k = 0; k < p->size_5; ++k, from += p->step_5) {
                *out++ = *from;
            }
        }
    }
    return out;
}

static MCUGEN_INLINE void mcugen_transpose_s16(const struct mcugen_transpose_s16 *p, const int8_t *in, int8_t *out,
                                              void *scratch)
{
    (void)scratch;
    const mcugen_int16 *from = mcugen_in_s16(in);
    mcugen_int16 *to = mcugen_out_s16(out);
    for (int32_t i = 0; i < p->size_0; ++i) {
        for (int32_t j = 0; j < p->size_1; ++j) {
            for (int32_t k = 0; k < p->size_2; ++k) {
                const ptrdiff_t start = (ptrdiff_t)i * p->step_0 + (ptrdiff_t)j * p->step_1 + (ptrdiff_t)k * p->step_2;
                to = mcugen_transpose_inner_s16(p, from + start, to);
            }
        }
    }
}

#endif /* MCUGEN_TRANSPOSE_S16_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* A constant part of a concatenation, int16. */
#ifndef MCUGEN_CONSTANT_S16_H
#define MCUGEN_CONSTANT_S16_H

#include "element_s16.h"

/* constant [rows][width] goes to out, out + out_stride, ... */
struct mcugen_constant_s16 {
    int32_t rows, width, out_stride;
    const int16_t *constant;
};

static MCUGEN_INLINE void mcugen_constant_s16(const struct mcugen_constant_s16 *p, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        mcugen_int16 *to = mcugen_out_s16(out) + (ptrdiff_t)row * p->out_stride;
        for (int32_t i = 0; i < p->width; ++i) {
            to[i] = p->constant[(ptrdiff_t)row * p->width + i];
        }
    }
}

#endif /* MCUGEN_CONSTANT_S16_H */

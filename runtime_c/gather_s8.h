/* SPDX-License-Identifier: Apache-2.0 */
/* Chosen elements along one axis, int8. */
#ifndef MCUGEN_GATHER_S8_H
#define MCUGEN_GATHER_S8_H

#include "mcugen.h"

/* in [outer][in_size][inner], out [outer][out_size][inner]; indices [out_size], each below in_size. */
struct mcugen_gather_s8 {
    int32_t outer, in_size, out_size, inner;
    const uint16_t *indices;
};

static MCUGEN_INLINE void mcugen_gather_s8(const struct mcugen_gather_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t o = 0; o < p->outer; ++o) {
        for (int32_t i = 0; i < p->out_size; ++i) {
            const int8_t *from = in + (ptrdiff_t)p->indices[i] * p->inner;
            for (int32_t k = 0; k < p->inner; ++k) {
                *out++ = from[k];
            }
        }
        in += (ptrdiff_t)p->in_size * p->inner;
    }
}

#endif /* MCUGEN_GATHER_S8_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Padding of up to four axes with one value, int8. */
#ifndef MCUGEN_PAD_S8_H
#define MCUGEN_PAD_S8_H

#include "mcugen.h"

/* in [in_0][in_1][in_2][in_3] goes into out [out_0][out_1][out_2][out_3] from before_0, .. on; all else becomes value. */
struct mcugen_pad_s8 {
    int32_t in_0, in_1, in_2, in_3;
    int32_t before_0, before_1, before_2, before_3;
    int32_t out_0, out_1, out_2, out_3;
    int32_t value;
};

static MCUGEN_INLINE int8_t *mcugen_pad_fill_s8(int8_t *out, int32_t value, int32_t count)
{
    for (int32_t i = 0; i < count; ++i) {
        *out++ = (int8_t)value;
    }
    return out;
}

/* One output plane [out_2][out_3] from one input plane. */
static MCUGEN_INLINE int8_t *mcugen_pad_plane_s8(const struct mcugen_pad_s8 *p, const int8_t *in, int8_t *out)
{
    out = mcugen_pad_fill_s8(out, p->value, p->before_2 * p->out_3);
    for (int32_t row = 0; row < p->in_2; ++row) {
        out = mcugen_pad_fill_s8(out, p->value, p->before_3);
        for (int32_t i = 0; i < p->in_3; ++i) {
            *out++ = *in++;
        }
        out = mcugen_pad_fill_s8(out, p->value, p->out_3 - p->before_3 - p->in_3);
    }
    return mcugen_pad_fill_s8(out, p->value, (p->out_2 - p->before_2 - p->in_2) * p->out_3);
}

static MCUGEN_INLINE void mcugen_pad_s8(const struct mcugen_pad_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t plane = p->out_2 * p->out_3;
    const int32_t block = p->out_1 * plane;
    out = mcugen_pad_fill_s8(out, p->value, p->before_0 * block);
    for (int32_t i = 0; i < p->in_0; ++i) {
        out = mcugen_pad_fill_s8(out, p->value, p->before_1 * plane);
        for (int32_t j = 0; j < p->in_1; ++j) {
            out = mcugen_pad_plane_s8(p, in, out);
            in += (ptrdiff_t)p->in_2 * p->in_3;
        }
        out = mcugen_pad_fill_s8(out, p->value, (p->out_1 - p->before_1 - p->in_1) * plane);
    }
    (void)mcugen_pad_fill_s8(out, p->value, (p->out_0 - p->before_0 - p->in_0) * block);
}

#endif /* MCUGEN_PAD_S8_H */

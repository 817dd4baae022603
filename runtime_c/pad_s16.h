/* SPDX-License-Identifier: Apache-2.0 */
/* Padding of up to four axes with one value, int16. */
#ifndef MCUGEN_PAD_S16_H
#define MCUGEN_PAD_S16_H

#include "element_s16.h"

/* in [in_0][in_1][in_2][in_3] goes into out [out_0][out_1][out_2][out_3] from before_0, .. on; all else becomes value. */
struct mcugen_pad_s16 {
    int32_t in_0, in_1, in_2, in_3;
    int32_t before_0, before_1, before_2, before_3;
    int32_t out_0, out_1, out_2, out_3;
    int32_t value;
};

static MCUGEN_INLINE mcugen_int16 *mcugen_pad_fill_s16(mcugen_int16 *out, int32_t value, int32_t count)
{
    for (int32_t i = 0; i < count; ++i) {
        *out++ = (int16_t)value;
    }
    return out;
}

/* One output plane [out_2][out_3] from one input plane. */
static MCUGEN_INLINE mcugen_int16 *mcugen_pad_plane_s16(const struct mcugen_pad_s16 *p, const mcugen_int16 *in, mcugen_int16 *out)
{
    out = mcugen_pad_fill_s16(out, p->value, p->before_2 * p->out_3);
    for (int32_t row = 0; row < p->in_2; ++row) {
        out = mcugen_pad_fill_s16(out, p->value, p->before_3);
        for (int32_t i = 0; i < p->in_3; ++i) {
            *out++ = *in++;
        }
        out = mcugen_pad_fill_s16(out, p->value, p->out_3 - p->before_3 - p->in_3);
    }
    return mcugen_pad_fill_s16(out, p->value, (p->out_2 - p->before_2 - p->in_2) * p->out_3);
}

static MCUGEN_INLINE void mcugen_pad_s16(const struct mcugen_pad_s16 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const mcugen_int16 *from = mcugen_in_s16(in);
    mcugen_int16 *to = mcugen_out_s16(out);
    const int32_t plane = p->out_2 * p->out_3;
    const int32_t block = p->out_1 * plane;
    to = mcugen_pad_fill_s16(to, p->value, p->before_0 * block);
    for (int32_t i = 0; i < p->in_0; ++i) {
        to = mcugen_pad_fill_s16(to, p->value, p->before_1 * plane);
        for (int32_t j = 0; j < p->in_1; ++j) {
            to = mcugen_pad_plane_s16(p, from, to);
            from += (ptrdiff_t)p->in_2 * p->in_3;
        }
        to = mcugen_pad_fill_s16(to, p->value, (p->out_1 - p->before_1 - p->in_1) * plane);
    }
    (void)mcugen_pad_fill_s16(to, p->value, (p->out_0 - p->before_0 - p->in_0) * block);
}

#endif /* MCUGEN_PAD_S16_H */

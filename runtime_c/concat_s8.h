/* SPDX-License-Identifier: Apache-2.0 */
/* One part of a concatenation, int8: rows of the part go into longer rows of the output. */
#ifndef MCUGEN_CONCAT_S8_H
#define MCUGEN_CONCAT_S8_H

#include "mcugen.h"

/* rows of width values each go to out, out + out_stride, ... */
struct mcugen_concat_copy_s8 {
    int32_t rows, width, out_stride;
};

static MCUGEN_INLINE void mcugen_concat_copy_s8(const struct mcugen_concat_copy_s8 *p, const int8_t *in, int8_t *out,
                                                void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        __builtin_memcpy(out + (ptrdiff_t)row * p->out_stride, in + (ptrdiff_t)row * p->width, (size_t)p->width);
    }
}

/* The same with every value replaced: table[q + 128] stands for q. */
struct mcugen_concat_table_s8 {
    int32_t rows, width, out_stride;
    const int8_t *table;
};

static MCUGEN_INLINE void mcugen_concat_table_s8(const struct mcugen_concat_table_s8 *p, const int8_t *in, int8_t *out,
                                                 void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        int8_t *to = out + (ptrdiff_t)row * p->out_stride;
        for (int32_t i = 0; i < p->width; ++i) {
            to[i] = p->table[(int32_t)*in++ + 128];
        }
    }
}

/* A part that is constant [rows][width]. */
struct mcugen_concat_constant_s8 {
    int32_t rows, width, out_stride;
    const int8_t *constant;
};

static MCUGEN_INLINE void mcugen_concat_constant_s8(const struct mcugen_concat_constant_s8 *p, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        __builtin_memcpy(out + (ptrdiff_t)row * p->out_stride, p->constant + (ptrdiff_t)row * p->width, (size_t)p->width);
    }
}

#endif /* MCUGEN_CONCAT_S8_H */

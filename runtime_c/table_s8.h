/* SPDX-License-Identifier: Apache-2.0 */
/* Any function of one int8 value, as a table of its 256 results. */
#ifndef MCUGEN_TABLE_S8_H
#define MCUGEN_TABLE_S8_H

#include "mcugen.h"

/* table[q + 128] is the result for q; in and out hold `size` values and may be the same. */
struct mcugen_table_s8 {
    int32_t size;
    const int8_t *table;
};

static MCUGEN_INLINE void mcugen_table_s8(const struct mcugen_table_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t i = 0; i < p->size; ++i) {
        out[i] = p->table[(int32_t)in[i] + 128];
    }
}

#endif /* MCUGEN_TABLE_S8_H */

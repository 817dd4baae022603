/* SPDX-License-Identifier: Apache-2.0 */
/* Any function of one value, read or written as int16: lines between 257 points, or a table of 256 results. */
#ifndef MCUGEN_TABLE_S16_H
#define MCUGEN_TABLE_S16_H

#include "element_s16.h"

/* in int16, out of out_bytes an element; table[i] stands for 256 * i - 32768, in 2^(shift - 8) parts of an output's step. */
struct mcugen_table_s16 {
    int32_t size;
    int32_t out_bytes;
    int32_t shift;
    const int16_t *table;
};

static MCUGEN_INLINE void mcugen_table_s16(const struct mcugen_table_s16 *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t low = p->out_bytes == 2 ? -32768 : -128;
    const int32_t high = p->out_bytes == 2 ? 32767 : 127;
    for (int32_t i = 0; i < p->size; ++i) {
        const int32_t place = mcugen_in_s16(in)[i] + 32768;
        const int16_t *point = p->table + (place >> 8);
        const int32_t value = point[0] * 256 + (point[1] - point[0]) * (place & 255);
        const int32_t rounded = (value + (int32_t)((uint32_t)1 << (p->shift - 1))) >> p->shift;
        mcugen_put(out, i, mcugen_clamp(rounded, low, high), p->out_bytes);
    }
}

/* in int8, out int16: table[q + 128] is the result for q. */
struct mcugen_table_s8_s16 {
    int32_t size;
    const int16_t *table;
};

static MCUGEN_INLINE void mcugen_table_s8_s16(const struct mcugen_table_s8_s16 *p, const int8_t *in, int8_t *out,
                                              void *scratch)
{
    (void)scratch;
    for (int32_t i = 0; i < p->size; ++i) {
        mcugen_out_s16(out)[i] = p->table[(int32_t)in[i] + 128];
    }
}

#endif /* MCUGEN_TABLE_S16_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer with weights of 4 bits over one vector that reads or writes int16, for cores with the DSP instructions:
 * 4 outputs at a time. */
#ifndef MCUGEN_FULLY_CONNECTED_CODES_S16_DSP_H
#define MCUGEN_FULLY_CONNECTED_CODES_S16_DSP_H

#include "codes_s16_dsp.h"

/* in [in_c] of in_bytes an element, out [out_c] of out_bytes.  codes: for every 4 channels and 8 inputs the words of
 * codes_s16_dsp.h, out_c filled up to a multiple of 4; table: 16 values, or null for weights of 4 bits as they are; factors may be
 * null, else there is a table, and for every 4 channels and 32 inputs 4 factors.  shift may be null: all zero.
 * Scratch: 1024 bytes where there is a table; and 16 * ceil(in_c / 8) where inputs are int8 or in_c is no multiple of 8. */
struct mcugen_fully_connected_codes_s16_dsp {
    int32_t in_bytes, out_bytes;
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *codes;
    const int8_t *table;
    const uint8_t *factors;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* The inputs as a column of `steps` groups of 8; returns their sum. */
static MCUGEN_INLINE int32_t mcugen_vector_column_s16_dsp(const int8_t *in, int32_t in_c, int32_t in_bytes,
                                                          uint32_t *column, int32_t steps)
{
    const int32_t words = (in_c * in_bytes) >> 2;
    const int32_t each = in_bytes == 2 ? 1 : 2; /* words of the column for one of the input */
    int32_t sum = mcugen_codes_column_wide(in, in_bytes, column, words, 1);
    uint32_t *rest = column + words * each;
    for (int32_t i = words * each; i < 4 * steps; ++i) {
        column[i] = 0;
    }
    for (int32_t i = words * 2 * each; i < in_c; ++i) {
        const int32_t value = mcugen_element(in, i, in_bytes);
        sum += value;
        rest[(i >> 1) - words * each] |= (uint32_t)(uint16_t)value << (16 * (i & 1));
    }
    return sum;
}

static MCUGEN_INLINE void mcugen_fully_connected_codes_s16_dsp(const struct mcugen_fully_connected_codes_s16_dsp *p,
                                                               const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_c + 7) >> 3;
    uint32_t *table = (uint32_t *)scratch;
    uint32_t *column = p->table ? table + MCUGEN_CODES_TABLE : table;
    const uint8_t *factors = p->factors;
    struct mcugen_codes_s8_dsp m = {.weights = p->codes, .table = table};
    const uint32_t *from = column;
    int32_t sum = 0;
    if (p->in_bytes == 2 && (p->in_c & 7) == 0) {
        from = (const uint32_t *)(const void *)in;
        for (int32_t i = 0; !p->table && i < 4 * steps; i += 2) {
            sum = mcugen_smlad(mcugen_load32(from + i), 0x00010001u, sum);
            sum = mcugen_smlad(mcugen_load32(from + i + 1), 0x00010001u, sum);
        }
    } else {
        sum = mcugen_vector_column_s16_dsp(in, p->in_c, p->in_bytes, column, steps);
    }
    if (p->table) {
        mcugen_codes_table_s8_dsp(p->table, table);
        sum = 0;
    }
    for (int32_t first = 0; first < p->out_c; first += 4) {
        m.column = from;
        factors = mcugen_codes_sums(&m, steps, factors, 4, p->table ? mcugen_codes_4x1_s8_dsp : mcugen_int4_4x1_s16_dsp);
        for (int32_t r = 0; r < 4 && first + r < p->out_c; ++r) {
            const int32_t oc = first + r;
            const int32_t acc = mcugen_codes_total(m.acc[r], p->bias[oc], sum);
            const int32_t value =
                mcugen_requantize(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point);
            mcugen_put(out, oc, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
        }
    }
}

#endif /* MCUGEN_FULLY_CONNECTED_CODES_S16_DSP_H */

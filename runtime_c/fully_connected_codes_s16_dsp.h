/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer whose weights are codes of 4 bits into a table, over one vector that reads or writes int16, for cores with
 * the DSP instructions: 4 outputs at a time. */
#ifndef MCUGEN_FULLY_CONNECTED_CODES_S16_DSP_H
#define MCUGEN_FULLY_CONNECTED_CODES_S16_DSP_H

#include "codes_s16_dsp.h"
#include "codes_s8_dsp.h"

/* in [in_c] of in_bytes an element, out [out_c] of out_bytes.  codes: for every 4 channels and 8 inputs the words of
 * codes_s16_dsp.h, out_c filled up to a multiple of 4; table: 16 values; factors may be null, else for every 4
 * channels and 32 inputs 4 factors.  shift may be null: all zero.
 * Scratch: 1024 bytes, and 16 * ceil(in_c / 8) where inputs are int8 or in_c is no multiple of 8. */
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

static MCUGEN_INLINE void mcugen_fully_connected_codes_s16_dsp(const struct mcugen_fully_connected_codes_s16_dsp *p,
                                                               const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_c + 7) >> 3;
    uint32_t *table = (uint32_t *)scratch;
    uint32_t *column = table + MCUGEN_CODES_TABLE;
    const bool in_place = p->in_bytes == 2 && (p->in_c & 7) == 0;
    const uint32_t *from = in_place ? (const uint32_t *)(const void *)in : column;
    const uint8_t *factors = p->factors;
    struct mcugen_codes_s8_dsp m = {.weights = p->codes, .table = table};
    mcugen_codes_table_s8_dsp(p->table, table);
    if (!in_place) {
        mcugen_vector_column_s16_dsp(in, p->in_c, p->in_bytes, column, steps, 0);
    }
    for (int32_t first = 0; first < p->out_c; first += 4) {
        m.column = from;
        factors = mcugen_codes_sums(&m, steps, factors, 4, mcugen_codes_4x1_s8_dsp);
        for (int32_t r = 0; r < 4 && first + r < p->out_c; ++r) {
            const int32_t oc = first + r;
            const int32_t value = mcugen_requantize(m.acc[r] + p->bias[oc], p->multiplier[oc],
                                                    p->shift ? p->shift[oc] : 0, p->out_zero_point);
            mcugen_put(out, oc, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
        }
    }
}

#endif /* MCUGEN_FULLY_CONNECTED_CODES_S16_DSP_H */

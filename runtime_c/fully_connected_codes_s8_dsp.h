/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8, whose weights are codes of 4 bits into a table, for cores with the DSP instructions: 4 outputs at
 * a time. */
#ifndef MCUGEN_FULLY_CONNECTED_CODES_S8_DSP_H
#define MCUGEN_FULLY_CONNECTED_CODES_S8_DSP_H

#include "codes_s8_dsp.h"
#include "fixed_point.h"

/* in [in_c], out [out_c]; codes: for every 4 channels and 8 inputs the words of codes_s8_dsp.h, out_c filled up to a multiple of
 * 4; factors may be null, else for every 4 channels and 32 inputs 4 factors; table: 16 values.  shift may be null: all zero.
 * Scratch: 1024 + 16 * ceil(in_c / 8) bytes. */
struct mcugen_fully_connected_codes_s8_dsp {
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

static MCUGEN_INLINE void mcugen_fully_connected_codes_s8_dsp(const struct mcugen_fully_connected_codes_s8_dsp *p,
                                                              const int8_t *in, int8_t *out, void *scratch)
{
    uint32_t *table = (uint32_t *)scratch;
    uint32_t *column = table + MCUGEN_CODES_TABLE;
    const int32_t steps = (p->in_c + 7) >> 3;
    const uint8_t *factors = p->factors;
    struct mcugen_codes_s8_dsp m = {.weights = p->codes, .table = table};
    mcugen_codes_table_s8_dsp(p->table, table);
    mcugen_codes_column_s8_dsp(in, column, p->in_c, 1);
    for (int32_t first = 0; first < p->out_c; first += 4) {
        m.column = column;
        factors = mcugen_codes_sums(&m, steps, factors, 4, mcugen_codes_4x1_s8_dsp);
        for (int32_t r = 0; r < 4 && first + r < p->out_c; ++r) {
            const int32_t oc = first + r;
            out[oc] = mcugen_requantize_s8(m.acc[r] + p->bias[oc], p->multiplier[oc], p->shift ? p->shift[oc] : 0,
                                           p->out_zero_point, p->act_min, p->act_max);
        }
    }
}

#endif /* MCUGEN_FULLY_CONNECTED_CODES_S8_DSP_H */

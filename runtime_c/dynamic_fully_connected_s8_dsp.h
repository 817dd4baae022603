/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer on dynamic tensors (dynamic_s8.h) for cores with the DSP instructions. */
#ifndef MCUGEN_DYNAMIC_FULLY_CONNECTED_S8_DSP_H
#define MCUGEN_DYNAMIC_FULLY_CONNECTED_S8_DSP_H

#include "dynamic_fully_connected_s8.h"
#include "sums_s8_dsp.h"

/* As mcugen_dynamic_fully_connected_s8; weights: the stream of sums_s8_dsp.h, whose sums are of the integers alone. scratch: the
 * column, then int32 [out_c] filled up to a multiple of 4. Up to 1 byte behind the input is read where in_c is 1 more than a
 * multiple of 4. */
struct mcugen_dynamic_fully_connected_s8_dsp {
    int32_t in_c, out_c;
    int32_t exponent, bias_exponent;
    int32_t relu;
    const uint32_t *weights;
    const int32_t *row_sums;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

static MCUGEN_INLINE void mcugen_dynamic_fully_connected_s8_dsp(const struct mcugen_dynamic_fully_connected_s8_dsp *p,
                                                                const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t words = mcugen_rows4_words(p->in_c);
    uint32_t *const column = (uint32_t *)scratch;
    int32_t *const sums = (int32_t *)(void *)(column + words);
    const struct mcugen_dynamic_fully_connected_s8 rest = {
        .out_c = p->out_c,
        .exponent = p->exponent,
        .bias_exponent = p->bias_exponent,
        .relu = p->relu,
        .row_sums = p->row_sums,
        .bias = p->bias,
        .multiplier = p->multiplier,
        .shift = p->shift,
    };
    const struct mcugen_sums_s8_dsp m = {
        .weights = p->weights,
        .column = column,
        .column_end = column + words,
        .out = sums,
        .weights_end = p->weights + (p->out_c + 3) / 4 * (4 + 2 * words),
    };
    mcugen_rows4_clear(column + words - 4, 4);
    mcugen_rows4_column(in, column, p->in_c);
    mcugen_sums_s8_dsp(&m);
    mcugen_dynamic_outputs(&rest, in[p->in_c], in[p->in_c + 1], sums, out);
}

#endif /* MCUGEN_DYNAMIC_FULLY_CONNECTED_S8_DSP_H */

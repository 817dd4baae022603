/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8, with weights of 4 bits, for cores with the DSP instructions: 4 outputs at a time.
 * |accumulator| < 2^24, multipliers multiples of 128 (see matvec_int4_s8_dsp.h). */
#ifndef MCUGEN_FULLY_CONNECTED_INT4_S8_DSP_H
#define MCUGEN_FULLY_CONNECTED_INT4_S8_DSP_H

#include <stdint.h>

#include "clamp_s8.h"
#include "column_int4_s8_dsp.h"
#include "matvec_int4_s8_dsp.h"

/* in [in_c], out [out_c], scratch 16 * ceil(in_c / 8) bytes; weights: the stream of matvec_int4_s8_dsp.h, out_c / 4 blocks of
 * 4 channels and out_c % 4 blocks of 1.  Up to 7 bytes behind the input are read where in_c is no multiple of 8. */
struct mcugen_fully_connected_int4_s8_dsp {
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_fully_connected_int4_s8_dsp(const struct mcugen_fully_connected_int4_s8_dsp *p,
                                                             const int8_t *in, int8_t *out, void *scratch)
{
    uint32_t *column = (uint32_t *)scratch;
    const int32_t steps = (p->in_c + 7) >> 3;
    const uint32_t *const end4 = p->weights + (p->out_c >> 2) * (4 * steps + 8);
    const struct mcugen_matvec_int4_s8_dsp m = {
        .weights = p->weights,
        .weights_end4 = end4,
        .weights_end = end4 + (p->out_c & 3) * (steps + 2),
        .column = column,
        .column_end = column + 4 * steps,
        .out = out,
        .correction = mcugen_column_int4_s8_dsp(in, column, 2 * steps, 1),
        .zero_point = p->out_zero_point,
    };
    mcugen_matvec_int4_s8_dsp(&m);
    mcugen_clamp_s8(out, p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_FULLY_CONNECTED_INT4_S8_DSP_H */

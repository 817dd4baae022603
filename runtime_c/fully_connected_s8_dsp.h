/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8, for cores with the DSP instructions: 4 outputs at a time against an input unpacked once.
 * Weights in [-127, 127], |accumulator| < 2^23, multipliers multiples of 256 and scales below 1 (see matmul_s8_dsp.h). */
#ifndef MCUGEN_FULLY_CONNECTED_S8_DSP_H
#define MCUGEN_FULLY_CONNECTED_S8_DSP_H

#include <stdint.h>

#include "clamp_s8.h"
#include "column_s8_dsp.h"
#include "matvec_s8_dsp.h"

/* in [in_c], out [out_c], scratch 8 * ceil(in_c / 4) bytes; weights: the stream of matvec_s8_dsp.h, out_c / 4 blocks of
 * 4 channels and out_c % 4 blocks of 1.  Up to 3 bytes behind the input are read where in_c is no multiple of 4. */
struct mcugen_fully_connected_s8_dsp {
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_fully_connected_s8_dsp(const struct mcugen_fully_connected_s8_dsp *p, const int8_t *in,
                                                        int8_t *out, void *scratch)
{
    uint32_t *column = (uint32_t *)scratch;
    const int32_t steps = (p->in_c + 3) >> 2;
    const uint32_t *const end4 = p->weights + (p->out_c >> 2) * (4 * steps + 6);
    const struct mcugen_matvec_s8_dsp m = {
        .weights = p->weights,
        .weights_end4 = end4,
        .weights_end = end4 + (p->out_c & 3) * (steps + 2),
        .column = column,
        .out = out,
        .steps = steps,
        .zero_point = p->out_zero_point,
    };
    mcugen_column_s8_dsp(in, column, steps);
    mcugen_matvec_s8_dsp(&m);
    mcugen_clamp_s8(out, p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_FULLY_CONNECTED_S8_DSP_H */

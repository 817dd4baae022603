/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise (1x1, stride 1) convolution, int8, for cores with the DSP instructions: 3 channels of 2 pixels at a time.
 * Weights in [-127, 127], |accumulator| < 2^23, multipliers multiples of 256 (see matmul_s8_dsp.h). */
#ifndef MCUGEN_CONV2D_1X1_S8_DSP_H
#define MCUGEN_CONV2D_1X1_S8_DSP_H

#include <stdint.h>

#include "clamp_s8.h"
#include "column_s8_dsp.h"
#include "matmul_s8_dsp.h"

/* in [pixels][in_c], out [pixels][out_c], out_c >= 2; scratch 16 * ceil(in_c / 4) * batch bytes, `batch` the number of
 * pixel pairs unpacked at once; weights: the stream of matmul_s8_dsp.h with blocks3 blocks of 3 channels, the others of
 * 2. Up to 3 bytes behind the input are read where in_c is no multiple of 4. */
struct mcugen_conv2d_1x1_s8_dsp {
    int32_t pixels;
    int32_t in_c, out_c;
    int32_t blocks3;
    int32_t batch;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_conv2d_1x1_s8_dsp(const struct mcugen_conv2d_1x1_s8_dsp *p, const int8_t *in,
                                                   int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_c + 3) >> 2;
    uint32_t *columns = (uint32_t *)scratch;
    struct mcugen_matmul_s8_dsp m =
        mcugen_matmul_start(p->weights, p->blocks3, p->out_c, steps, p->out_zero_point, columns, out);
    for (int32_t left = p->pixels >> 1; left > 0; left -= p->batch) {
        const int32_t pairs = left < p->batch ? left : p->batch;
        mcugen_column_pairs_s8_dsp(in, p->in_c, columns, steps, pairs);
        mcugen_matmul_pairs(&m, pairs);
        in += 2 * pairs * p->in_c;
    }
    if (p->pixels & 1) {
        mcugen_column_pairs_s8_dsp(in, 0, columns, steps, 1);
        mcugen_matmul_finish(&m, 1);
    }
    mcugen_clamp_s8(out, p->pixels * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_1X1_S8_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8, in TensorFlow Lite's arithmetic: plain C for every core. */
#ifndef MCUGEN_FULLY_CONNECTED_S8_TFLITE_H
#define MCUGEN_FULLY_CONNECTED_S8_TFLITE_H

#include <stddef.h>

#include "fixed_point_tflite.h"

/* As struct mcugen_fully_connected_s8, with an exponent per output channel instead of a shift. */
struct mcugen_fully_connected_s8_tflite {
    int32_t rows, in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *exponent;
};

static MCUGEN_INLINE void mcugen_fully_connected_s8_tflite(const struct mcugen_fully_connected_s8_tflite *p,
                                                           const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        const int8_t *weights = p->weights;
        for (int32_t oc = 0; oc < p->out_c; ++oc) {
            int32_t acc = p->bias[oc];
            for (int32_t k = 0; k < p->in_c; ++k) {
                acc += (int32_t)in[k] * (int32_t)*weights++;
            }
            *out++ = mcugen_requantize_s8_tflite(acc, p->multiplier[oc], p->exponent[oc], p->out_zero_point, p->act_min,
                                                 p->act_max);
        }
        in += p->in_c;
    }
}

#endif /* MCUGEN_FULLY_CONNECTED_S8_TFLITE_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer on dynamic tensors (dynamic_s8.h): plain C for every core. */
#ifndef MCUGEN_DYNAMIC_FULLY_CONNECTED_S8_H
#define MCUGEN_DYNAMIC_FULLY_CONNECTED_S8_H

#include "dynamic_s8.h"

/* in [in_c + 2], out [out_c + 2], weights [out_c][in_c] with their sums over each row; requantized products are in units of
 * 2^exponent times the input's, bias in units of 2^bias_exponent. bias and shift may be null. scratch: int32 [out_c]. */
struct mcugen_dynamic_fully_connected_s8 {
    int32_t in_c, out_c;
    int32_t exponent, bias_exponent;
    int32_t relu;
    const int8_t *weights;
    const int32_t *row_sums;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* From the sums over weights and integers to the output; everything behind the matrix. */
static MCUGEN_INLINE void mcugen_dynamic_outputs(const struct mcugen_dynamic_fully_connected_s8 *p,
                                                 int32_t in_exponent, int32_t in_zero_point, int32_t *sums, int8_t *out)
{
    int32_t unit = in_exponent + p->exponent;
    const int32_t distance = unit - p->bias_exponent;
    for (int32_t oc = 0; oc < p->out_c; ++oc) {
        const int32_t acc = sums[oc] - in_zero_point * p->row_sums[oc];
        int32_t value = mcugen_requantize(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, 0);
        if (p->bias) {
            value = distance >= 0 ? value + mcugen_rounding_shift(p->bias[oc], distance)
                                  : mcugen_rounding_shift(value, -distance) + p->bias[oc];
        }
        sums[oc] = p->relu && value < 0 ? 0 : value;
    }
    if (p->bias && distance < 0) {
        unit = p->bias_exponent;
    }
    mcugen_settle_s8(sums, p->out_c, unit, out);
}

static MCUGEN_INLINE void mcugen_dynamic_fully_connected_s8(const struct mcugen_dynamic_fully_connected_s8 *p,
                                                            const int8_t *in, int8_t *out, void *scratch)
{
    int32_t *const sums = (int32_t *)scratch;
    const int8_t *weights = p->weights;
    for (int32_t oc = 0; oc < p->out_c; ++oc) {
        int32_t acc = 0;
        for (int32_t k = 0; k < p->in_c; ++k) {
            acc += (int32_t)in[k] * (int32_t)*weights++;
        }
        sums[oc] = acc;
    }
    mcugen_dynamic_outputs(p, in[p->in_c], in[p->in_c + 1], sums, out);
}

#endif /* MCUGEN_DYNAMIC_FULLY_CONNECTED_S8_H */

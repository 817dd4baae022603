/* SPDX-License-Identifier: Apache-2.0 */
/* Layer normalization over the last axis, int8, in integers only: plain C for every core. */
#ifndef MCUGEN_LAYER_NORM_S8_H
#define MCUGEN_LAYER_NORM_S8_H

#include "fixed_point.h"

/* in and out [rows][columns].  Every value becomes a normal value with fraction_bits bits behind the point, then
 * (normal * gain[i] + offset[i]) >> shift, saturated and clamped.  epsilon is columns^2 times that of the input's integers,
 * at least 1.  columns <= 32768. */
struct mcugen_layer_norm_s8 {
    int32_t rows, columns;
    int32_t epsilon;
    int32_t fraction_bits, shift;
    int32_t act_min, act_max;
    const int16_t *gain;
    const int32_t *offset;
};

/* The largest r with r * r <= x. */
static MCUGEN_INLINE uint32_t mcugen_square_root(uint32_t x)
{
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit != 0; bit >>= 1) {
        const uint32_t next = root | bit;
        if (next * next <= x) {
            root = next;
        }
    }
    return root;
}

/* 2^31 / root, rounded, where root * 2^exponent is the square root of x > 0 to 16 bits. */
static MCUGEN_INLINE int32_t mcugen_inverse_root(uint64_t x, int32_t *exponent)
{
    int32_t e = 0;
    while (x >= (uint64_t)1 << 32) {
        x >>= 2;
        ++e;
    }
    while (x < (uint64_t)1 << 30) {
        x <<= 2;
        --e;
    }
    *exponent = e;
    const uint32_t root = mcugen_square_root((uint32_t)x);
    return (int32_t)((((uint32_t)1 << 31) + root / 2) / root);
}

static MCUGEN_INLINE void mcugen_layer_norm_s8(const struct mcugen_layer_norm_s8 *p, const int8_t *in, int8_t *out,
                                               void *scratch)
{
    (void)scratch;
    for (int32_t row = 0; row < p->rows; ++row) {
        int32_t sum = 0;
        int32_t squares = 0;
        for (int32_t i = 0; i < p->columns; ++i) {
            sum += in[i];
            squares += (int32_t)in[i] * in[i];
        }
        const int64_t spread = (int64_t)squares * p->columns - (int64_t)sum * sum;
        int32_t exponent;
        const int32_t inverse = mcugen_inverse_root((uint64_t)(spread + p->epsilon), &exponent);
        const int32_t down = 31 + exponent - p->fraction_bits;
        const int64_t half = (int64_t)1 << (down - 1);
        for (int32_t i = 0; i < p->columns; ++i) {
            const int32_t centred = in[i] * p->columns - sum;
            const int32_t normal = (int32_t)(((int64_t)centred * inverse + half) >> down);
            const int32_t value = (normal * p->gain[i] + p->offset[i]) >> p->shift;
            out[i] = (int8_t)mcugen_clamp(mcugen_ssat8(value), p->act_min, p->act_max);
        }
        in += p->columns;
        out += p->columns;
    }
}

#endif /* MCUGEN_LAYER_NORM_S8_H */

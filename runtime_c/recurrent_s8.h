/* SPDX-License-Identifier: Apache-2.0 */
/* What LSTM, GRU and RNN share: the sums of the gates, and their curves; plain C for every core. */
#ifndef MCUGEN_RECURRENT_S8_H
#define MCUGEN_RECURRENT_S8_H

#include "fixed_point.h"

/* A matrix [rows][depth] with the parameters of its rows; bias and shift may be null. The requantized product has 12 bits
 * behind the point. */
struct mcugen_gate_product {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
    int32_t depth;
};

static MCUGEN_INLINE int32_t mcugen_sat16(int32_t value)
{
    return mcugen_clamp(value, -32768, 32767);
}

/* addend + the requantized product of one row with in[depth] */
static MCUGEN_INLINE int32_t mcugen_gate_row(const struct mcugen_gate_product *m, int32_t row, const int8_t *in,
                                             int32_t addend)
{
    const int8_t *weights = m->weights + (ptrdiff_t)row * m->depth;
    int32_t acc = m->bias ? m->bias[row] : 0;
    for (int32_t k = 0; k < m->depth; ++k) {
        acc += (int32_t)weights[k] * (int32_t)in[k];
    }
    return mcugen_requantize(acc, m->multiplier[row], m->shift ? m->shift[row] : 0, addend);
}

static MCUGEN_INLINE int16_t mcugen_gate_sum(int32_t sum, int32_t clip)
{
    return (int16_t)mcugen_clamp(mcugen_sat16(sum), -clip, clip);
}

/* out[0 .. rows - 1]: the sums of the rows from `first` on, saturated to int16 and to [-clip, clip]; either product may be
 * null. */
static MCUGEN_INLINE void mcugen_gate_sums(const struct mcugen_gate_product *input, const int8_t *x,
                                           const struct mcugen_gate_product *state, const int8_t *h, int32_t first,
                                           int32_t rows, int32_t clip, int16_t *out)
{
    for (int32_t row = 0; row < rows; ++row) {
        const int32_t from_input = input ? mcugen_gate_row(input, first + row, x, 0) : 0;
        out[row] = mcugen_gate_sum(state ? mcugen_gate_row(state, first + row, h, from_input) : from_input, clip);
    }
}

/* tanh(x / 2^12) in units of 2^-15 for int16 x with shift 7, tanh(x / 2^13) with shift 8. table: tanh at 0, 1/32, ... 8 */
static MCUGEN_INLINE int32_t mcugen_tanh_q15(const int16_t *table, int32_t x, int32_t shift)
{
    int32_t size = x < 0 ? -x : x;
    size = size > 32767 ? 32767 : size;
    const int16_t *at = table + (size >> shift);
    const int32_t rest = size & ((1 << shift) - 1);
    const int32_t value = at[0] + (((at[1] - at[0]) * rest + (1 << (shift - 1))) >> shift);
    return x < 0 ? -value : value;
}

/* sigmoid(x / 2^12) in units of 2^-15, 11 to 32757 */
static MCUGEN_INLINE int32_t mcugen_sigmoid_q15(const int16_t *table, int32_t x)
{
    return (32768 + mcugen_tanh_q15(table, x, 8) + 1) >> 1;
}

static MCUGEN_INLINE void mcugen_copy_state(const int8_t *state, int8_t *out, int32_t hidden)
{
    for (int32_t j = 0; j < hidden; ++j) {
        out[j] = state[j];
    }
}

#endif /* MCUGEN_RECURRENT_S8_H */

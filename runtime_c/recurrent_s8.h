/* SPDX-License-Identifier: Apache-2.0 */
/* What LSTM, GRU and RNN share: the sums of the gates, and their curves; plain C for every core. */
#ifndef MCUGEN_RECURRENT_S8_H
#define MCUGEN_RECURRENT_S8_H

#include "dynamic_s8.h"

/* A dynamic input: its zero point; by how many bits its requantized products are too fine or too coarse, known at run time; half:
 * a half of 2^right, limit: 2^29 >> left. */
struct mcugen_dynamic_gates {
    int32_t zero_point, right, half, left, limit;
};

/* A matrix [rows][depth] with the parameters of its rows; bias and shift may be null. The requantized product has 12 bits
 * behind the point. With a dynamic input, else null, so has the bias, all rows have one shift, and there are the sums of the
 * rows' weights. */
struct mcugen_gate_product {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
    int32_t depth;
    const struct mcugen_dynamic_gates *dynamic;
    const int32_t *row_sums;
    int32_t common_shift;
};

/* From a dynamic input's exponent and zero point, and the exponent of the products' unit in steps of 2^-12. */
static MCUGEN_INLINE struct mcugen_dynamic_gates mcugen_dynamic_gates(const int8_t *params, int32_t exponent)
{
    const int32_t fine = -(params[0] + exponent);
    const int32_t right = mcugen_clamp(fine, 0, 31);
    const int32_t left = mcugen_clamp(-fine, 0, 29);
    const struct mcugen_dynamic_gates gates = {
        .zero_point = params[1],
        .right = right,
        .half = (int32_t)(((uint32_t)1 << right) >> 1),
        .left = left,
        .limit = (1 << 29) >> left,
    };
    return gates;
}

/* The product of one row with a dynamic input, from the sum over weights and integers. */
static MCUGEN_INLINE int32_t mcugen_dynamic_gate(const struct mcugen_dynamic_gates *d, int32_t acc, int32_t row_sum,
                                                 int32_t multiplier, int32_t shift, int32_t bias)
{
    const int32_t value = mcugen_requantize(acc - d->zero_point * row_sum, multiplier, shift, d->half) >> d->right;
    if (d->left != 0) {
        return mcugen_clamp(value, -d->limit, d->limit) * (1 << d->left) + bias;
    }
    return value + bias;
}

static MCUGEN_INLINE int32_t mcugen_sat16(int32_t value)
{
    return mcugen_clamp(value, -32768, 32767);
}

/* addend + the requantized product of one row with in[depth] */
static MCUGEN_INLINE int32_t mcugen_gate_row(const struct mcugen_gate_product *m, int32_t row, const int8_t *in,
                                             int32_t addend)
{
    const int8_t *weights = m->weights + (ptrdiff_t)row * m->depth;
    int32_t acc = m->bias && !m->dynamic ? m->bias[row] : 0;
    for (int32_t k = 0; k < m->depth; ++k) {
        acc += (int32_t)weights[k] * (int32_t)in[k];
    }
    if (m->dynamic) {
        return addend + mcugen_dynamic_gate(m->dynamic, acc, m->row_sums[row], m->multiplier[row], m->common_shift,
                                            m->bias[row]);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Long short-term memory, one direction, int8 with an int16 cell: plain C for every core. */
#ifndef MCUGEN_LSTM_S8_H
#define MCUGEN_LSTM_S8_H

#include "recurrent_s8.h"

/* in [steps][in_c]; out [steps][hidden], or [hidden] of the last step unless `sequence`. Rows of the matrices: the gates i,
 * o, f, c of `hidden` rows each. The state has scale 1/128, the cell 2^-cell_bits, 4 <= cell_bits <= 12. Pointers to biases
 * of the state, shifts and initial values may be null. scratch: int16 cell[hidden], sums[4 * hidden], int8 state[hidden]. */
struct mcugen_lstm_s8 {
    int32_t steps, in_c, hidden;
    int32_t reverse, sequence;
    int32_t clip, cell_bits;
    const int8_t *in_weights, *state_weights;
    const int32_t *in_bias, *state_bias;
    const int32_t *in_multiplier, *state_multiplier;
    const uint8_t *in_shift, *state_shift;
    const int32_t *in_row_sums;
    int32_t in_exponent, in_common_shift;
    const int16_t *tanh;
    const int8_t *initial_state;
    const int16_t *initial_cell;
};

/* The new cell and state of every unit from the sums of its gates. */
static MCUGEN_INLINE void mcugen_lstm_units(const int16_t *table, int32_t hidden, int32_t cell_bits,
                                            const int16_t *sums, int16_t *cell, int8_t *state)
{
    for (int32_t j = 0; j < hidden; ++j) {
        const int32_t input = mcugen_sigmoid_q15(table, sums[j]);
        const int32_t output = mcugen_sigmoid_q15(table, sums[hidden + j]);
        const int32_t forget = mcugen_sigmoid_q15(table, sums[2 * hidden + j]);
        const int32_t written = (input * mcugen_tanh_q15(table, sums[3 * hidden + j], 7)) >> (15 - cell_bits);
        const int32_t next = mcugen_sat16((forget * cell[j] + written + (1 << 14)) >> 15);
        cell[j] = (int16_t)next;
        const int32_t curve = mcugen_tanh_q15(table, mcugen_sat16(next * (1 << (12 - cell_bits))), 7);
        state[j] = (int8_t)mcugen_ssat8((output * curve + (1 << 22)) >> 23);
    }
}

/* The initial cell and state where they are constants. */
static MCUGEN_INLINE void mcugen_lstm_start(const int16_t *initial_cell, const int8_t *initial_state, int32_t hidden,
                                            int16_t *cell, int8_t *state)
{
    for (int32_t j = 0; j < hidden; ++j) {
        cell[j] = (int16_t)(initial_cell ? initial_cell[j] : 0);
        state[j] = (int8_t)(initial_state ? initial_state[j] : 0);
    }
}

/* All steps, from the cell and the state as they are. */
static MCUGEN_INLINE void mcugen_lstm_steps(const struct mcugen_lstm_s8 *p, const int8_t *in, int8_t *out,
                                            int16_t *cell, int16_t *sums, int8_t *state)
{
    struct mcugen_dynamic_gates dynamic;
    struct mcugen_gate_product input = {p->in_weights, p->in_bias, p->in_multiplier, p->in_shift, p->in_c, NULL, NULL, 0};
    const struct mcugen_gate_product fed_back = {p->state_weights, p->state_bias, p->state_multiplier, p->state_shift,
                                                 p->hidden, NULL, NULL, 0};
    if (p->in_row_sums) {
        dynamic = mcugen_dynamic_gates(in + (ptrdiff_t)p->steps * p->in_c, p->in_exponent);
        input.dynamic = &dynamic;
        input.row_sums = p->in_row_sums;
        input.common_shift = p->in_common_shift;
    }
    for (int32_t step = 0; step < p->steps; ++step) {
        const int32_t t = p->reverse ? p->steps - 1 - step : step;
        mcugen_gate_sums(&input, in + (ptrdiff_t)t * p->in_c, &fed_back, state, 0, 4 * p->hidden, p->clip, sums);
        mcugen_lstm_units(p->tanh, p->hidden, p->cell_bits, sums, cell, state);
        if (p->sequence || step == p->steps - 1) {
            mcugen_copy_state(state, out + (p->sequence ? (ptrdiff_t)t * p->hidden : 0), p->hidden);
        }
    }
}

static MCUGEN_INLINE void mcugen_lstm_s8(const struct mcugen_lstm_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    int16_t *const cell = (int16_t *)scratch;
    int16_t *const sums = cell + p->hidden;
    int8_t *const state = (int8_t *)(sums + 4 * p->hidden);
    mcugen_lstm_start(p->initial_cell, p->initial_state, p->hidden, cell, state);
    mcugen_lstm_steps(p, in, out, cell, sums, state);
}

#endif /* MCUGEN_LSTM_S8_H */

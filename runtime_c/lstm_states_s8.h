/* SPDX-License-Identifier: Apache-2.0 */
/* Long short-term memory that gives its last cell, and may take its first state and cell: plain C for every core. */
#ifndef MCUGEN_LSTM_STATES_S8_H
#define MCUGEN_LSTM_STATES_S8_H

#include "element_s16.h"
#include "lstm_s8.h"

/* As mcugen_lstm_s8. Where `given`, first_state int8 [hidden] and first_cell int16 [hidden] at zero point 0 are brought to the
 * scales of state and cell; else they are not read. last_cell int16 [hidden]. */
struct mcugen_lstm_states_s8 {
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
    int32_t given;
    int32_t given_zero_point, given_multiplier, given_shift;
    int32_t given_cell_multiplier, given_cell_shift;
};

/* How a given state and cell are requantized. */
struct mcugen_lstm_given {
    int32_t state_zero_point, state_multiplier, state_shift;
    int32_t cell_multiplier, cell_shift;
};

static MCUGEN_INLINE void mcugen_lstm_take(const struct mcugen_lstm_given *g, int32_t hidden, const int8_t *first_state,
                                           const int8_t *first_cell, int16_t *cell, int8_t *state)
{
    for (int32_t j = 0; j < hidden; ++j) {
        state[j] = mcugen_requantize_s8(first_state[j] - g->state_zero_point, g->state_multiplier, g->state_shift, 0,
                                        -128, 127);
        cell[j] = (int16_t)mcugen_sat16(
            mcugen_requantize(mcugen_in_s16(first_cell)[j], g->cell_multiplier, g->cell_shift, 0));
    }
}

static MCUGEN_INLINE void mcugen_lstm_give(const int16_t *cell, int32_t hidden, int8_t *last_cell)
{
    for (int32_t j = 0; j < hidden; ++j) {
        mcugen_out_s16(last_cell)[j] = cell[j];
    }
}

static MCUGEN_INLINE void mcugen_lstm_states_s8(const struct mcugen_lstm_states_s8 *p, const int8_t *in,
                                                const int8_t *first_state, const int8_t *first_cell, int8_t *out,
                                                int8_t *last_cell, void *scratch)
{
    const struct mcugen_lstm_s8 q = {
        .steps = p->steps,
        .in_c = p->in_c,
        .hidden = p->hidden,
        .reverse = p->reverse,
        .sequence = p->sequence,
        .clip = p->clip,
        .cell_bits = p->cell_bits,
        .in_weights = p->in_weights,
        .state_weights = p->state_weights,
        .in_bias = p->in_bias,
        .state_bias = p->state_bias,
        .in_multiplier = p->in_multiplier,
        .state_multiplier = p->state_multiplier,
        .in_shift = p->in_shift,
        .state_shift = p->state_shift,
        .in_row_sums = p->in_row_sums,
        .in_exponent = p->in_exponent,
        .in_common_shift = p->in_common_shift,
        .tanh = p->tanh,
    };
    int16_t *const cell = (int16_t *)scratch;
    int16_t *const sums = cell + p->hidden;
    int8_t *const state = (int8_t *)(sums + 4 * p->hidden);
    if (p->given) {
        const struct mcugen_lstm_given given = {p->given_zero_point, p->given_multiplier, p->given_shift,
                                                p->given_cell_multiplier, p->given_cell_shift};
        mcugen_lstm_take(&given, p->hidden, first_state, first_cell, cell, state);
    } else {
        mcugen_lstm_start(p->initial_cell, p->initial_state, p->hidden, cell, state);
    }
    mcugen_lstm_steps(&q, in, out, cell, sums, state);
    mcugen_lstm_give(cell, p->hidden, last_cell);
}

#endif /* MCUGEN_LSTM_STATES_S8_H */

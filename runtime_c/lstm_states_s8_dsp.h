/* SPDX-License-Identifier: Apache-2.0 */
/* Long short-term memory that gives its last cell, and may take its first state and cell, for cores with the DSP
 * instructions. */
#ifndef MCUGEN_LSTM_STATES_S8_DSP_H
#define MCUGEN_LSTM_STATES_S8_DSP_H

#include "lstm_s8_dsp.h"
#include "lstm_states_s8.h"

/* As mcugen_lstm_s8_dsp and mcugen_lstm_states_s8. */
struct mcugen_lstm_states_s8_dsp {
    int32_t steps, in_c, hidden;
    int32_t reverse, sequence;
    int32_t clip, cell_bits;
    const uint32_t *weights;
    const int32_t *rows;
    const int32_t *state_bias;
    const uint8_t *state_shift;
    int32_t in_exponent, in_common_shift;
    const int16_t *tanh;
    const int8_t *initial_state;
    const int16_t *initial_cell;
    int32_t given;
    int32_t given_zero_point, given_multiplier, given_shift;
    int32_t given_cell_multiplier, given_cell_shift;
};

static MCUGEN_INLINE void mcugen_lstm_states_s8_dsp(const struct mcugen_lstm_states_s8_dsp *p, const int8_t *in,
                                                    const int8_t *first_state, const int8_t *first_cell, int8_t *out,
                                                    int8_t *last_cell, void *scratch)
{
    const struct mcugen_lstm_s8_dsp q = {
        .steps = p->steps,
        .in_c = p->in_c,
        .hidden = p->hidden,
        .reverse = p->reverse,
        .sequence = p->sequence,
        .clip = p->clip,
        .cell_bits = p->cell_bits,
        .weights = p->weights,
        .rows = p->rows,
        .state_bias = p->state_bias,
        .state_shift = p->state_shift,
        .in_exponent = p->in_exponent,
        .in_common_shift = p->in_common_shift,
        .tanh = p->tanh,
    };
    const struct mcugen_lstm_memory m = mcugen_lstm_memory(&q, scratch);
    if (p->given) {
        const struct mcugen_lstm_given given = {p->given_zero_point, p->given_multiplier, p->given_shift,
                                                p->given_cell_multiplier, p->given_cell_shift};
        mcugen_lstm_take(&given, p->hidden, first_state, first_cell, m.cell, m.state);
    } else {
        mcugen_lstm_start(p->initial_cell, p->initial_state, p->hidden, m.cell, m.state);
    }
    mcugen_lstm_steps_dsp(&q, &m, in, out);
    mcugen_lstm_give(m.cell, p->hidden, last_cell);
}

#endif /* MCUGEN_LSTM_STATES_S8_DSP_H */

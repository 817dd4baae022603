/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent layer with tanh, one direction, int8, for cores with the DSP instructions. */
#ifndef MCUGEN_RNN_S8_DSP_H
#define MCUGEN_RNN_S8_DSP_H

#include "gates_s8_dsp.h"
#include "rnn_s8.h"

/* As mcugen_rnn_s8; weights: the stream of gates_s8_dsp.h, `hidden` rows with the products of input and state. Up to 3 bytes
 * behind the input are read where in_c is no multiple of 4. scratch: the columns of input and state, int8 state[hidden] and
 * int16 sums[hidden], each filled up to a multiple of 4. With `rows`, else null, the input is dynamic: as in
 * mcugen_lstm_s8_dsp. */
struct mcugen_rnn_s8_dsp {
    int32_t steps, in_c, hidden;
    int32_t reverse, sequence;
    int32_t clip;
    const uint32_t *weights;
    const int32_t *rows;
    const int32_t *state_bias;
    const uint8_t *state_shift;
    int32_t in_exponent, in_common_shift;
    const int16_t *tanh;
    const int8_t *initial_state;
};

static MCUGEN_INLINE void mcugen_rnn_s8_dsp(const struct mcugen_rnn_s8_dsp *p, const int8_t *in, int8_t *out,
                                            void *scratch)
{
    const int32_t hidden = p->hidden;
    const int32_t words = mcugen_rows4_words(p->in_c);
    const int32_t state_words = mcugen_rows4_words(hidden);
    uint32_t *const column = (uint32_t *)scratch;
    uint32_t *const state_column = column + words;
    int32_t *const acc = (int32_t *)(void *)(state_column + state_words);
    int8_t *const state = (int8_t *)(acc + (p->rows ? mcugen_dynamic_gate_words(hidden) : 0));
    int16_t *const sums = (int16_t *)(void *)(state + (hidden + 3) / 4 * 4);
    struct mcugen_dynamic_gates_s8_dsp gates;
    if (p->rows) {
        gates.input = mcugen_dynamic_gates(in + (ptrdiff_t)p->steps * p->in_c, p->in_exponent);
        gates.rows = p->rows;
        gates.state_bias = p->state_bias;
        gates.state_shift = p->state_shift;
        gates.common_shift = p->in_common_shift;
        gates.column = column;
        gates.state_column = state_column;
        gates.words = words;
        gates.state_words = state_words;
        gates.hidden = hidden;
        gates.acc = acc;
    }
    mcugen_rows4_clear(column, words + state_words);
    for (int32_t j = 0; j < hidden; ++j) {
        state[j] = (int8_t)(p->initial_state ? p->initial_state[j] : 0);
    }
    for (int32_t step = 0; step < p->steps; ++step) {
        const int32_t t = p->reverse ? p->steps - 1 - step : step;
        mcugen_rows4_column(in + (ptrdiff_t)t * p->in_c, column, p->in_c);
        mcugen_rows4_column(state, state_column, hidden);
        if (p->rows) {
            mcugen_dynamic_gate_dsp(&gates, p->weights, 0, true, true, p->clip, sums);
        } else {
            mcugen_gate_sums_dsp(p->weights, hidden, column, words, state_column, state_words, sums);
            mcugen_gate_clip(sums, hidden, p->clip);
        }
        mcugen_rnn_units(p->tanh, hidden, sums, state);
        if (p->sequence || step == p->steps - 1) {
            mcugen_copy_state(state, out + (p->sequence ? (ptrdiff_t)t * hidden : 0), hidden);
        }
    }
}

#endif /* MCUGEN_RNN_S8_DSP_H */

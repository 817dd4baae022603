/* SPDX-License-Identifier: Apache-2.0 */
/* Gated recurrent unit, one direction, int8 with an int16 state of its own, for cores with the DSP instructions. */
#ifndef MCUGEN_GRU_S8_DSP_H
#define MCUGEN_GRU_S8_DSP_H

#include "gates_s8_dsp.h"
#include "gru_s8.h"

/* As mcugen_gru_s8; weights: the streams of gates_s8_dsp.h, first 2 * hidden rows of both products, then `hidden` rows of both,
 * or with linear_before_reset of the input's and then of the state's. Up to 3 bytes behind the input are read where in_c is no
 * multiple of 4. scratch: the columns of input and state; int8 narrow[hidden] filled up to a multiple of 4, without
 * linear_before_reset also reset[hidden] likewise; int16 state[hidden], sums[3 * hidden] (4 * hidden) and 3 more. With `rows`,
 * else null, the input is dynamic: as in mcugen_lstm_s8_dsp. */
struct mcugen_gru_s8_dsp {
    int32_t steps, in_c, hidden;
    int32_t reverse, sequence;
    int32_t clip;
    int32_t linear_before_reset;
    const uint32_t *weights;
    const int32_t *rows;
    const int32_t *state_bias;
    const uint8_t *state_shift;
    int32_t in_exponent, in_common_shift;
    const int16_t *tanh;
    const int16_t *initial_state;
};

/* sums[3 * hidden] of a step, from the columns of input and state; a state behind the reset takes the place of the latter. */
static MCUGEN_INLINE void mcugen_gru_sums_dsp(const struct mcugen_gru_s8_dsp *p, const uint32_t *column,
                                              uint32_t *state_column, const int8_t *narrow, int8_t *reset,
                                              int16_t *sums)
{
    const int32_t hidden = p->hidden;
    const int32_t words = mcugen_rows4_words(p->in_c);
    const int32_t state_words = mcugen_rows4_words(hidden);
    int16_t *const fresh = sums + 2 * hidden;
    int16_t *const apart = fresh + hidden;
    /* Rows that fill up a block are written behind the sums, where the next sums take their place. */
    const uint32_t *weights =
        mcugen_gate_sums_dsp(p->weights, 2 * hidden, column, words, state_column, state_words, sums);
    mcugen_gate_clip(sums, 2 * hidden, p->clip);
    if (p->linear_before_reset) {
        weights = mcugen_gate_sums_dsp(weights, hidden, column, words, column, 0, fresh);
        mcugen_gate_sums_dsp(weights, hidden, state_column, state_words, column, 0, apart);
        mcugen_gru_reset_behind(p->tanh, hidden, p->clip, sums + hidden, apart, fresh);
    } else {
        mcugen_gru_reset(p->tanh, hidden, sums + hidden, narrow, reset);
        mcugen_rows4_column(reset, state_column, hidden);
        mcugen_gate_sums_dsp(weights, hidden, column, words, state_column, state_words, fresh);
        mcugen_gate_clip(fresh, hidden, p->clip);
    }
}

/* The same where the input is dynamic. */
static MCUGEN_INLINE void mcugen_gru_dynamic_sums_dsp(const struct mcugen_gru_s8_dsp *p,
                                                      const struct mcugen_dynamic_gates_s8_dsp *gates,
                                                      uint32_t *state_column, const int8_t *narrow, int8_t *reset,
                                                      int16_t *sums)
{
    const int32_t hidden = p->hidden;
    int16_t *const fresh = sums + 2 * hidden;
    int16_t *const apart = fresh + hidden;
    const uint32_t *weights = p->weights;
    for (int32_t gate = 0; gate < 2; ++gate) {
        weights = mcugen_dynamic_gate_dsp(gates, weights, gate, true, true, p->clip, sums + gate * hidden);
    }
    if (p->linear_before_reset) {
        weights = mcugen_dynamic_gate_dsp(gates, weights, 2, true, false, 32768, fresh);
        mcugen_dynamic_gate_dsp(gates, weights, 2, false, true, 32768, apart);
        mcugen_gru_reset_behind(p->tanh, hidden, p->clip, sums + hidden, apart, fresh);
    } else {
        mcugen_gru_reset(p->tanh, hidden, sums + hidden, narrow, reset);
        mcugen_rows4_column(reset, state_column, hidden);
        mcugen_dynamic_gate_dsp(gates, weights, 2, true, true, p->clip, fresh);
    }
}

static MCUGEN_INLINE void mcugen_gru_s8_dsp(const struct mcugen_gru_s8_dsp *p, const int8_t *in, int8_t *out,
                                            void *scratch)
{
    const int32_t hidden = p->hidden;
    const int32_t padded = (hidden + 3) / 4 * 4;
    const int32_t words = mcugen_rows4_words(p->in_c);
    const int32_t state_words = mcugen_rows4_words(hidden);
    uint32_t *const column = (uint32_t *)scratch;
    uint32_t *const state_column = column + words;
    int32_t *const acc = (int32_t *)(void *)(state_column + state_words);
    int8_t *const narrow = (int8_t *)(acc + (p->rows ? mcugen_dynamic_gate_words(hidden) : 0));
    int8_t *const reset = narrow + padded;
    int16_t *const state = (int16_t *)(void *)(p->linear_before_reset ? reset : reset + padded);
    int16_t *const sums = state + hidden;
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
        state[j] = (int16_t)(p->initial_state ? p->initial_state[j] : 0);
        narrow[j] = mcugen_gru_narrow(state[j]);
    }
    for (int32_t step = 0; step < p->steps; ++step) {
        const int32_t t = p->reverse ? p->steps - 1 - step : step;
        mcugen_rows4_column(in + (ptrdiff_t)t * p->in_c, column, p->in_c);
        mcugen_rows4_column(narrow, state_column, hidden);
        if (p->rows) {
            mcugen_gru_dynamic_sums_dsp(p, &gates, state_column, narrow, reset, sums);
        } else {
            mcugen_gru_sums_dsp(p, column, state_column, narrow, reset, sums);
        }
        mcugen_gru_units(p->tanh, hidden, sums, state, narrow);
        if (p->sequence || step == p->steps - 1) {
            mcugen_copy_state(narrow, out + (p->sequence ? (ptrdiff_t)t * hidden : 0), hidden);
        }
    }
}

#endif /* MCUGEN_GRU_S8_DSP_H */

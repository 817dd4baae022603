/* SPDX-License-Identifier: Apache-2.0 */
/* Long short-term memory, one direction, int8 with an int16 cell, for cores with the DSP instructions. */
#ifndef MCUGEN_LSTM_S8_DSP_H
#define MCUGEN_LSTM_S8_DSP_H

#include "gates_s8_dsp.h"
#include "lstm_s8.h"

/* As mcugen_lstm_s8; weights: the stream of gates_s8_dsp.h, 4 * hidden rows with the products of input and state. Up to 3 bytes
 * behind the input are read where in_c is no multiple of 4. scratch: the columns of input and state; int8 state[hidden] filled
 * up to a multiple of 4; int16 cell[hidden], sums[4 * hidden]. With `rows` (gates_s8_dsp.h), else null, the input is dynamic;
 * behind the columns are then int32 sums of integers, 2 * hidden filled up likewise. */
struct mcugen_lstm_s8_dsp {
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
};

/* Where the parts of the scratch memory begin. */
struct mcugen_lstm_memory {
    uint32_t *column, *state_column;
    int32_t *acc;
    int8_t *state;
    int16_t *cell, *sums;
};

static MCUGEN_INLINE struct mcugen_lstm_memory mcugen_lstm_memory(const struct mcugen_lstm_s8_dsp *p, void *scratch)
{
    struct mcugen_lstm_memory m;
    m.column = (uint32_t *)scratch;
    m.state_column = m.column + mcugen_rows4_words(p->in_c);
    m.acc = (int32_t *)(void *)(m.state_column + mcugen_rows4_words(p->hidden));
    m.state = (int8_t *)(m.acc + (p->rows ? mcugen_dynamic_gate_words(p->hidden) : 0));
    m.cell = (int16_t *)(void *)(m.state + (p->hidden + 3) / 4 * 4);
    m.sums = m.cell + p->hidden;
    return m;
}

/* All steps, from the cell and the state as they are. */
static MCUGEN_INLINE void mcugen_lstm_steps_dsp(const struct mcugen_lstm_s8_dsp *p, const struct mcugen_lstm_memory *m,
                                                const int8_t *in, int8_t *out)
{
    const int32_t words = mcugen_rows4_words(p->in_c);
    const int32_t state_words = mcugen_rows4_words(p->hidden);
    struct mcugen_dynamic_gates_s8_dsp gates;
    if (p->rows) {
        gates.input = mcugen_dynamic_gates(in + (ptrdiff_t)p->steps * p->in_c, p->in_exponent);
        gates.rows = p->rows;
        gates.state_bias = p->state_bias;
        gates.state_shift = p->state_shift;
        gates.common_shift = p->in_common_shift;
        gates.column = m->column;
        gates.state_column = m->state_column;
        gates.words = words;
        gates.state_words = state_words;
        gates.hidden = p->hidden;
        gates.acc = m->acc;
    }
    mcugen_rows4_clear(m->column, words + state_words);
    for (int32_t step = 0; step < p->steps; ++step) {
        const int32_t t = p->reverse ? p->steps - 1 - step : step;
        mcugen_rows4_column(in + (ptrdiff_t)t * p->in_c, m->column, p->in_c);
        mcugen_rows4_column(m->state, m->state_column, p->hidden);
        if (p->rows) {
            const uint32_t *weights = p->weights;
            for (int32_t gate = 0; gate < 4; ++gate) {
                weights = mcugen_dynamic_gate_dsp(&gates, weights, gate, true, true, p->clip, m->sums + gate * p->hidden);
            }
        } else {
            mcugen_gate_sums_dsp(p->weights, 4 * p->hidden, m->column, words, m->state_column, state_words, m->sums);
            mcugen_gate_clip(m->sums, 4 * p->hidden, p->clip);
        }
        mcugen_lstm_units(p->tanh, p->hidden, p->cell_bits, m->sums, m->cell, m->state);
        if (p->sequence || step == p->steps - 1) {
            mcugen_copy_state(m->state, out + (p->sequence ? (ptrdiff_t)t * p->hidden : 0), p->hidden);
        }
    }
}

static MCUGEN_INLINE void mcugen_lstm_s8_dsp(const struct mcugen_lstm_s8_dsp *p, const int8_t *in, int8_t *out,
                                             void *scratch)
{
    const struct mcugen_lstm_memory m = mcugen_lstm_memory(p, scratch);
    mcugen_lstm_start(p->initial_cell, p->initial_state, p->hidden, m.cell, m.state);
    mcugen_lstm_steps_dsp(p, &m, in, out);
}

#endif /* MCUGEN_LSTM_S8_DSP_H */

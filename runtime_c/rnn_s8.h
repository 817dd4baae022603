/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent layer with tanh, one direction, int8: plain C for every core. */
#ifndef MCUGEN_RNN_S8_H
#define MCUGEN_RNN_S8_H

#include "recurrent_s8.h"

/* in [steps][in_c]; out [steps][hidden], or [hidden] of the last step unless `sequence`. The state has scale 1/128. Pointers
 * to biases of the state, shifts and the initial state may be null. scratch: int16 sums[hidden], int8 state[hidden]. */
struct mcugen_rnn_s8 {
    int32_t steps, in_c, hidden;
    int32_t reverse, sequence;
    int32_t clip;
    const int8_t *in_weights, *state_weights;
    const int32_t *in_bias, *state_bias;
    const int32_t *in_multiplier, *state_multiplier;
    const uint8_t *in_shift, *state_shift;
    const int32_t *in_row_sums;
    int32_t in_exponent, in_common_shift;
    const int16_t *tanh;
    const int8_t *initial_state;
};

/* The new state of every unit from its sum. */
static MCUGEN_INLINE void mcugen_rnn_units(const int16_t *table, int32_t hidden, const int16_t *sums, int8_t *state)
{
    for (int32_t j = 0; j < hidden; ++j) {
        state[j] = (int8_t)mcugen_ssat8((mcugen_tanh_q15(table, sums[j], 7) + 128) >> 8);
    }
}

static MCUGEN_INLINE void mcugen_rnn_s8(const struct mcugen_rnn_s8 *p, const int8_t *in, int8_t *out, void *scratch)
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
    int16_t *const sums = (int16_t *)scratch;
    int8_t *const state = (int8_t *)(sums + p->hidden);
    for (int32_t j = 0; j < p->hidden; ++j) {
        state[j] = (int8_t)(p->initial_state ? p->initial_state[j] : 0);
    }
    for (int32_t step = 0; step < p->steps; ++step) {
        const int32_t t = p->reverse ? p->steps - 1 - step : step;
        mcugen_gate_sums(&input, in + (ptrdiff_t)t * p->in_c, &fed_back, state, 0, p->hidden, p->clip, sums);
        mcugen_rnn_units(p->tanh, p->hidden, sums, state);
        if (p->sequence || step == p->steps - 1) {
            mcugen_copy_state(state, out + (p->sequence ? (ptrdiff_t)t * p->hidden : 0), p->hidden);
        }
    }
}

#endif /* MCUGEN_RNN_S8_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Gated recurrent unit, one direction, int8 with an int16 state of its own: plain C for every core. */
#ifndef MCUGEN_GRU_S8_H
#define MCUGEN_GRU_S8_H

#include "recurrent_s8.h"

/* in [steps][in_c]; out [steps][hidden], or [hidden] of the last step unless `sequence`. Rows of the matrices: the gates z,
 * r, h of `hidden` rows each. The state has scale 2^-15, what the products read and the output 1/128. Pointers to the
 * state's bias, shifts and the initial state may be null; a bias of the state asks for linear_before_reset.
 * scratch: int16 state[hidden], sums[3 * hidden] (4 * hidden with linear_before_reset); then int8 narrow[hidden],
 * without linear_before_reset also reset[hidden]. */
struct mcugen_gru_s8 {
    int32_t steps, in_c, hidden;
    int32_t reverse, sequence;
    int32_t clip;
    int32_t linear_before_reset;
    const int8_t *in_weights, *state_weights;
    const int32_t *in_bias, *state_bias;
    const int32_t *in_multiplier, *state_multiplier;
    const uint8_t *in_shift, *state_shift;
    const int32_t *in_row_sums;
    int32_t in_exponent, in_common_shift;
    const int16_t *tanh;
    const int16_t *initial_state;
};

static MCUGEN_INLINE int8_t mcugen_gru_narrow(int32_t state)
{
    return (int8_t)mcugen_ssat8((state + 128) >> 8);
}

/* The part of the state that the reset gate lets through. */
static MCUGEN_INLINE void mcugen_gru_reset(const int16_t *table, int32_t hidden, const int16_t *gate,
                                           const int8_t *narrow, int8_t *reset)
{
    for (int32_t j = 0; j < hidden; ++j) {
        const int32_t passed = mcugen_sigmoid_q15(table, gate[j]) * narrow[j];
        reset[j] = (int8_t)mcugen_ssat8((passed + (1 << 14)) >> 15);
    }
}

/* sums: the input's products, to which is added what the reset gate lets through of the state's. */
static MCUGEN_INLINE void mcugen_gru_reset_behind(const int16_t *table, int32_t hidden, int32_t clip,
                                                  const int16_t *gate, const int16_t *from_state, int16_t *sums)
{
    for (int32_t j = 0; j < hidden; ++j) {
        const int32_t passed = (mcugen_sigmoid_q15(table, gate[j]) * from_state[j] + (1 << 14)) >> 15;
        sums[j] = mcugen_gate_sum(sums[j] + passed, clip);
    }
}

/* The new state of every unit from the sums of its gates z and h. */
static MCUGEN_INLINE void mcugen_gru_units(const int16_t *table, int32_t hidden, const int16_t *sums, int16_t *state,
                                           int8_t *narrow)
{
    for (int32_t j = 0; j < hidden; ++j) {
        const int32_t keep = mcugen_sigmoid_q15(table, sums[j]);
        const int32_t fresh = mcugen_tanh_q15(table, sums[2 * hidden + j], 7);
        const int32_t next = mcugen_sat16(((32768 - keep) * fresh + keep * state[j] + (1 << 14)) >> 15);
        state[j] = (int16_t)next;
        narrow[j] = mcugen_gru_narrow(next);
    }
}

static MCUGEN_INLINE void mcugen_gru_s8(const struct mcugen_gru_s8 *p, const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t hidden = p->hidden;
    struct mcugen_dynamic_gates dynamic;
    struct mcugen_gate_product input = {p->in_weights, p->in_bias, p->in_multiplier, p->in_shift, p->in_c, NULL, NULL, 0};
    const struct mcugen_gate_product fed_back = {p->state_weights, p->state_bias, p->state_multiplier, p->state_shift,
                                                 hidden, NULL, NULL, 0};
    if (p->in_row_sums) {
        dynamic = mcugen_dynamic_gates(in + (ptrdiff_t)p->steps * p->in_c, p->in_exponent);
        input.dynamic = &dynamic;
        input.row_sums = p->in_row_sums;
        input.common_shift = p->in_common_shift;
    }
    int16_t *const state = (int16_t *)scratch;
    int16_t *const sums = state + hidden;
    int16_t *const apart = sums + 3 * hidden;
    int8_t *const narrow = (int8_t *)(p->linear_before_reset ? apart + hidden : apart);
    int8_t *const reset = narrow + hidden;
    for (int32_t j = 0; j < hidden; ++j) {
        state[j] = (int16_t)(p->initial_state ? p->initial_state[j] : 0);
        narrow[j] = mcugen_gru_narrow(state[j]);
    }
    for (int32_t step = 0; step < p->steps; ++step) {
        const int32_t t = p->reverse ? p->steps - 1 - step : step;
        const int8_t *const x = in + (ptrdiff_t)t * p->in_c;
        mcugen_gate_sums(&input, x, &fed_back, narrow, 0, 2 * hidden, p->clip, sums);
        if (p->linear_before_reset) {
            mcugen_gate_sums(&input, x, NULL, NULL, 2 * hidden, hidden, 32768, sums + 2 * hidden);
            mcugen_gate_sums(NULL, NULL, &fed_back, narrow, 2 * hidden, hidden, 32768, apart);
            mcugen_gru_reset_behind(p->tanh, hidden, p->clip, sums + hidden, apart, sums + 2 * hidden);
        } else {
            mcugen_gru_reset(p->tanh, hidden, sums + hidden, narrow, reset);
            mcugen_gate_sums(&input, x, &fed_back, reset, 2 * hidden, hidden, p->clip, sums + 2 * hidden);
        }
        mcugen_gru_units(p->tanh, hidden, sums, state, narrow);
        if (p->sequence || step == p->steps - 1) {
            mcugen_copy_state(narrow, out + (p->sequence ? (ptrdiff_t)t * hidden : 0), hidden);
        }
    }
}

#endif /* MCUGEN_GRU_S8_H */

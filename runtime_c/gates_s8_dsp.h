/* SPDX-License-Identifier: Apache-2.0 */
/* The sums of recurrent layers' gates for cores with the DSP instructions: 4 rows at a time, the products with the input and
 * with the state one after the other against columns unpacked once.
 *
 * The arithmetic and the words W, X, Y are those of matmul_s8_dsp.h: weights in [-127, 127], |accumulator| < 2^23, multipliers
 * multiples of 256.
 * Weight stream, for every 4 rows and each product: int32 initial[4]; then for every 4 inputs: uint32 W[4]; then int32
 * multiplier[4]. Rows and groups of inputs are filled up with zeros, to 4 rows and an even number of groups.
 * Column, for every 4 inputs: uint32 {X, Y}.
 * With a dynamic input the stream is that of sums_s8_dsp.h, whose sums are of the integers alone: for one gate after the other
 * the blocks of the input, then those of the state. */
#ifndef MCUGEN_GATES_S8_DSP_H
#define MCUGEN_GATES_S8_DSP_H

#include "column_s8_dsp.h"
#include <stdbool.h>

#include "fixed_point.h"
#include "recurrent_s8.h"
#include "rows4_s8_dsp.h"
#include "sums_s8_dsp.h"

/* Both products, or the first alone where the second column ends where it begins. */
struct mcugen_gates_s8_dsp {
    const uint32_t *weights;     /* at least one block */
    const uint32_t *first;       /* column of the first product, not empty */
    const uint32_t *first_end;
    const uint32_t *second;
    const uint32_t *second_end;
    int16_t *out;                /* one sum a row, saturated; as many as there are in the blocks */
    const uint32_t *weights_end;
};

#if MCUGEN_HAVE_DSP

/* The multipliers, and the accumulators as multiples of 256. */
#define MCUGEN_GATES_SUM                                                                                               \
    "ldr.n r3, [r0, #4]\n\t"                                                                                           \
    "ldr.n r4, [r0, #8]\n\t"                                                                                           \
    "ldr.n r5, [r0, #12]\n\t"                                                                                          \
    "ldr.w r2, [r0], #16\n\t"                                                                                          \
    "bic r8, r8, #255\n\t"                                                                                             \
    "bic r9, r9, #255\n\t"                                                                                             \
    "bic r10, r10, #255\n\t"                                                                                           \
    "bic r11, r11, #255\n\t"

/* r0 weights, r1 column, r2-r5 weight words, r6 X, r7 Y, r8-r11 accumulators, r12 end of the column, lr out.
 * Stack: 0 first column and its end, 8 second column and its end, 16 end of the weights, 20 sums of the first product. */
MCUGEN_SHARED void mcugen_gates_s8_dsp(const struct mcugen_gates_s8_dsp *m)
{
    register const struct mcugen_gates_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #36\n\t"
        "ldm r0, {r1-r7}\n\t" /* weights, both columns with their ends, out, end of the weights */
        "str r2, [sp, #0]\n\t"
        "str r3, [sp, #4]\n\t"
        "str r4, [sp, #8]\n\t"
        "str r5, [sp, #12]\n\t"
        "str r7, [sp, #16]\n\t"
        "mov r0, r1\n\t"
        "mov lr, r6\n"
        "1:\n\t"
        "ldr.w r9, [r0, #4]\n\t"
        "ldr.w r10, [r0, #8]\n\t"
        "ldr.w r11, [r0, #12]\n\t"
        "ldr.w r8, [r0], #16\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r12, [sp, #4]\n"
        "2:\n\t" MCUGEN_ROWS4_TURN
        "bne.w 2b\n\t" MCUGEN_GATES_SUM
        "smmulr r8, r8, r2\n\t"
        "smmulr r9, r9, r3\n\t"
        "smmulr r10, r10, r4\n\t"
        "smmulr r11, r11, r5\n\t"
        "ldr r1, [sp, #8]\n\t"
        "ldr r12, [sp, #12]\n\t"
        "cmp r1, r12\n\t"
        "beq.n 4f\n\t"
        "add r2, sp, #20\n\t"
        "stm r2, {r8-r11}\n\t"
        "ldr.w r9, [r0, #4]\n\t"
        "ldr.w r10, [r0, #8]\n\t"
        "ldr.w r11, [r0, #12]\n\t"
        "ldr.w r8, [r0], #16\n"
        "3:\n\t" MCUGEN_ROWS4_TURN
        "bne.w 3b\n\t" MCUGEN_GATES_SUM
        "ldr r1, [sp, #20]\n\t"
        "ldr r6, [sp, #24]\n\t"
        "ldr r7, [sp, #28]\n\t"
        "ldr r12, [sp, #32]\n\t"
        "smmlar r8, r8, r2, r1\n\t"
        "smmlar r9, r9, r3, r6\n\t"
        "smmlar r10, r10, r4, r7\n\t"
        "smmlar r11, r11, r5, r12\n"
        "4:\n\t"
        "ssat r8, #16, r8\n\t"
        "ssat r9, #16, r9\n\t"
        "ssat r10, #16, r10\n\t"
        "ssat r11, #16, r11\n\t"
        "strh r8, [lr], #2\n\t"
        "strh r9, [lr], #2\n\t"
        "strh r10, [lr], #2\n\t"
        "strh r11, [lr], #2\n\t"
        "ldr r6, [sp, #16]\n\t"
        "cmp r0, r6\n\t"
        "bne.w 1b\n\t"
        "add sp, sp, #36\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#undef MCUGEN_GATES_SUM

#else

/* sum[4] plus the requantized product of a block; returns the word behind its weights. */
static MCUGEN_INLINE const uint32_t *mcugen_gates_block_s8_dsp(const uint32_t *w, const uint32_t *column,
                                                               const uint32_t *end, int32_t *sum)
{
    int32_t acc[4];
    for (int32_t r = 0; r < 4; ++r) {
        acc[r] = (int32_t)w[r];
    }
    w += 4;
    for (; column != end; column += 2) {
        for (int32_t r = 0; r < 4; ++r) {
            acc[r] = mcugen_smlad(mcugen_sxtb16(w[r]), column[1], mcugen_smlad(w[r], column[0], acc[r]));
        }
        w += 4;
    }
    for (int32_t r = 0; r < 4; ++r) {
        sum[r] = mcugen_smmlar(acc[r] & ~255, (int32_t)w[r], sum[r]);
    }
    return w + 4;
}

/* The C twin of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_gates_s8_dsp(const struct mcugen_gates_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int16_t *out = m->out;
    while (w != m->weights_end) {
        int32_t sum[4] = {0, 0, 0, 0};
        w = mcugen_gates_block_s8_dsp(w, m->first, m->first_end, sum);
        if (m->second != m->second_end) {
            w = mcugen_gates_block_s8_dsp(w, m->second, m->second_end, sum);
        }
        for (int32_t r = 0; r < 4; ++r) {
            *out++ = (int16_t)mcugen_clamp(sum[r], -32768, 32767);
        }
    }
}

#endif

/* Sums limited to [-clip, clip]; with 32767, which stands for no clip, -32768 stays, which has the curves of -32767. */
static MCUGEN_INLINE void mcugen_gate_clip(int16_t *sums, int32_t rows, int32_t clip)
{
    for (int32_t row = 0; clip < 32767 && row < rows; ++row) {
        sums[row] = (int16_t)mcugen_clamp(sums[row], -clip, clip);
    }
}

/* Sums of `rows` rows, filled up to 4, from one or two columns (words 0: none); returns the stream behind them. */
static MCUGEN_INLINE const uint32_t *mcugen_gate_sums_dsp(const uint32_t *weights, int32_t rows, const uint32_t *first,
                                                          int32_t first_words, const uint32_t *second,
                                                          int32_t second_words, int16_t *out)
{
    const int32_t block = 8 + 2 * first_words + (second_words ? 8 + 2 * second_words : 0);
    const uint32_t *const end = weights + (rows + 3) / 4 * block;
    const struct mcugen_gates_s8_dsp m = {
        .weights = weights,
        .first = first,
        .first_end = first + first_words,
        .second = second,
        .second_end = second + second_words,
        .out = out,
        .weights_end = end,
    };
    mcugen_gates_s8_dsp(&m);
    return end;
}

/* The gates of a layer with a dynamic input. rows: for every row the sum of the input's weights, its multiplier and bias, and
 * the multiplier of the state; state_bias and state_shift may be null. */
struct mcugen_dynamic_gates_s8_dsp {
    struct mcugen_dynamic_gates input;
    const int32_t *rows;
    const int32_t *state_bias;
    const uint8_t *state_shift;
    int32_t common_shift;
    const uint32_t *column, *state_column;
    int32_t words, state_words;
    int32_t hidden;
    int32_t *acc;                /* as many words as mcugen_dynamic_gate_words says */
};

/* Words of scratch memory for the sums of one gate. */
static MCUGEN_INLINE int32_t mcugen_dynamic_gate_words(int32_t hidden)
{
    return 2 * ((hidden + 3) / 4 * 4);
}

/* The sums of integers of one product and gate; returns the stream behind them. */
static MCUGEN_INLINE const uint32_t *mcugen_dynamic_product_dsp(const uint32_t *weights, int32_t rows,
                                                                const uint32_t *column, int32_t words, int32_t *out)
{
    const struct mcugen_sums_s8_dsp m = {
        .weights = weights,
        .column = column,
        .column_end = column + words,
        .out = out,
        .weights_end = weights + (rows + 3) / 4 * (4 + 2 * words),
    };
    mcugen_sums_s8_dsp(&m);
    return m.weights_end;
}

/* out[hidden]: the sums of gate number `gate`, from the products of input, state or both; returns the stream behind them. */
static MCUGEN_INLINE const uint32_t *mcugen_dynamic_gate_dsp(const struct mcugen_dynamic_gates_s8_dsp *g,
                                                             const uint32_t *weights, int32_t gate, bool from_input,
                                                             bool from_state, int32_t clip, int16_t *out)
{
    const struct mcugen_dynamic_gates input = g->input;
    int32_t *const acc = g->acc;
    int32_t *const state_acc = acc + mcugen_dynamic_gate_words(g->hidden) / 2;
    const int32_t first = gate * g->hidden;
    const int32_t *row = g->rows + 4 * first;
    if (from_input) {
        weights = mcugen_dynamic_product_dsp(weights, g->hidden, g->column, g->words, acc);
    }
    if (from_state) {
        weights = mcugen_dynamic_product_dsp(weights, g->hidden, g->state_column, g->state_words, state_acc);
    }
    for (int32_t i = 0; i < g->hidden; ++i) {
        int32_t sum = from_input ? mcugen_dynamic_gate(&input, acc[i], row[0], row[1], g->common_shift, row[2]) : 0;
        if (from_state) {
            const int32_t from = state_acc[i] + (g->state_bias ? g->state_bias[first + i] : 0);
            sum = mcugen_requantize(from, row[3], g->state_shift ? g->state_shift[first + i] : 0, sum);
        }
        out[i] = mcugen_gate_sum(sum, clip);
        row += 4;
    }
    return weights;
}

#endif /* MCUGEN_GATES_S8_DSP_H */

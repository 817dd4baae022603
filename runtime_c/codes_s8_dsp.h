/* SPDX-License-Identifier: Apache-2.0 */
/* The inner blocks of the DSP kernels for weights that are codes of 4 bits into a table.
 *
 * Two codes of a byte are looked up at once, in a table of 256 words {value of the lower code, value of the upper code} that the
 * kernel makes of the layer's 16 values, for one SMLAD with two inputs.
 * A weight word holds the codes of 8 inputs: its bytes those of {x0, x2}, {x1, x3}, {x4, x6}, {x5, x7}.
 * Column of one pixel, for every 4 inputs: uint32 {x0, x2}, {x1, x3}; of two, the words of the second pixel behind each of the
 * first's.  It is filled up with zeros to a multiple of 8 inputs.
 */
#ifndef MCUGEN_CODES_S8_DSP_H
#define MCUGEN_CODES_S8_DSP_H

#include <stdint.h>

#include "mcugen.h"
#include "simd.h"

#define MCUGEN_CODES_TABLE 256

MCUGEN_SHARED void mcugen_codes_table_s8_dsp(const int8_t *values, uint32_t *table)
{
    for (int32_t high = 0; high < 16; ++high) {
        const uint32_t upper = (uint32_t)(int32_t)values[high];
        for (int32_t low = 0; low < 16; ++low) {
            *table++ = mcugen_pkhbt((uint32_t)(int32_t)values[low], upper);
        }
    }
}

/* `depth` inputs as words `gap` apart. */
MCUGEN_SHARED void mcugen_codes_column_s8_dsp(const int8_t *in, uint32_t *column, int32_t depth, int32_t gap)
{
    const int32_t steps = (depth + 7) >> 3;
    const uint32_t *const end = column + 4 * steps * gap;
    for (; depth >= 4; depth -= 4) {
        const uint32_t v = mcugen_load32(in);
        column[0] = mcugen_sxtb16(v);
        column[gap] = mcugen_sxtb16_ror8(v);
        column += 2 * gap;
        in += 4;
    }
    for (uint32_t v; column != end; column += 2 * gap) {
        v = 0;
        for (int32_t i = 0; i < depth; ++i) {
            v |= (uint32_t)(uint8_t)in[i] << (8 * i);
        }
        depth = 0;
        column[0] = mcugen_sxtb16(v);
        column[gap] = mcugen_sxtb16_ror8(v);
    }
}

/* Sums that several calls carry on: weights and column come out behind what was read. */
struct mcugen_codes_s8_dsp {
    const uint32_t *weights;
    const uint32_t *column;
    const uint32_t *table;
    int32_t steps; /* groups of 8 inputs, at least 1 */
    int32_t acc[4];
};

#if MCUGEN_HAVE_DSP

#define MCUGEN_CODES_BYTE0(to, word) "uxtb.w " to ", " word "\n\t"
#define MCUGEN_CODES_BYTE1(to, word) "ubfx " to ", " word ", #8, #8\n\t"
#define MCUGEN_CODES_BYTE2(to, word) "ubfx " to ", " word ", #16, #8\n\t"
#define MCUGEN_CODES_BYTE3(to, word) "lsr.w " to ", " word ", #24\n\t"
#define MCUGEN_CODES_LOOK_UP                                                                                           \
    "ldr.w r12, [r7, r12, lsl #2]\n\t"                                                                                 \
    "ldr.w lr, [r7, lr, lsl #2]\n\t"

/* r0 weights, r1 column, r2-r5 weight words, r6 word of the column, r7 table, r8-r11 sums, r12 lr weights. */
#define MCUGEN_CODES_4(byte)                                                                                           \
    byte("r12", "r2") byte("lr", "r3") MCUGEN_CODES_LOOK_UP                                                            \
    "ldr.w r6, [r1], #4\n\t"                                                                                           \
    "smlad r8, r12, r6, r8\n\t"                                                                                        \
    "smlad r9, lr, r6, r9\n\t" byte("r12", "r4") byte("lr", "r5") MCUGEN_CODES_LOOK_UP                                 \
    "smlad r10, r12, r6, r10\n\t"                                                                                      \
    "smlad r11, lr, r6, r11\n\t"

/* acc[r] += the sum over 8 * steps inputs for 4 channels, whose weight words lie in turn. */
MCUGEN_SHARED void mcugen_codes_4x1_s8_dsp(struct mcugen_codes_s8_dsp *m)
{
    register struct mcugen_codes_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r0, r4-r11, lr}\n\t"
        "ldm r0, {r1-r4, r8-r11}\n\t" /* weights, column, table, steps, sums */
        "mov r7, r3\n\t"
        "add r4, r1, r4, lsl #4\n\t"
        "mov r0, r1\n\t"
        "mov r1, r2\n\t"
        "push {r4, r5}\n"
        "1:\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        MCUGEN_CODES_4(MCUGEN_CODES_BYTE0)
        MCUGEN_CODES_4(MCUGEN_CODES_BYTE1)
        MCUGEN_CODES_4(MCUGEN_CODES_BYTE2)
        MCUGEN_CODES_4(MCUGEN_CODES_BYTE3)
        "ldr r6, [sp]\n\t"
        "cmp r0, r6\n\t"
        "bne.w 1b\n\t"
        "ldr r2, [sp, #8]\n\t"
        "str r0, [r2]\n\t"
        "str r1, [r2, #4]\n\t"
        "add r2, r2, #16\n\t"
        "stm r2, {r8-r11}\n\t"
        "add sp, sp, #8\n\t"
        "pop {r0, r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

/* r0 weights, r1 column, r2 r3 weight words, r4 r5 words of the column, r6 end of the weights, r7 table, r8-r11 sums, r12 lr
 * weights. */
#define MCUGEN_CODES_2(byte)                                                                                           \
    byte("r12", "r2") byte("lr", "r3") MCUGEN_CODES_LOOK_UP                                                            \
    "ldr.n r5, [r1, #4]\n\t"                                                                                           \
    "ldr.w r4, [r1], #8\n\t"                                                                                           \
    "smlad r8, r12, r4, r8\n\t"                                                                                        \
    "smlad r9, lr, r4, r9\n\t"                                                                                         \
    "smlad r10, r12, r5, r10\n\t"                                                                                      \
    "smlad r11, lr, r5, r11\n\t"

/* The same for 2 channels of 2 pixels: acc[0], acc[1] of the first, acc[2], acc[3] of the second. */
MCUGEN_SHARED void mcugen_codes_2x2_s8_dsp(struct mcugen_codes_s8_dsp *m)
{
    register struct mcugen_codes_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r0, r4-r11, lr}\n\t"
        "ldm r0, {r1-r4, r8-r11}\n\t" /* weights, column, table, steps, sums */
        "mov r7, r3\n\t"
        "add r6, r1, r4, lsl #3\n\t"
        "mov r0, r1\n\t"
        "mov r1, r2\n"
        "1:\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        MCUGEN_CODES_2(MCUGEN_CODES_BYTE0)
        MCUGEN_CODES_2(MCUGEN_CODES_BYTE1)
        MCUGEN_CODES_2(MCUGEN_CODES_BYTE2)
        MCUGEN_CODES_2(MCUGEN_CODES_BYTE3)
        "cmp r0, r6\n\t"
        "bne.n 1b\n\t"
        "ldr r2, [sp]\n\t"
        "str r0, [r2]\n\t"
        "str r1, [r2, #4]\n\t"
        "add r2, r2, #16\n\t"
        "stm r2, {r8-r11}\n\t"
        "pop {r0, r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE uint32_t mcugen_codes_pair(const uint32_t *table, uint32_t word, int32_t byte)
{
    return table[(uint8_t)(word >> (8 * byte))];
}

/* The C twins of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_codes_4x1_s8_dsp(struct mcugen_codes_s8_dsp *m)
{
    for (int32_t i = 0; i < m->steps; ++i) {
        for (int32_t r = 0; r < 4; ++r) {
            const uint32_t word = *m->weights++;
            for (int32_t k = 0; k < 4; ++k) {
                m->acc[r] = mcugen_smlad(mcugen_codes_pair(m->table, word, k), mcugen_load32(m->column + k), m->acc[r]);
            }
        }
        m->column += 4;
    }
}

MCUGEN_SHARED void mcugen_codes_2x2_s8_dsp(struct mcugen_codes_s8_dsp *m)
{
    for (int32_t i = 0; i < m->steps; ++i) {
        for (int32_t r = 0; r < 2; ++r) {
            const uint32_t word = *m->weights++;
            for (int32_t k = 0; k < 4; ++k) {
                const uint32_t pair = mcugen_codes_pair(m->table, word, k);
                m->acc[r] = mcugen_smlad(pair, m->column[2 * k], m->acc[r]);
                m->acc[2 + r] = mcugen_smlad(pair, m->column[2 * k + 1], m->acc[2 + r]);
            }
        }
        m->column += 8;
    }
}

#endif

/* Groups of 8 inputs that share a factor, and the channels' factors of all groups, in turn. */
#define MCUGEN_CODES_GROUP 4

/* The sums over `steps` groups of 8 inputs, by `run`: with factors if there are any, those of `rows` channels of each group in
 * turn; returns what follows the factors. */
static MCUGEN_INLINE const uint8_t *mcugen_codes_sums(struct mcugen_codes_s8_dsp *m, int32_t steps, const uint8_t *factors,
                                                      int32_t rows, void (*run)(struct mcugen_codes_s8_dsp *))
{
    int32_t total[4] = {0, 0, 0, 0};
    m->steps = factors ? MCUGEN_CODES_GROUP : steps;
    for (int32_t left = steps; left > 0; left -= m->steps) {
        if (left < m->steps) {
            m->steps = left;
        }
        for (int32_t r = 0; r < 4; ++r) {
            m->acc[r] = 0;
        }
        run(m);
        for (int32_t r = 0; r < 4; ++r) {
            total[r] += factors ? m->acc[r] * (int32_t)factors[r & (rows - 1)] : m->acc[r];
        }
        if (factors) {
            factors += rows;
        }
    }
    for (int32_t r = 0; r < 4; ++r) {
        m->acc[r] = total[r];
    }
    return factors;
}

#endif /* MCUGEN_CODES_S8_DSP_H */

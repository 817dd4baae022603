/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of the DSP kernels for packed weights over int16, and the inner blocks for weights of 4 bits.
 *
 * Column of one pixel: the inputs in pairs, the first in the lower half; of two, the words of the second pixel behind each of the
 * first's.  It is filled up with zeros to a multiple of 8 inputs.
 * Codes into a table run on the blocks of codes_s8_dsp.h: the bytes of a weight word hold the codes of {x0, x1}, {x2, x3}, ...
 * Weights of 4 bits need no table: a word holds u = w + 8 of 8 inputs, the even ones in its lower half, so that four shifts and one
 * mask give the pairs {u0, u1}, {u2, u3}, ... for SMLAD.  That is 8 times the sum of the inputs too much, the same for all channels;
 * the caller takes it away.  Sums wrap modulo 2^32; only the last has to fit.
 */
#ifndef MCUGEN_CODES_S16_DSP_H
#define MCUGEN_CODES_S16_DSP_H

#include <stdint.h>

#include "codes_s8_dsp.h"
#include "element_s16.h"

/* What a weight of 4 bits is stored too large. */
#define MCUGEN_INT4_OFFSET 8u

/* `words` pairs of int16 as words `gap` apart; returns the sum of the inputs. */
MCUGEN_SHARED int32_t mcugen_codes_column_s16_dsp(const int8_t *in, uint32_t *column, int32_t words, int32_t gap)
{
    int32_t sum = 0;
    for (; words >= 4; words -= 4) {
        const uint32_t a = mcugen_load32(in);
        const uint32_t b = mcugen_load32(in + 4);
        const uint32_t c = mcugen_load32(in + 8);
        const uint32_t d = mcugen_load32(in + 12);
        sum = mcugen_smlad(a, 0x00010001u, mcugen_smlad(b, 0x00010001u, sum));
        sum = mcugen_smlad(c, 0x00010001u, mcugen_smlad(d, 0x00010001u, sum));
        column[0] = a;
        column[gap] = b;
        column[2 * gap] = c;
        column[3 * gap] = d;
        column += 4 * gap;
        in += 16;
    }
    for (; words > 0; --words) {
        const uint32_t a = mcugen_load32(in);
        sum = mcugen_smlad(a, 0x00010001u, sum);
        *column = a;
        column += gap;
        in += 4;
    }
    return sum;
}

/* The same of `words` groups of four int8, two pairs each. */
MCUGEN_SHARED int32_t mcugen_codes_column_s8_s16_dsp(const int8_t *in, uint32_t *column, int32_t words, int32_t gap)
{
    int32_t sum = 0;
    for (; words > 0; --words) {
        const uint32_t v = mcugen_load32(in);
        const uint32_t even = mcugen_sxtb16(v);
        const uint32_t odd = mcugen_sxtb16_ror8(v);
        sum = mcugen_smlad(even, 0x00010001u, mcugen_smlad(odd, 0x00010001u, sum));
        column[0] = mcugen_pkhbt(even, odd);
        column[gap] = mcugen_pkhtb(odd, even);
        column += 2 * gap;
        in += 4;
    }
    return sum;
}

/* One word of the input after the other: two int16 or four int8. */
static MCUGEN_INLINE int32_t mcugen_codes_column_wide(const int8_t *in, int32_t in_bytes, uint32_t *column, int32_t words,
                                                      int32_t gap)
{
    return in_bytes == 2 ? mcugen_codes_column_s16_dsp(in, column, words, gap)
                         : mcugen_codes_column_s8_s16_dsp(in, column, words, gap);
}

/* A sum of products with its bias, less 8 times the sum of the inputs, modulo 2^32. */
static MCUGEN_INLINE int32_t mcugen_codes_total(int32_t acc, int32_t bias, int32_t inputs)
{
    return (int32_t)((uint32_t)acc + (uint32_t)bias - MCUGEN_INT4_OFFSET * (uint32_t)inputs);
}

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 column, r2-r5 weight words, r6 r7 words of the column, r8-r11 sums, r12 weights, lr mask. */
#define MCUGEN_INT4_WIDE_4(shift, inputs)                                                                              \
    "and.w r12, lr, r2" shift "\n\t"                                                                                   \
    "smlad r8, r12, " inputs ", r8\n\t"                                                                                \
    "and.w r12, lr, r3" shift "\n\t"                                                                                   \
    "smlad r9, r12, " inputs ", r9\n\t"                                                                                \
    "and.w r12, lr, r4" shift "\n\t"                                                                                   \
    "smlad r10, r12, " inputs ", r10\n\t"                                                                              \
    "and.w r12, lr, r5" shift "\n\t"                                                                                   \
    "smlad r11, r12, " inputs ", r11\n\t"

/* acc[r] += the sum over 8 * steps inputs for 4 channels, whose weight words lie in turn; table is not read.  Two steps of 150
 * bytes, an odd number of them enters at the second.  Stack: 0 end of the weights, 8 m. */
MCUGEN_SHARED void mcugen_int4_4x1_s16_dsp(struct mcugen_codes_s8_dsp *m)
{
    register struct mcugen_codes_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r0, r4-r11, lr}\n\t"
        "ldm r0, {r1-r4, r8-r11}\n\t" /* weights, column, table, steps, sums */
        "add r5, r1, r4, lsl #4\n\t"
        "mov r0, r1\n\t"
        "mov r1, r2\n\t"
        "mov.w lr, #0x000f000f\n\t"
        "push {r5, r6}\n\t"
        "and r4, r4, #1\n\t"
        "mov r3, #150\n\t"
        "adr.w r2, 1f\n\t"
        "mla r2, r4, r3, r2\n\t"
        "orr r2, r2, #1\n\t"
        "bx r2\n\t"
        ".balign 4\n"
        "1:\n\t"
        ".rept 2\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_WIDE_4("", "r6")
        MCUGEN_INT4_WIDE_4(", lsr #4", "r7")
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_WIDE_4(", lsr #8", "r6")
        MCUGEN_INT4_WIDE_4(", lsr #12", "r7")
        ".endr\n\t"
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

/* r0 weights, r1 column, r2 r3 weight words, r4-r7 words of the column, r8-r11 sums, r12 weights, lr mask. */
#define MCUGEN_INT4_WIDE_2(shift, first, second)                                                                       \
    "and.w r12, lr, r2" shift "\n\t"                                                                                   \
    "smlad r8, r12, " first ", r8\n\t"                                                                                 \
    "smlad r10, r12, " second ", r10\n\t"                                                                              \
    "and.w r12, lr, r3" shift "\n\t"                                                                                   \
    "smlad r9, r12, " first ", r9\n\t"                                                                                 \
    "smlad r11, r12, " second ", r11\n\t"
#define MCUGEN_INT4_WIDE_COLUMN                                                                                        \
    "ldr.n r5, [r1, #4]\n\t"                                                                                           \
    "ldr.n r6, [r1, #8]\n\t"                                                                                           \
    "ldr.n r7, [r1, #12]\n\t"                                                                                          \
    "ldr.w r4, [r1], #16\n\t"

/* The same for 2 channels of 2 pixels: acc[0], acc[1] of the first, acc[2], acc[3] of the second.  Two steps of 122 bytes. */
MCUGEN_SHARED void mcugen_int4_2x2_s16_dsp(struct mcugen_codes_s8_dsp *m)
{
    register struct mcugen_codes_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r0, r4-r11, lr}\n\t"
        "ldm r0, {r1-r4, r8-r11}\n\t" /* weights, column, table, steps, sums */
        "add r5, r1, r4, lsl #3\n\t"
        "mov r0, r1\n\t"
        "mov r1, r2\n\t"
        "mov.w lr, #0x000f000f\n\t"
        "push {r5, r6}\n\t"
        "and r4, r4, #1\n\t"
        "mov r3, #122\n\t"
        "adr.w r2, 1f\n\t"
        "mla r2, r4, r3, r2\n\t"
        "orr r2, r2, #1\n\t"
        "bx r2\n\t"
        ".balign 4\n"
        "1:\n\t"
        ".rept 2\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        MCUGEN_INT4_WIDE_COLUMN
        MCUGEN_INT4_WIDE_2("", "r4", "r5")
        MCUGEN_INT4_WIDE_2(", lsr #4", "r6", "r7")
        MCUGEN_INT4_WIDE_COLUMN
        MCUGEN_INT4_WIDE_2(", lsr #8", "r4", "r5")
        MCUGEN_INT4_WIDE_2(", lsr #12", "r6", "r7")
        ".endr\n\t"
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

#else

/* The weights of pair k, each 8 too large. */
static MCUGEN_INLINE uint32_t mcugen_int4_pair(uint32_t word, int32_t k)
{
    return (word >> (4 * k)) & 0x000f000fu;
}

/* The C twins of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_int4_4x1_s16_dsp(struct mcugen_codes_s8_dsp *m)
{
    for (int32_t i = 0; i < m->steps; ++i) {
        for (int32_t r = 0; r < 4; ++r) {
            const uint32_t word = *m->weights++;
            for (int32_t k = 0; k < 4; ++k) {
                m->acc[r] = mcugen_smlad(mcugen_int4_pair(word, k), mcugen_load32(m->column + k), m->acc[r]);
            }
        }
        m->column += 4;
    }
}

MCUGEN_SHARED void mcugen_int4_2x2_s16_dsp(struct mcugen_codes_s8_dsp *m)
{
    for (int32_t i = 0; i < m->steps; ++i) {
        for (int32_t r = 0; r < 2; ++r) {
            const uint32_t word = *m->weights++;
            for (int32_t k = 0; k < 4; ++k) {
                const uint32_t pair = mcugen_int4_pair(word, k);
                m->acc[r] = mcugen_smlad(pair, m->column[2 * k], m->acc[r]);
                m->acc[2 + r] = mcugen_smlad(pair, m->column[2 * k + 1], m->acc[2 + r]);
            }
        }
        m->column += 8;
    }
}

#endif

#endif /* MCUGEN_CODES_S16_DSP_H */

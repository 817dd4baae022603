/* SPDX-License-Identifier: Apache-2.0 */
/* Columns: the inputs of one output pixel, unpacked once for all output channels (matmul_s8_dsp.h says what X and Y
 * are). */
#ifndef MCUGEN_COLUMN_S8_DSP_H
#define MCUGEN_COLUMN_S8_DSP_H

#include <stdint.h>

#include "mcugen.h"
#include "simd.h"

/* Before a loop with few turns, their number known when it is compiled for one layer. */
#if defined(__clang__)
#define MCUGEN_UNROLL _Pragma("unroll")
#else
#define MCUGEN_UNROLL _Pragma("GCC unroll 16")
#endif

/* X and Y of four activations. */
static MCUGEN_INLINE uint32_t mcugen_column_x(uint32_t word)
{
    return mcugen_sxtb16(word);
}

static MCUGEN_INLINE uint32_t mcugen_column_y(uint32_t word)
{
    return word ^ 0x007f007fu;
}

/* `value` for `steps` words of one pixel's half of a column of pairs; returns the word behind them. */
static MCUGEN_INLINE uint32_t *mcugen_column_constant_s8_dsp(int32_t value, uint32_t *column, int32_t steps)
{
    const uint32_t word = (uint32_t)(uint8_t)value * 0x01010101u;
    for (; steps > 0; --steps) {
        column[0] = mcugen_column_y(word);
        column[1] = mcugen_column_x(word);
        column += 4;
    }
    return column;
}

/* `steps` words at `in` into a column of {X, Y}. */
MCUGEN_SHARED void mcugen_column_s8_dsp(const int8_t *in, uint32_t *column, int32_t steps)
{
    for (int32_t n = steps & 3; n > 0; --n) {
        const uint32_t a = mcugen_load32(in);
        in += 4;
        column[0] = mcugen_column_x(a);
        column[1] = mcugen_column_y(a);
        column += 2;
    }
    for (int32_t n = steps >> 2; n > 0; --n) {
        const uint32_t a = mcugen_load32(in);
        const uint32_t b = mcugen_load32(in + 4);
        const uint32_t c = mcugen_load32(in + 8);
        const uint32_t d = mcugen_load32(in + 12);
        in += 16;
        column[0] = mcugen_column_x(a);
        column[1] = mcugen_column_y(a);
        column[2] = mcugen_column_x(b);
        column[3] = mcugen_column_y(b);
        column[4] = mcugen_column_x(c);
        column[5] = mcugen_column_y(c);
        column[6] = mcugen_column_x(d);
        column[7] = mcugen_column_y(d);
        column += 8;
    }
}

#if MCUGEN_HAVE_DSP

/* Columns {Y(p), X(p), Y(q), X(q)} of pairs of pixels: p is `steps` words at `in`, q as many `pitch` bytes later, and
 * the next pair begins twice the pitch later.  steps and pairs at least 1.
 * r0 in, r1 pitch, r2 column, r3 steps, r4 p, r5 q, r6 steps left, r12 pairs left, lr 0x007f007f. */
MCUGEN_SHARED void mcugen_column_pairs_s8_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t steps,
                                              int32_t pairs)
{
    register const int8_t *r0 __asm__("r0") = in;
    register int32_t r1 __asm__("r1") = pitch;
    register uint32_t *r2 __asm__("r2") = column;
    register int32_t r3 __asm__("r3") = steps;
    register int32_t r12 __asm__("r12") = pairs;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "mov lr, #0x007f007f\n"
        "1:\n\t"
        "mov r4, r0\n\t"
        "add r5, r0, r1\n\t"
        "lsrs r6, r3, #1\n\t"
        "bcc.n 2f\n\t"
        "ldr r8, [r4], #4\n\t"
        "ldr r9, [r5], #4\n\t"
        "eor r7, r8, lr\n\t"
        "eor r10, r9, lr\n\t"
        "sxtb16 r8, r8\n\t"
        "sxtb16 r9, r9\n\t"
        "str r8, [r2, #4]\n\t"
        "str r10, [r2, #8]\n\t"
        "str r9, [r2, #12]\n\t"
        "str r7, [r2], #16\n"
        "2:\n\t"
        "cbz r6, 4f\n"
        "3:\n\t"
        "ldr r8, [r4, #4]\n\t"
        "ldr r10, [r5, #4]\n\t"
        "ldr r7, [r4], #8\n\t"
        "ldr r9, [r5], #8\n\t"
        "eor r11, r7, lr\n\t"
        "sxtb16 r7, r7\n\t"
        "str r11, [r2]\n\t"
        "str r7, [r2, #4]\n\t"
        "eor r11, r9, lr\n\t"
        "sxtb16 r9, r9\n\t"
        "str r11, [r2, #8]\n\t"
        "str r9, [r2, #12]\n\t"
        "eor r11, r8, lr\n\t"
        "sxtb16 r8, r8\n\t"
        "str r11, [r2, #16]\n\t"
        "str r8, [r2, #20]\n\t"
        "eor r11, r10, lr\n\t"
        "sxtb16 r10, r10\n\t"
        "str r11, [r2, #24]\n\t"
        "str r10, [r2, #28]\n\t"
        "add r2, r2, #32\n\t"
        "subs r6, r6, #1\n\t"
        "bne.n 3b\n"
        "4:\n\t"
        "add r0, r0, r1, lsl #1\n\t"
        "subs r12, r12, #1\n\t"
        "bne.n 1b\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r12)
        :
        : "cc", "memory");
}

/* One pixel's half of a column of pairs, {Y, X} in every fourth word: `steps` words of each of `rows` rows, which begin
 * `pitch` bytes apart.  steps and rows at least 1.
 * r0 in, r1 pitch, r2 column, r3 steps, r4 word, r9 steps left, r12 rows left, lr 0x007f007f. */
MCUGEN_SHARED void mcugen_column_rows_s8_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t steps,
                                             int32_t rows)
{
    register const int8_t *r0 __asm__("r0") = in;
    register int32_t r1 __asm__("r1") = pitch;
    register uint32_t *r2 __asm__("r2") = column;
    register int32_t r3 __asm__("r3") = steps;
    register int32_t r12 __asm__("r12") = rows;
    __asm__ volatile(
        "push {r4-r10, lr}\n\t"
        "mov lr, #0x007f007f\n"
        "1:\n\t"
        "mov r4, r0\n\t"
        "add r0, r0, r1\n\t"
        "lsrs r9, r3, #1\n\t"
        "bcc.n 2f\n\t"
        "ldr r5, [r4], #4\n\t"
        "eor r6, r5, lr\n\t"
        "sxtb16 r5, r5\n\t"
        "str r5, [r2, #4]\n\t"
        "str r6, [r2], #16\n"
        "2:\n\t"
        "lsrs r9, r9, #1\n\t"
        "bcc.n 3f\n\t"
        "ldr r6, [r4, #4]\n\t"
        "ldr r5, [r4], #8\n\t"
        "eor r7, r5, lr\n\t"
        "eor r8, r6, lr\n\t"
        "sxtb16 r5, r5\n\t"
        "sxtb16 r6, r6\n\t"
        "str r5, [r2, #4]\n\t"
        "str r8, [r2, #16]\n\t"
        "str r6, [r2, #20]\n\t"
        "str r7, [r2], #32\n"
        "3:\n\t"
        "cmp r9, #0\n\t"
        "beq.n 5f\n"
        "4:\n\t"
        "ldr r6, [r4, #4]\n\t"
        "ldr r7, [r4, #8]\n\t"
        "ldr r8, [r4, #12]\n\t"
        "ldr r5, [r4], #16\n\t"
        "eor r10, r6, lr\n\t"
        "sxtb16 r6, r6\n\t"
        "str r10, [r2, #16]\n\t"
        "str r6, [r2, #20]\n\t"
        "eor r10, r7, lr\n\t"
        "sxtb16 r7, r7\n\t"
        "str r10, [r2, #32]\n\t"
        "str r7, [r2, #36]\n\t"
        "eor r10, r8, lr\n\t"
        "sxtb16 r8, r8\n\t"
        "str r10, [r2, #48]\n\t"
        "str r8, [r2, #52]\n\t"
        "eor r10, r5, lr\n\t"
        "sxtb16 r5, r5\n\t"
        "str r5, [r2, #4]\n\t"
        "str r10, [r2], #64\n\t"
        "subs r9, r9, #1\n\t"
        "bne.n 4b\n"
        "5:\n\t"
        "subs r12, r12, #1\n\t"
        "bne.n 1b\n\t"
        "pop {r4-r10, lr}\n\t"
        : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r12)
        :
        : "cc", "memory");
}

#else

/* The C twins of the assembly. */
MCUGEN_SHARED void mcugen_column_rows_s8_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t steps,
                                             int32_t rows)
{
    for (; rows > 0; --rows) {
        for (int32_t i = 0; i < 4 * steps; i += 4) {
            const uint32_t p = mcugen_load32(in + i);
            column[0] = mcugen_column_y(p);
            column[1] = mcugen_column_x(p);
            column += 4;
        }
        in += pitch;
    }
}

MCUGEN_SHARED void mcugen_column_pairs_s8_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t steps,
                                              int32_t pairs)
{
    for (; pairs > 0; --pairs) {
        for (int32_t i = 0; i < 4 * steps; i += 4) {
            const uint32_t p = mcugen_load32(in + i);
            const uint32_t q = mcugen_load32(in + pitch + i);
            column[0] = mcugen_column_y(p);
            column[1] = mcugen_column_x(p);
            column[2] = mcugen_column_y(q);
            column[3] = mcugen_column_x(q);
            column += 4;
        }
        in += 2 * pitch;
    }
}

#endif

#endif /* MCUGEN_COLUMN_S8_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of weights and inputs for cores with the DSP instructions, 4 rows at a time against a column unpacked once.
 *
 * Weights in [-127, 127], |sum| < 2^23. Weight stream, for every 4 rows: int32 initial[4]; then for every 4 inputs: uint32 W[4].
 * Rows and groups of inputs are filled up with zeros, to 4 rows and an even number of groups. */
#ifndef MCUGEN_SUMS_S8_DSP_H
#define MCUGEN_SUMS_S8_DSP_H

#include "rows4_s8_dsp.h"

struct mcugen_sums_s8_dsp {
    const uint32_t *weights;     /* at least one block */
    const uint32_t *column;      /* not empty */
    const uint32_t *column_end;
    int32_t *out;                /* one sum a row, as many as there are in the blocks */
    const uint32_t *weights_end;
};

#if MCUGEN_HAVE_DSP

/* Registers as in rows4_s8_dsp.h, lr out. Stack: 0 column, 4 its end, 8 end of the weights. */
MCUGEN_SHARED void mcugen_sums_s8_dsp(const struct mcugen_sums_s8_dsp *m)
{
    register const struct mcugen_sums_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #12\n\t"
        "ldm r0, {r1-r5}\n\t" /* weights, column with its end, out, end of the weights */
        "str r2, [sp, #0]\n\t"
        "str r3, [sp, #4]\n\t"
        "str r5, [sp, #8]\n\t"
        "mov r0, r1\n\t"
        "mov lr, r4\n"
        "1:\n\t"
        "ldr.w r9, [r0, #4]\n\t"
        "ldr.w r10, [r0, #8]\n\t"
        "ldr.w r11, [r0, #12]\n\t"
        "ldr.w r8, [r0], #16\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r12, [sp, #4]\n"
        "2:\n\t" MCUGEN_ROWS4_TURN
        "bne.w 2b\n\t"
        "asr r8, r8, #8\n\t"
        "asr r9, r9, #8\n\t"
        "asr r10, r10, #8\n\t"
        "asr r11, r11, #8\n\t"
        "str r8, [lr], #4\n\t"
        "str r9, [lr], #4\n\t"
        "str r10, [lr], #4\n\t"
        "str r11, [lr], #4\n\t"
        "ldr r6, [sp, #8]\n\t"
        "cmp r0, r6\n\t"
        "bne.w 1b\n\t"
        "add sp, sp, #12\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_sums_s8_dsp(const struct mcugen_sums_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int32_t *out = m->out;
    while (w != m->weights_end) {
        int32_t acc[4];
        for (int32_t r = 0; r < 4; ++r) {
            acc[r] = (int32_t)*w++;
        }
        for (const uint32_t *column = m->column; column != m->column_end; column += 2) {
            for (int32_t r = 0; r < 4; ++r) {
                acc[r] = mcugen_smlad(mcugen_sxtb16(*w), column[1], mcugen_smlad(*w, column[0], acc[r]));
                ++w;
            }
        }
        for (int32_t r = 0; r < 4; ++r) {
            *out++ = acc[r] >> 8;
        }
    }
}

#endif

#endif /* MCUGEN_SUMS_S8_DSP_H */

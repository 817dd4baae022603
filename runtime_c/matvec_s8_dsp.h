/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP kernels that see one column only: 4 (or 1) output channels at a time.
 *
 * The arithmetic and the words W, X, Y are those of matmul_s8_dsp.h.
 * Weight stream, first all blocks of 4 channels, then those of 1:
 *   4 channels: uint32 initial[3]; then for every 4 inputs: uint32 W[4]; then uint32 multiplier[3]
 *   1 channel: int32 initial; then for every 4 inputs: uint32 W; then int32 multiplier
 * Three words hold four numbers of 24 bits (words24.h). A number of `initial` is the upper 24 bits of a first value; with
 * the lowest byte as it lies, which is 0 for the fourth, the sum comes out 0 to 255 above 256 times the accumulator.
 * Column, for every 4 inputs: uint32 {X, Y}.
 */
#ifndef MCUGEN_MATVEC_S8_DSP_H
#define MCUGEN_MATVEC_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "mcugen.h"
#include "simd.h"
#include "words24.h"

/* Groups of 4 inputs in one turn of the loops over 4 and over 1 channels; powers of two. 64 and 22 bytes of code
 * each. */
#ifndef MCUGEN_MATVEC_UNROLL4
#define MCUGEN_MATVEC_UNROLL4 8
#endif
#ifndef MCUGEN_MATVEC_UNROLL1
#define MCUGEN_MATVEC_UNROLL1 4
#endif

struct mcugen_matvec_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end4; /* behind the last block of 4 channels */
    const uint32_t *weights_end;  /* behind the last block of 1 channel; at least one block in all */
    const uint32_t *column;       /* 2 * steps words */
    int8_t *out;                  /* one value a channel */
    int32_t steps;                /* groups of 4 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 column, r2-r5 weight words, r6 X, r7 Y, r8-r11 accumulators, r12 end of the column, lr out.
 * Stack: 0 column, 4 zero point, 8 entry of the 4-channel loop, 12 its last block's end, 16 entry of the 1-channel
 * loop, 20 its last block's end. */
MCUGEN_SHARED void mcugen_matvec_s8_dsp(const struct mcugen_matvec_s8_dsp *m)
{
    register const struct mcugen_matvec_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #28\n\t"
        "ldm r0, {r1-r7}\n\t" /* weights, end4, end, column, out, steps, zero point */
        "str r4, [sp, #0]\n\t"
        "str r7, [sp, #4]\n\t"
        "str r2, [sp, #12]\n\t"
        "str r3, [sp, #20]\n\t"
        "mov r0, r1\n\t"
        "mov lr, r5\n\t"
        "add r12, r4, r6, lsl #3\n\t"
        /* The loops are entered in their middle, so that they may run a number of steps that is no multiple of the
         * unrolling. */
        "rsb r6, r6, #0\n\t"
        "and r2, r6, #(" MCUGEN_TEXT(MCUGEN_MATVEC_UNROLL4) " - 1)\n\t"
        "adr.w r4, 1f\n\t"
        "add r2, r4, r2, lsl #6\n\t"
        "orr r2, r2, #1\n\t"
        "str r2, [sp, #8]\n\t"
        MCUGEN_ASM_ENTRY("3f", MCUGEN_MATVEC_UNROLL1, "22", "r6", "16")
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATVEC_UNROLL4) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        "smlad r8, r2, r6, r8\n\t"
        "smlad r9, r3, r6, r9\n\t"
        "smlad r10, r4, r6, r10\n\t"
        "smlad r11, r5, r6, r11\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r3, r3\n\t"
        "sxtb16 r4, r4\n\t"
        "sxtb16 r5, r5\n\t"
        "smlad r8, r2, r7, r8\n\t"
        "smlad r9, r3, r7, r9\n\t"
        "smlad r10, r4, r7, r10\n\t"
        "smlad r11, r5, r7, r11\n\t"
        ".endr\n\t"
        "cmp r1, r12\n\t"
        "bne.w 1b\n\t"
        MCUGEN_ASM_MULTIPLIERS4_24
        MCUGEN_ASM_REQUANTIZE4("lr")
        "2:\n\t"
        MCUGEN_ASM_NEXT4_24("4f")

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATVEC_UNROLL1) "\n\t"
        "ldr.w r2, [r0], #4\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        "smlad r8, r2, r6, r8\n\t"
        "sxtb16 r2, r2\n\t"
        "smlad r8, r2, r7, r8\n\t"
        ".endr\n\t"
        "cmp r1, r12\n\t"
        "bne.n 3b\n\t"
        "ldr.w r2, [r0], #4\n\t"
        "ldr r6, [sp, #4]\n\t"
        "smmlar r8, r8, r2, r6\n\t"
        "ssat r8, #8, r8\n\t"
        "strb r8, [lr], #1\n"
        "4:\n\t"
        MCUGEN_ASM_NEXT1("5f")
        "5:\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE const uint32_t *mcugen_matvec_block_s8_dsp(const uint32_t *w, int32_t rows, const uint32_t *column,
                                                                int32_t steps, int32_t zero_point, int8_t *out)
{
    int32_t acc[4];
    const int32_t words = mcugen_initial24(w, rows, acc);
    w += words;
    for (int32_t i = 0; i < steps; ++i) {
        for (int32_t r = 0; r < rows; ++r) {
            acc[r] = mcugen_smlad(mcugen_sxtb16(w[r]), column[1], mcugen_smlad(w[r], column[0], acc[r]));
        }
        w += rows;
        column += 2;
    }
    mcugen_requantize24(w, rows, acc, zero_point, out);
    return w + words;
}

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matvec_s8_dsp(const struct mcugen_matvec_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    while (w != m->weights_end4) {
        w = mcugen_matvec_block_s8_dsp(w, 4, m->column, m->steps, m->zero_point, out);
        out += 4;
    }
    while (w != m->weights_end) {
        w = mcugen_matvec_block_s8_dsp(w, 1, m->column, m->steps, m->zero_point, out);
        out += 1;
    }
}

#endif

#endif /* MCUGEN_MATVEC_S8_DSP_H */

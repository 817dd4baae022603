/* SPDX-License-Identifier: Apache-2.0 */
/* As matmul_s8_dsp.h with half the memory for columns: they hold the activations as they are, which are unpacked anew
 * for every block of channels, one more instruction for every 4 inputs of 3 channels and 2 pixels.
 *
 * Weight stream, words W, X and Y as in matmul_s8_dsp.h.
 * Column, for every 4 inputs of a pair of pixels p, q: four int8 of p, four int8 of q.
 */
#ifndef MCUGEN_MATMUL_LEAN_S8_DSP_H
#define MCUGEN_MATMUL_LEAN_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "column_s8_dsp.h"
#include "mcugen.h"
#include "simd.h"

/* Groups of 4 inputs in one turn of the loops over 3 and over 2 channels; powers of two. 90 and 68 bytes of code
 * each. */
#ifndef MCUGEN_MATMUL_LEAN_UNROLL3
#define MCUGEN_MATMUL_LEAN_UNROLL3 8
#endif
#ifndef MCUGEN_MATMUL_LEAN_UNROLL2
#define MCUGEN_MATMUL_LEAN_UNROLL2 4
#endif

struct mcugen_matmul_lean_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end3; /* behind the last block of 3 channels */
    const uint32_t *weights_end;  /* behind the last block of 2 channels; at least one block in all */
    const uint32_t *column;       /* 2 * steps words */
    int8_t *out;                  /* the first pixel's channels; the second pixel's follow them */
    int32_t out_stride;           /* bytes from the first pixel to the second; 0: the second pixel is not stored */
    int32_t steps;                /* groups of 4 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 column, r2-r4 weight words, r5 r6 words and Y of pixel 0 and 1, lr X, r7-r9 accumulators of pixel 0,
 * r10-r12 of pixel 1.
 * Stack: 0 zero point, 4 out, 8 out stride, 12 column, 16 entry of the 3-channel loop, 20 its last block's end, 24
 * entry of the 2-channel loop, 28 its last block's end, 32 end of the column. */
MCUGEN_SHARED void mcugen_matmul_lean_s8_dsp(const struct mcugen_matmul_lean_s8_dsp *m)
{
    register const struct mcugen_matmul_lean_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #36\n\t"
        "ldm r0, {r1-r8}\n\t" /* weights, end3, end, column, out, stride, steps, zero point */
        "str r8, [sp, #0]\n\t"
        "str r5, [sp, #4]\n\t"
        "str r6, [sp, #8]\n\t"
        "str r4, [sp, #12]\n\t"
        "str r2, [sp, #20]\n\t"
        "str r3, [sp, #28]\n\t"
        "add r4, r4, r7, lsl #3\n\t"
        "str r4, [sp, #32]\n\t"
        "mov r0, r1\n\t"
        /* The loops are entered in their middle, so that they may run a number of steps that is no multiple of the
         * unrolling. */
        "rsb r8, r7, #0\n\t"
        MCUGEN_ASM_ENTRY("1f", MCUGEN_MATMUL_LEAN_UNROLL3, "90", "r8", "16")
        MCUGEN_ASM_ENTRY("3f", MCUGEN_MATMUL_LEAN_UNROLL2, "68", "r8", "24")
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_LEAN_UNROLL3) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.w r2, [r0], #12\n\t"
        "ldr.n r6, [r1, #4]\n\t"
        "ldr.w r5, [r1], #8\n\t"
        "sxtb16 lr, r5\n\t"
        "smlad r7, r2, lr, r7\n\t"
        "smlad r8, r3, lr, r8\n\t"
        "smlad r9, r4, lr, r9\n\t"
        "sxtb16 lr, r6\n\t"
        "smlad r10, r2, lr, r10\n\t"
        "smlad r11, r3, lr, r11\n\t"
        "smlad r12, r4, lr, r12\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r3, r3\n\t"
        "sxtb16 r4, r4\n\t"
        "eor r5, r5, #0x007f007f\n\t"
        "eor r6, r6, #0x007f007f\n\t"
        "smlad r7, r2, r5, r7\n\t"
        "smlad r8, r3, r5, r8\n\t"
        "smlad r9, r4, r5, r9\n\t"
        "smlad r10, r2, r6, r10\n\t"
        "smlad r11, r3, r6, r11\n\t"
        "smlad r12, r4, r6, r12\n\t"
        ".endr\n\t"
        "ldr lr, [sp, #32]\n\t"
        "cmp r1, lr\n\t"
        "bne.w 1b\n\t"
        MCUGEN_ASM_MULTIPLIERS3
        MCUGEN_ASM_SCALE3
        MCUGEN_ASM_SATURATE3("ssat", "8")
        MCUGEN_ASM_STORE3("strb", "1")
        "2:\n\t"
        MCUGEN_ASM_NEXT3("4f")

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_LEAN_UNROLL2) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        "ldr.n r6, [r1, #4]\n\t"
        "ldr.w r5, [r1], #8\n\t"
        "sxtb16 lr, r5\n\t"
        "smlad r7, r2, lr, r7\n\t"
        "smlad r8, r3, lr, r8\n\t"
        "sxtb16 lr, r6\n\t"
        "smlad r10, r2, lr, r10\n\t"
        "smlad r11, r3, lr, r11\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r3, r3\n\t"
        "eor r5, r5, #0x007f007f\n\t"
        "eor r6, r6, #0x007f007f\n\t"
        "smlad r7, r2, r5, r7\n\t"
        "smlad r8, r3, r5, r8\n\t"
        "smlad r10, r2, r6, r10\n\t"
        "smlad r11, r3, r6, r11\n\t"
        ".endr\n\t"
        "ldr lr, [sp, #32]\n\t"
        "cmp r1, lr\n\t"
        "bne.w 3b\n\t"
        MCUGEN_ASM_MULTIPLIERS2
        MCUGEN_ASM_SCALE2
        MCUGEN_ASM_SATURATE2("ssat", "8")
        MCUGEN_ASM_STORE2("strb", "1")
        "4:\n\t"
        MCUGEN_ASM_NEXT2("5f")
        "5:\n\t"
        "add sp, sp, #36\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE const uint32_t *mcugen_matmul_lean_block(const struct mcugen_matmul_lean_s8_dsp *m,
                                                              const uint32_t *w, int32_t rows, int8_t *out)
{
    int32_t acc[2][3];
    for (int32_t r = 0; r < rows; ++r) {
        acc[0][r] = acc[1][r] = (int32_t)w[r];
    }
    w += rows;
    for (int32_t i = 0; i < 2 * m->steps; i += 2) {
        const uint32_t p = m->column[i];
        const uint32_t q = m->column[i + 1];
        for (int32_t r = 0; r < rows; ++r) {
            const uint32_t low = mcugen_sxtb16(w[r]);
            acc[0][r] = mcugen_smlad(low, mcugen_column_y(p), mcugen_smlad(w[r], mcugen_column_x(p), acc[0][r]));
            acc[1][r] = mcugen_smlad(low, mcugen_column_y(q), mcugen_smlad(w[r], mcugen_column_x(q), acc[1][r]));
        }
        w += rows;
    }
    for (int32_t r = 0; r < rows; ++r) {
        out[m->out_stride + r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[1][r], (int32_t)w[r], m->zero_point));
        out[r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[0][r], (int32_t)w[r], m->zero_point));
    }
    return w + rows;
}

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matmul_lean_s8_dsp(const struct mcugen_matmul_lean_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    while (w != m->weights_end3) {
        w = mcugen_matmul_lean_block(m, w, 3, out);
        out += 3;
    }
    while (w != m->weights_end) {
        w = mcugen_matmul_lean_block(m, w, 2, out);
        out += 2;
    }
}

#endif

#endif /* MCUGEN_MATMUL_LEAN_S8_DSP_H */

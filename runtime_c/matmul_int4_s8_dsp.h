/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP convolutions with weights of 4 bits: 3 (or 2) output channels of a pair of pixels at a time.
 *
 * The arithmetic and the words W, X, Y are those of matvec_int4_s8_dsp.h.
 * Weight stream, first all blocks of 3 channels, then those of 2 (n = 3 or 2):
 *   int32 initial[n]; then for every 8 inputs: uint32 W[n]; then int32 multiplier[n]
 * Column of pixels p, q: int32 correction(p), correction(q): 1024 times the sum of every other input; then for every 8 inputs,
 * the first four and then the last four: uint32 {8 X(p), 8 X(q), 128 Y(p) - 8 X(p), 128 Y(q) - 8 X(q)}.
 */
#ifndef MCUGEN_MATMUL_INT4_S8_DSP_H
#define MCUGEN_MATMUL_INT4_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "mcugen.h"
#include "simd.h"

struct mcugen_matmul_int4_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end3; /* behind the last block of 3 channels */
    const uint32_t *weights_end;  /* behind the last block of 2 channels; at least one block in all */
    const uint32_t *column;       /* 2 + 8 * steps words */
    int8_t *out;                  /* the first pixel's channels; the second pixel's follow them */
    int32_t out_stride;           /* bytes from a pixel to the next, the channels; 0: the second pixel is not stored */
    int32_t steps;                /* groups of 8 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* two accumulators += `bytes` times a column word of each pixel */
#define MCUGEN_INT4_PAIR(bytes, acc_p, acc_q)                                                                          \
    "smlad " acc_p ", " bytes ", r5, " acc_p "\n\t"                                                                    \
    "smlad " acc_q ", " bytes ", r6, " acc_q "\n\t"
#define MCUGEN_INT4_COLUMN                                                                                             \
    "ldr.n r6, [r1, #4]\n\t"                                                                                           \
    "ldr.w r5, [r1], #8\n\t"
#define MCUGEN_INT4_BYTES02(word, acc_p, acc_q) "sxtb16 lr, " word "\n\t" MCUGEN_INT4_PAIR("lr", acc_p, acc_q)
#define MCUGEN_INT4_LOW02(word, acc_p, acc_q)                                                                          \
    "and.w lr, " word ", #0x000f000f\n\t" MCUGEN_INT4_PAIR("lr", acc_p, acc_q)
#define MCUGEN_INT4_BYTES13(word, acc_p, acc_q)                                                                        \
    "sxtb16 " word ", " word ", ror #8\n\t" MCUGEN_INT4_PAIR(word, acc_p, acc_q)
#define MCUGEN_INT4_LOW13(word, acc_p, acc_q)                                                                          \
    "and.w " word ", " word ", #0x000f000f\n\t" MCUGEN_INT4_PAIR(word, acc_p, acc_q)

/* r0 weights, r1 column, r2-r4 weight words, r5 r6 words of the column, r7-r9 accumulators of pixel 0, r10-r12 of pixel 1, lr
 * bytes of a weight word.  Stack: 0 zero point, 4 out, 8 out stride, 12 column, 16 entry of the 3-channel loop (two steps of
 * 176 bytes, an odd number of them enters at the second), 20 its last block's end, 24 the last block's end, 28 end of the
 * column. */
MCUGEN_SHARED void mcugen_matmul_int4_s8_dsp(const struct mcugen_matmul_int4_s8_dsp *m)
{
    register const struct mcugen_matmul_int4_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #36\n\t"
        "ldm r0, {r1-r8}\n\t" /* weights, end3, end, column, out, stride, steps, zero point */
        "str r8, [sp, #0]\n\t"
        "str r5, [sp, #4]\n\t"
        "str r6, [sp, #8]\n\t"
        "str r4, [sp, #12]\n\t"
        "str r2, [sp, #20]\n\t"
        "str r3, [sp, #24]\n\t"
        "add r4, r4, #8\n\t"
        "add r4, r4, r7, lsl #5\n\t"
        "str r4, [sp, #28]\n\t"
        "mov r0, r1\n\t"
        "and r7, r7, #1\n\t"
        "mov r3, #176\n\t"
        "adr.w r4, 1f\n\t"
        "mla r2, r7, r3, r4\n\t"
        "orr r2, r2, #1\n\t"
        "str r2, [sp, #16]\n\t"
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept 2\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.w r2, [r0], #12\n\t"
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_BYTES02("r2", "r7", "r10")
        MCUGEN_INT4_BYTES02("r3", "r8", "r11")
        MCUGEN_INT4_BYTES02("r4", "r9", "r12")
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_LOW02("r2", "r7", "r10")
        MCUGEN_INT4_LOW02("r3", "r8", "r11")
        MCUGEN_INT4_LOW02("r4", "r9", "r12")
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_BYTES13("r2", "r7", "r10")
        MCUGEN_INT4_BYTES13("r3", "r8", "r11")
        MCUGEN_INT4_BYTES13("r4", "r9", "r12")
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_LOW13("r2", "r7", "r10")
        MCUGEN_INT4_LOW13("r3", "r8", "r11")
        MCUGEN_INT4_LOW13("r4", "r9", "r12")
        ".endr\n\t"
        "ldr r5, [sp, #28]\n\t"
        "cmp r1, r5\n\t"
        "bne.w 1b\n\t"
        MCUGEN_ASM_MULTIPLIERS3
        MCUGEN_ASM_SCALE3
        MCUGEN_ASM_SATURATE3("ssat", "8")
        MCUGEN_ASM_STORE3("strb", "1")
        "2:\n\t"
        "ldr r1, [sp, #12]\n\t"
        "ldr r5, [sp, #20]\n\t"
        "cmp r0, r5\n\t"
        "beq.w 4f\n\t"
        "ldr r2, [sp, #16]\n\t"
        "ldr.w r8, [r0, #4]\n\t"
        "ldr.w r9, [r0, #8]\n\t"
        "ldr.w r7, [r0], #12\n\t"
        MCUGEN_INT4_COLUMN
        "sub r10, r7, r6\n\t"
        "sub r11, r8, r6\n\t"
        "sub r12, r9, r6\n\t"
        "sub r7, r7, r5\n\t"
        "sub r8, r8, r5\n\t"
        "sub r9, r9, r5\n\t"
        "bx r2\n"

        "3:\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_BYTES02("r2", "r7", "r10")
        MCUGEN_INT4_BYTES02("r3", "r8", "r11")
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_LOW02("r2", "r7", "r10")
        MCUGEN_INT4_LOW02("r3", "r8", "r11")
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_BYTES13("r2", "r7", "r10")
        MCUGEN_INT4_BYTES13("r3", "r8", "r11")
        MCUGEN_INT4_COLUMN
        MCUGEN_INT4_LOW13("r2", "r7", "r10")
        MCUGEN_INT4_LOW13("r3", "r8", "r11")
        "cmp r1, r12\n\t"
        "bne.n 3b\n\t"
        MCUGEN_ASM_MULTIPLIERS2
        MCUGEN_ASM_SCALE2
        MCUGEN_ASM_SATURATE2("ssat", "8")
        MCUGEN_ASM_STORE2("strb", "1")
        "4:\n\t"
        "ldr r1, [sp, #12]\n\t"
        "ldr r5, [sp, #24]\n\t"
        "ldr.w r12, [sp, #28]\n\t"
        "cmp r0, r5\n\t"
        "beq.n 5f\n\t"
        "ldr.w r8, [r0, #4]\n\t"
        "ldr.w r7, [r0], #8\n\t"
        MCUGEN_INT4_COLUMN
        "sub r10, r7, r6\n\t"
        "sub r11, r8, r6\n\t"
        "sub r7, r7, r5\n\t"
        "sub r8, r8, r5\n\t"
        "b.n 3b\n"
        "5:\n\t"
        "add sp, sp, #36\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* One block of `rows` channels; returns what follows it. */
static MCUGEN_INLINE const uint32_t *mcugen_matmul_block_int4_s8_dsp(const struct mcugen_matmul_int4_s8_dsp *m,
                                                                     const uint32_t *w, int32_t rows, int8_t *out)
{
    int32_t acc[2][3];
    const uint32_t *x = m->column;
    for (int32_t r = 0; r < rows; ++r) {
        acc[0][r] = (int32_t)(w[r] - x[0]);
        acc[1][r] = (int32_t)(w[r] - x[1]);
    }
    w += rows;
    x += 2;
    for (int32_t i = 0; i < m->steps; ++i) {
        for (int32_t r = 0; r < rows; ++r) {
            const uint32_t even = mcugen_sxtb16(w[r]);
            const uint32_t odd = mcugen_sxtb16_ror8(w[r]);
            for (int32_t q = 0; q < 2; ++q) {
                acc[q][r] = mcugen_smlad(even & 0x000f000fu, x[2 + q], mcugen_smlad(even, x[q], acc[q][r]));
                acc[q][r] = mcugen_smlad(odd & 0x000f000fu, x[6 + q], mcugen_smlad(odd, x[4 + q], acc[q][r]));
            }
        }
        w += rows;
        x += 8;
    }
    for (int32_t r = 0; r < rows; ++r) {
        out[m->out_stride + r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[1][r], (int32_t)w[r], m->zero_point));
        out[r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[0][r], (int32_t)w[r], m->zero_point));
    }
    return w + rows;
}

/* The C twin of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_matmul_int4_s8_dsp(const struct mcugen_matmul_int4_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    while (w != m->weights_end3) {
        w = mcugen_matmul_block_int4_s8_dsp(m, w, 3, out);
        out += 3;
    }
    while (w != m->weights_end) {
        w = mcugen_matmul_block_int4_s8_dsp(m, w, 2, out);
        out += 2;
    }
}

#endif

#endif /* MCUGEN_MATMUL_INT4_S8_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP convolutions without conditions: 2 (or 1) output channels of 2 pixels at a time, weights
 * and activations unpacked as they are read, any int8 weight, multiplier and shift.
 *
 * Weight stream, first all blocks of 2 channels, then those of 1:
 *   int32 initial[n]; then for every 4 inputs: uint32 W[n], four int8 each; then int32 shift[n], multiplier[n]
 */
#ifndef MCUGEN_MATMUL_PLAIN_S8_DSP_H
#define MCUGEN_MATMUL_PLAIN_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "fixed_point.h"
#include "mcugen.h"
#include "simd.h"

/* Groups of 4 inputs in one turn of the loops over 2 and over 1 channels; powers of two. 78 and 52 bytes of code
 * each. */
#ifndef MCUGEN_MATMUL_PLAIN_UNROLL2
#define MCUGEN_MATMUL_PLAIN_UNROLL2 4
#endif
#ifndef MCUGEN_MATMUL_PLAIN_UNROLL1
#define MCUGEN_MATMUL_PLAIN_UNROLL1 2
#endif

struct mcugen_matmul_plain_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end2; /* behind the last block of 2 channels */
    const uint32_t *weights_end;  /* behind the last block of 1 channel; at least one block in all */
    const int8_t *p, *q;          /* the inputs of the two pixels, 4 * steps bytes each */
    int8_t *out;                  /* the first pixel's channels; the second pixel's follow them */
    int32_t out_stride;           /* bytes from the first pixel to the second; 0: the second pixel is not stored */
    int32_t steps;                /* groups of 4 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 and r12 inputs of pixel p and q, r2 r3 weight words, r4 r5 input words, r6 r7 their bytes 1 and 3, lr
 * those of a weight word, r8 r9 accumulators of pixel p, r10 r11 of q.
 * Stack: 0 zero point, 4 out, 8 out stride, 12 p, 16 q, 20 end of p, 24 entry of the 2-channel loop, 28 its last
 * block's end, 32 entry of the 1-channel loop, 36 its last block's end. */
MCUGEN_SHARED void mcugen_matmul_plain_s8_dsp(const struct mcugen_matmul_plain_s8_dsp *m)
{
    register const struct mcugen_matmul_plain_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #44\n\t"
        "ldm r0, {r1-r9}\n\t" /* weights, end2, end, p, q, out, stride, steps, zero point */
        "str r9, [sp, #0]\n\t"
        "str r6, [sp, #4]\n\t"
        "str r7, [sp, #8]\n\t"
        "str r4, [sp, #12]\n\t"
        "str r5, [sp, #16]\n\t"
        "str r2, [sp, #28]\n\t"
        "str r3, [sp, #36]\n\t"
        "mov r0, r1\n\t"
        "add r4, r4, r8, lsl #2\n\t"
        "str r4, [sp, #20]\n\t"
        /* The loops are entered in their middle, so that the steps need not be a multiple of the unrolling. */
        "rsb r8, r8, #0\n\t"
        MCUGEN_ASM_ENTRY("1f", MCUGEN_MATMUL_PLAIN_UNROLL2, "78", "r8", "24")
        MCUGEN_ASM_ENTRY("3f", MCUGEN_MATMUL_PLAIN_UNROLL1, "52", "r8", "32")
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_PLAIN_UNROLL2) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        "ldr.w r4, [r1], #4\n\t"
        "ldr.w r5, [r12], #4\n\t"
        "sxtb16 r6, r4, ror #8\n\t"
        "sxtb16 r7, r5, ror #8\n\t"
        "sxtb16 lr, r2, ror #8\n\t"
        "smlad r8, lr, r6, r8\n\t"
        "smlad r10, lr, r7, r10\n\t"
        "sxtb16 lr, r3, ror #8\n\t"
        "smlad r9, lr, r6, r9\n\t"
        "smlad r11, lr, r7, r11\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r3, r3\n\t"
        "sxtb16 r4, r4\n\t"
        "sxtb16 r5, r5\n\t"
        "smlad r8, r2, r4, r8\n\t"
        "smlad r9, r3, r4, r9\n\t"
        "smlad r10, r2, r5, r10\n\t"
        "smlad r11, r3, r5, r11\n\t"
        ".endr\n\t"
        "ldr lr, [sp, #20]\n\t"
        "cmp r1, lr\n\t"
        "bne.w 1b\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr r6, [sp, #0]\n\t"
        "ldr r7, [sp, #4]\n\t"
        "ldr r1, [sp, #8]\n\t"
        "lsl r8, r8, r2\n\t"
        "lsl r9, r9, r3\n\t"
        "lsl r10, r10, r2\n\t"
        "lsl r11, r11, r3\n\t"
        "smmlar r8, r8, r4, r6\n\t"
        "smmlar r9, r9, r5, r6\n\t"
        "smmlar r10, r10, r4, r6\n\t"
        "smmlar r11, r11, r5, r6\n\t"
        "ssat r8, #8, r8\n\t"
        "ssat r9, #8, r9\n\t"
        "ssat r10, #8, r10\n\t"
        "ssat r11, #8, r11\n\t"
        /* The second pixel first: where the stride is 0 the first overwrites it. */
        "strb r10, [r7, r1]\n\t"
        "strb r8, [r7], #1\n\t"
        "strb r11, [r7, r1]\n\t"
        "strb r9, [r7], #1\n\t"
        "str r7, [sp, #4]\n"
        "2:\n\t"
        "ldr r1, [sp, #12]\n\t"
        "ldr r12, [sp, #16]\n\t"
        "ldr r6, [sp, #28]\n\t"
        "cmp r0, r6\n\t"
        "beq.n 4f\n\t"
        "ldr r7, [sp, #24]\n\t"
        "ldr.w r9, [r0, #4]\n\t"
        "ldr.w r8, [r0], #8\n\t"
        "mov r11, r9\n\t"
        "mov r10, r8\n\t"
        "bx r7\n\t"

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_PLAIN_UNROLL1) "\n\t"
        "ldr.w r2, [r0], #4\n\t"
        "ldr.w r4, [r1], #4\n\t"
        "ldr.w r5, [r12], #4\n\t"
        "sxtb16 r6, r4, ror #8\n\t"
        "sxtb16 r7, r5, ror #8\n\t"
        "sxtb16 lr, r2, ror #8\n\t"
        "smlad r8, lr, r6, r8\n\t"
        "smlad r10, lr, r7, r10\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r4, r4\n\t"
        "sxtb16 r5, r5\n\t"
        "smlad r8, r2, r4, r8\n\t"
        "smlad r10, r2, r5, r10\n\t"
        ".endr\n\t"
        "ldr lr, [sp, #20]\n\t"
        "cmp r1, lr\n\t"
        "bne.n 3b\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        "ldr r6, [sp, #0]\n\t"
        "ldr r7, [sp, #4]\n\t"
        "ldr r1, [sp, #8]\n\t"
        "lsl r8, r8, r2\n\t"
        "lsl r10, r10, r2\n\t"
        "smmlar r8, r8, r3, r6\n\t"
        "smmlar r10, r10, r3, r6\n\t"
        "ssat r8, #8, r8\n\t"
        "ssat r10, #8, r10\n\t"
        "strb r10, [r7, r1]\n\t"
        "strb r8, [r7], #1\n\t"
        "str r7, [sp, #4]\n"
        "4:\n\t"
        "ldr r1, [sp, #12]\n\t"
        "ldr r6, [sp, #36]\n\t"
        "cmp r0, r6\n\t"
        "beq.n 5f\n\t"
        "ldr r12, [sp, #16]\n\t"
        "ldr r7, [sp, #32]\n\t"
        "ldr.w r8, [r0], #4\n\t"
        "mov r10, r8\n\t"
        "bx r7\n"
        "5:\n\t"
        "add sp, sp, #44\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE const uint32_t *mcugen_matmul_plain_block(const struct mcugen_matmul_plain_s8_dsp *m,
                                                               const uint32_t *w, int32_t rows, int8_t *out)
{
    int32_t acc[2][2];
    for (int32_t r = 0; r < rows; ++r) {
        acc[0][r] = acc[1][r] = (int32_t)w[r];
    }
    w += rows;
    for (int32_t i = 0; i < 4 * m->steps; i += 4) {
        const uint32_t p = mcugen_load32(m->p + i);
        const uint32_t q = mcugen_load32(m->q + i);
        for (int32_t r = 0; r < rows; ++r) {
            const uint32_t odd = mcugen_sxtb16_ror8(w[r]);
            const uint32_t even = mcugen_sxtb16(w[r]);
            acc[0][r] = mcugen_smlad(even, mcugen_sxtb16(p), mcugen_smlad(odd, mcugen_sxtb16_ror8(p), acc[0][r]));
            acc[1][r] = mcugen_smlad(even, mcugen_sxtb16(q), mcugen_smlad(odd, mcugen_sxtb16_ror8(q), acc[1][r]));
        }
        w += rows;
    }
    for (int32_t r = 0; r < rows; ++r) {
        const int32_t shift = (int32_t)w[r];
        const int32_t multiplier = (int32_t)w[rows + r];
        const int32_t z = m->zero_point;
        out[m->out_stride + r] = mcugen_requantize_s8(acc[1][r], multiplier, shift, z, -128, 127);
        out[r] = mcugen_requantize_s8(acc[0][r], multiplier, shift, z, -128, 127);
    }
    return w + 2 * rows;
}

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matmul_plain_s8_dsp(const struct mcugen_matmul_plain_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    while (w != m->weights_end2) {
        w = mcugen_matmul_plain_block(m, w, 2, out);
        out += 2;
    }
    while (w != m->weights_end) {
        w = mcugen_matmul_plain_block(m, w, 1, out);
        out += 1;
    }
}

#endif

#endif /* MCUGEN_MATMUL_PLAIN_S8_DSP_H */

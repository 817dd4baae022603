/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP convolutions with weights of 4 bits over int16: 2 output channels of a pair of pixels at a time.
 *
 * Arithmetic.  A word W holds u = w + 8 of 8 inputs in its halves of bytes, the lowest first those of the inputs 0, 2, 4, 6, 1, 3, 5, 7:
 * W shifted by 4 k bits and masked with 0x000f000f is the pair {u(2k), u(2k+1)} for SMLAD.  That is 8 times the sum of the inputs
 * too much, the same for all channels; the column has it.  Sums wrap modulo 2^32; only the last has to fit.
 *
 * Weight stream, for every 2 channels: int32 initial[2]; then for every 8 inputs uint32 W[2]; then int32 multiplier[2].
 * Column of pixels p, q: int32 8 * sum(p), 8 * sum(q); then the pairs of codes_s16_dsp.h. */
#ifndef MCUGEN_MATMUL_INT4_S16_DSP_H
#define MCUGEN_MATMUL_INT4_S16_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "clamp_s16.h"

/* Groups of 8 inputs in one turn of the loop; a power of two.  126 bytes of code each. */
#ifndef MCUGEN_MATMUL_INT4_S16_UNROLL
#define MCUGEN_MATMUL_INT4_S16_UNROLL 4
#endif

struct mcugen_matmul_int4_s16_dsp {
    const uint32_t *weights;     /* the first block */
    const uint32_t *weights_end; /* behind the last */
    const uint32_t *column;      /* 2 + 8 * steps words */
    int8_t *out;                 /* the first pixel's channels; the second pixel's follow them */
    int32_t out_stride;          /* bytes from a pixel to the next; 0: the second pixel is not stored */
    int32_t steps;               /* groups of 8 inputs, at least 1 */
    int32_t zero_point;          /* of the output */
    int32_t store;               /* MCUGEN_STORE_ */
};

#if MCUGEN_HAVE_DSP

/* Four accumulators += a pair of weights of both channels times a word of the column of each pixel. */
#define MCUGEN_INT4_S16_PAIR(shift, first, second)                                                                     \
    "and.w r12, lr, r2" shift "\n\t"                                                                                   \
    "smlad r7, r12, " first ", r7\n\t"                                                                                 \
    "smlad r10, r12, " second ", r10\n\t"                                                                              \
    "and.w r12, lr, r3" shift "\n\t"                                                                                   \
    "smlad r8, r12, " first ", r8\n\t"                                                                                 \
    "smlad r11, r12, " second ", r11\n\t"
#define MCUGEN_INT4_S16_COLUMN                                                                                         \
    "ldr.n r5, [r1, #4]\n\t"                                                                                           \
    "ldr.n r6, [r1, #8]\n\t"                                                                                           \
    "ldr.w r9, [r1, #12]\n\t"                                                                                          \
    "ldr.w r4, [r1], #16\n\t"

/* r0 weights, r1 column, r2 r3 weight words, r4-r6 r9 words of the column, r7 r8 accumulators of pixel p, r10 r11 of q, r12
 * weights, lr mask.  Stack: 0 zero point, 4 out, 8 out stride, 12 column, 16 the stores, 20 end of the column, 24 entry of the
 * loop, 28 end of the weights. */
MCUGEN_SHARED void mcugen_matmul_int4_s16_dsp(const struct mcugen_matmul_int4_s16_dsp *m)
{
    register const struct mcugen_matmul_int4_s16_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #36\n\t"
        "ldm r0, {r1-r8}\n\t" /* weights, end, column, out, stride, steps, zero point, store */
        "str r7, [sp, #0]\n\t"
        "str r4, [sp, #4]\n\t"
        "str r5, [sp, #8]\n\t"
        "str r3, [sp, #12]\n\t"
        "str r2, [sp, #28]\n\t"
        "add r2, r3, r6, lsl #5\n\t"
        "add r2, r2, #8\n\t"
        "str r2, [sp, #20]\n\t"
        "mov r0, r1\n\t"
        "rsb r6, r6, #0\n\t"
        MCUGEN_ASM_ENTRY("3f", MCUGEN_MATMUL_INT4_S16_UNROLL, "126", "r6", "24")
        "adr.w r3, 8f\n\t"
        "cmp r8, #1\n\t"
        "blt.n 6f\n\t"
        "adr.w r3, 10f\n\t"
        "beq.n 6f\n\t"
        "adr.w r3, 12f\n"
        "6:\n\t"
        "orr r3, r3, #1\n\t"
        "str r3, [sp, #16]\n\t"
        "b.w 4f\n\t"

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_INT4_S16_UNROLL) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        MCUGEN_INT4_S16_COLUMN
        MCUGEN_INT4_S16_PAIR("", "r4", "r5")
        MCUGEN_INT4_S16_PAIR(", lsr #4", "r6", "r9")
        MCUGEN_INT4_S16_COLUMN
        MCUGEN_INT4_S16_PAIR(", lsr #8", "r4", "r5")
        MCUGEN_INT4_S16_PAIR(", lsr #12", "r6", "r9")
        ".endr\n\t"
        "ldr r12, [sp, #20]\n\t"
        "cmp r1, r12\n\t"
        "bne.w 3b\n\t"
        MCUGEN_ASM_MULTIPLIERS2
        "ldr lr, [sp, #16]\n\t"
        MCUGEN_ASM_SCALE2
        "bx lr\n\t"
        ".balign 4\n"
        "12:\n\t"
        MCUGEN_ASM_SATURATE2("usat", "15")
        "b.n 14f\n\t"
        ".balign 4\n"
        "10:\n\t"
        MCUGEN_ASM_SATURATE2("ssat", "16")
        "14:\n\t"
        MCUGEN_ASM_STORE2("strh", "2")
        "b.n 4f\n\t"
        ".balign 4\n"
        "8:\n\t"
        MCUGEN_ASM_SATURATE2("ssat", "8")
        MCUGEN_ASM_STORE2("strb", "1")
        "4:\n\t"
        "ldr r5, [sp, #28]\n\t"
        "ldr r1, [sp, #12]\n\t"
        "cmp r0, r5\n\t"
        "beq.n 5f\n\t"
        "ldr r6, [sp, #24]\n\t"
        "ldr.w r8, [r0, #4]\n\t"
        "ldr.w r7, [r0], #8\n\t"
        "ldr.n r5, [r1, #4]\n\t"
        "ldr.w r4, [r1], #8\n\t"
        "mov.w lr, #0x000f000f\n\t"
        "sub r10, r7, r5\n\t"
        "sub r11, r8, r5\n\t"
        "sub r7, r7, r4\n\t"
        "sub r8, r8, r4\n\t"
        "bx r6\n"
        "5:\n\t"
        "add sp, sp, #36\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matmul_int4_s16_dsp(const struct mcugen_matmul_int4_s16_dsp *m)
{
    const int32_t size = m->store == MCUGEN_STORE_S8 ? 1 : 2;
    int8_t *out = m->out;
    for (const uint32_t *w = m->weights; w != m->weights_end; w += 2, out += 2 * size) {
        const uint32_t *column = m->column;
        int32_t acc[2][2];
        for (int32_t r = 0; r < 2; ++r) {
            acc[0][r] = (int32_t)(w[r] - column[0]);
            acc[1][r] = (int32_t)(w[r] - column[1]);
        }
        w += 2;
        column += 2;
        for (int32_t i = 0; i < m->steps; ++i, w += 2, column += 8) {
            for (int32_t k = 0; k < 8; ++k) {
                const uint32_t weights = (w[k & 1] >> (4 * (k >> 1))) & 0x000f000fu;
                acc[0][k & 1] = mcugen_smlad(weights, column[k & ~1], acc[0][k & 1]);
                acc[1][k & 1] = mcugen_smlad(weights, column[k | 1], acc[1][k & 1]);
            }
        }
        for (int32_t r = 0; r < 2; ++r) {
            const int32_t first = mcugen_smmlar(acc[0][r], (int32_t)w[r], m->zero_point);
            const int32_t second = mcugen_smmlar(acc[1][r], (int32_t)w[r], m->zero_point);
            int8_t *to = out + (ptrdiff_t)r * size;
            mcugen_put(to + m->out_stride, 0, mcugen_saturate_stored(second, m->store), size);
            mcugen_put(to, 0, mcugen_saturate_stored(first, m->store), size);
        }
    }
}

#endif

#endif /* MCUGEN_MATMUL_INT4_S16_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP convolutions with int8 weights over int16: 3 (or 2) output channels of 2 pixels at a time.
 *
 * Weight stream, one block after the other, first all blocks of 3 channels, then those of 2:
 *   int32 initial[n]; then for every 4 inputs: uint32 W[n]; then int32 multiplier[n]      (n = 3 or 2)
 * W holds the weights of the inputs 2, 0, 3, 1 of the four, lowest byte first, so that SXTB16 gives the pairs (2, 3) and (0, 1).
 * Column, for every 4 inputs of a pair of pixels p, q: uint32 {p01, p23, q01, q23}, the lower input in the lower half. */
#ifndef MCUGEN_MATMUL_S16_DSP_H
#define MCUGEN_MATMUL_S16_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "clamp_s16.h"

/* Groups of 4 inputs in one turn of the loops over 3 and over 2 channels; powers of two. 90 and 64 bytes of code each. */
#ifndef MCUGEN_MATMUL_S16_UNROLL3
#define MCUGEN_MATMUL_S16_UNROLL3 8
#endif
#ifndef MCUGEN_MATMUL_S16_UNROLL2
#define MCUGEN_MATMUL_S16_UNROLL2 4
#endif

struct mcugen_matmul_s16_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end3; /* behind the last block of 3 channels */
    const uint32_t *weights_end;  /* behind the last block of 2 channels; at least one block in all */
    const uint32_t *column;       /* `pairs` columns of 4 * steps words */
    int8_t *out;                  /* the first pixel's channels; the next pixel's follow them */
    int32_t out_stride;           /* bytes from a pixel to the next; 0: the second pixel is not stored */
    int32_t pairs;                /* at least 1; 1 where out_stride is 0 */
    int32_t steps;                /* groups of 4 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
    int32_t store;                /* MCUGEN_STORE_ */
};

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 column, r2-r4 weight words, r5 r6 inputs of pixel p and q, r7-r9 accumulators of pixel p, r10-r12 of q, lr
 * unpacked weights.  Loads stand in groups, where each but the first costs one cycle.
 * Stack: 0 zero point, 4 out, 8 out stride, 12 column, 16 entry of the 3-channel loop, 20 its last block's end, 24
 * entry of the 2-channel loop, 28 its last block's end, 32 pairs left, 36 weights, 40 bytes of a column, 44 end of the
 * column, 48 the stores of 3 channels, 52 those of 2. */
MCUGEN_SHARED void mcugen_matmul_s16_dsp(const struct mcugen_matmul_s16_dsp *m)
{
    register const struct mcugen_matmul_s16_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #60\n\t"
        "ldm r0, {r1-r10}\n\t" /* weights, end3, end, column, out, stride, pairs, steps, zero point, store */
        "str r9, [sp, #0]\n\t"
        "str r5, [sp, #4]\n\t"
        "str r6, [sp, #8]\n\t"
        "str r4, [sp, #12]\n\t"
        "str r2, [sp, #20]\n\t"
        "str r3, [sp, #28]\n\t"
        "str r7, [sp, #32]\n\t"
        "str r1, [sp, #36]\n\t"
        "lsl r2, r8, #4\n\t"
        "str r2, [sp, #40]\n\t"
        "add r2, r4, r2\n\t"
        "str r2, [sp, #44]\n\t"
        "mov r0, r1\n\t"
        /* The loops are entered in their middle, so that the steps need not be a multiple of the unrolling. */
        "rsb r8, r8, #0\n\t"
        MCUGEN_ASM_ENTRY("1f", MCUGEN_MATMUL_S16_UNROLL3, "90", "r8", "16")
        MCUGEN_ASM_ENTRY("3f", MCUGEN_MATMUL_S16_UNROLL2, "64", "r8", "24")
        /* Where the stores begin; 24 bytes of saturation and a branch for each kind before the last. */
        "adr.w r2, 7f\n\t"
        "adr.w r3, 8f\n\t"
        "cmp r10, #1\n\t"
        "blt.n 6f\n\t"
        "adr.w r2, 9f\n\t"
        "adr.w r3, 10f\n\t"
        "beq.n 6f\n\t"
        "adr.w r2, 11f\n\t"
        "adr.w r3, 12f\n"
        "6:\n\t"
        "orr r2, r2, #1\n\t"
        "orr r3, r3, #1\n\t"
        "str r2, [sp, #48]\n\t"
        "str r3, [sp, #52]\n\t"
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_S16_UNROLL3) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.w r2, [r0], #12\n\t"
        "ldr.n r5, [r1, #4]\n\t"
        "ldr.n r6, [r1, #12]\n\t"
        "sxtb16 lr, r2\n\t"
        "smlad r7, lr, r5, r7\n\t"
        "smlad r10, lr, r6, r10\n\t"
        "sxtb16 lr, r3\n\t"
        "smlad r8, lr, r5, r8\n\t"
        "smlad r11, lr, r6, r11\n\t"
        "sxtb16 lr, r4\n\t"
        "smlad r9, lr, r5, r9\n\t"
        "smlad r12, lr, r6, r12\n\t"
        "sxtb16 r2, r2, ror #8\n\t"
        "sxtb16 r3, r3, ror #8\n\t"
        "sxtb16 r4, r4, ror #8\n\t"
        "ldr.n r6, [r1, #8]\n\t"
        "ldr.w r5, [r1], #16\n\t"
        "smlad r7, r2, r5, r7\n\t"
        "smlad r8, r3, r5, r8\n\t"
        "smlad r9, r4, r5, r9\n\t"
        "smlad r10, r2, r6, r10\n\t"
        "smlad r11, r3, r6, r11\n\t"
        "smlad r12, r4, r6, r12\n\t"
        ".endr\n\t"
        "ldr lr, [sp, #44]\n\t"
        "cmp r1, lr\n\t"
        "bne.w 1b\n\t"
        MCUGEN_ASM_MULTIPLIERS3
        "ldr lr, [sp, #48]\n\t"
        MCUGEN_ASM_SCALE3
        "bx lr\n\t"
        ".balign 4\n"
        "11:\n\t"
        MCUGEN_ASM_SATURATE3("usat", "15")
        "b.n 13f\n\t"
        ".balign 4\n"
        "9:\n\t"
        MCUGEN_ASM_SATURATE3("ssat", "16")
        "13:\n\t"
        MCUGEN_ASM_STORE3("strh", "2")
        "b.n 2f\n\t"
        ".balign 4\n"
        "7:\n\t"
        MCUGEN_ASM_SATURATE3("ssat", "8")
        MCUGEN_ASM_STORE3("strb", "1")
        "2:\n\t"
        MCUGEN_ASM_NEXT3("4f")

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_S16_UNROLL2) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        "ldr.n r5, [r1, #4]\n\t"
        "ldr.n r6, [r1, #12]\n\t"
        "ldr.n r4, [r1, #8]\n\t"
        "ldr.w r9, [r1], #16\n\t"
        "sxtb16 r12, r2\n\t"
        "sxtb16 lr, r3\n\t"
        "smlad r7, r12, r5, r7\n\t"
        "smlad r8, lr, r5, r8\n\t"
        "smlad r10, r12, r6, r10\n\t"
        "smlad r11, lr, r6, r11\n\t"
        "sxtb16 r2, r2, ror #8\n\t"
        "sxtb16 r3, r3, ror #8\n\t"
        "smlad r7, r2, r9, r7\n\t"
        "smlad r8, r3, r9, r8\n\t"
        "smlad r10, r2, r4, r10\n\t"
        "smlad r11, r3, r4, r11\n\t"
        ".endr\n\t"
        "ldr lr, [sp, #44]\n\t"
        "cmp r1, lr\n\t"
        "bne.w 3b\n\t"
        MCUGEN_ASM_MULTIPLIERS2
        "ldr lr, [sp, #52]\n\t"
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
        MCUGEN_ASM_NEXT2("5f")
        "5:\n\t"
        "ldr r2, [sp, #4]\n\t"
        "ldr r3, [sp, #8]\n\t"
        "ldr r4, [sp, #40]\n\t"
        "ldr r5, [sp, #32]\n\t"
        "ldr r0, [sp, #36]\n\t"
        "ldr r6, [sp, #44]\n\t"
        "add r2, r2, r3\n\t"
        "add r1, r1, r4\n\t"
        "add r6, r6, r4\n\t"
        "str r2, [sp, #4]\n\t"
        "str r1, [sp, #12]\n\t"
        "str r6, [sp, #44]\n\t"
        "subs r5, r5, #1\n\t"
        "str r5, [sp, #32]\n\t"
        "bne.w 2b\n\t"
        "add sp, sp, #60\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE const uint32_t *mcugen_matmul_block_s16_dsp(const struct mcugen_matmul_s16_dsp *m,
                                                                 const uint32_t *w, int32_t rows,
                                                                 const uint32_t *column, int8_t *out)
{
    const int32_t size = m->store == MCUGEN_STORE_S8 ? 1 : 2;
    int32_t acc[2][3];
    for (int32_t r = 0; r < rows; ++r) {
        acc[0][r] = acc[1][r] = (int32_t)w[r];
    }
    w += rows;
    for (int32_t i = 0; i < m->steps; ++i) {
        for (int32_t r = 0; r < rows; ++r) {
            const uint32_t first = mcugen_sxtb16_ror8(w[r]);
            const uint32_t second = mcugen_sxtb16(w[r]);
            acc[0][r] = mcugen_smlad(first, column[0], mcugen_smlad(second, column[1], acc[0][r]));
            acc[1][r] = mcugen_smlad(first, column[2], mcugen_smlad(second, column[3], acc[1][r]));
        }
        w += rows;
        column += 4;
    }
    for (int32_t r = 0; r < rows; ++r) {
        int8_t *to = out + (ptrdiff_t)r * size;
        mcugen_put(to + m->out_stride, 0,
                   mcugen_saturate_stored(mcugen_smmlar(acc[1][r], (int32_t)w[r], m->zero_point), m->store), size);
        mcugen_put(to, 0, mcugen_saturate_stored(mcugen_smmlar(acc[0][r], (int32_t)w[r], m->zero_point), m->store), size);
    }
    return w + rows;
}

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matmul_s16_dsp(const struct mcugen_matmul_s16_dsp *m)
{
    const int32_t size = m->store == MCUGEN_STORE_S8 ? 1 : 2;
    const uint32_t *column = m->column;
    int8_t *out = m->out;
    for (int32_t pair = 0; pair < m->pairs; ++pair) {
        const uint32_t *w = m->weights;
        while (w != m->weights_end3) {
            w = mcugen_matmul_block_s16_dsp(m, w, 3, column, out);
            out += 3 * size;
        }
        while (w != m->weights_end) {
            w = mcugen_matmul_block_s16_dsp(m, w, 2, column, out);
            out += 2 * size;
        }
        out += m->out_stride;
        column += 4 * m->steps;
    }
}

#endif

#endif /* MCUGEN_MATMUL_S16_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP kernels for weights of 4 bits that see one column: 4 (or 1) output channels at a time.
 *
 * Arithmetic.  A byte b holds two weights, h in [-8, 7] and l: b = 16 * h + u, u = l + 8.  A word W holds those of 8 inputs:
 * SXTB16(W) is {b0, b2}, rotated by 8 bits {b1, b3}; AND with 0x000f000f leaves the two u.  With X = {x0, x2} and Y = {x1, x3}
 * SMLAD({b0, b2}, 8 * X) adds 128 * (h0 * x0 + h2 * x2) + 8 * (u0 * x0 + u2 * x2), and SMLAD({u0, u2}, 128 * Y - 8 * X) adds
 * 128 * (u0 * x1 + u2 * x3) and takes the rest away: 128 * sum(w * x) in 8 instructions for 8 inputs, but for 8 * 128 times the
 * sum of the inputs that meet a u.  That sum is the same for all channels; the column has it.
 * Sums wrap modulo 2^32; only the last, 128 * (bias + sum(w * x)), has to fit, which is |accumulator| < 2^24, proved when the
 * layer is compiled.  Multipliers are divided by 128 for it.
 *
 * Weight stream, first all blocks of 4 channels, then those of 1 (n = 4 or 1):
 *   int32 initial[n]; then for every 8 inputs: uint32 W[n]; then int32 multiplier[n]
 * Column, for every 8 inputs: uint32 {8 X, 128 Y - 8 X} of the first four and of the last four.
 */
#ifndef MCUGEN_MATVEC_INT4_S8_DSP_H
#define MCUGEN_MATVEC_INT4_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "mcugen.h"
#include "simd.h"

struct mcugen_matvec_int4_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end4; /* behind the last block of 4 channels */
    const uint32_t *weights_end;  /* behind the last block of 1 channel */
    const uint32_t *column;       /* 4 * steps words */
    const uint32_t *column_end;
    int8_t *out;                  /* one value a channel */
    int32_t correction;           /* 1024 times the sum of every other input */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* acc += 128 * sum(w * x) for one half of the weight word: `bytes` its two bytes, r6 and r7 the column's words */
#define MCUGEN_INT4_HALF(bytes, acc)                                                                                   \
    "smlad " acc ", " bytes ", r6, " acc "\n\t"                                                                        \
    "and.w " bytes ", " bytes ", #0x000f000f\n\t"                                                                      \
    "smlad " acc ", " bytes ", r7, " acc "\n\t"
#define MCUGEN_INT4_FIRST(word, acc) "sxtb16 r12, " word "\n\t" MCUGEN_INT4_HALF("r12", acc)
#define MCUGEN_INT4_LAST(word, acc) "sxtb16 " word ", " word ", ror #8\n\t" MCUGEN_INT4_HALF(word, acc)

/* r0 weights, r1 column, r2-r5 weight words, r6 r7 words of the column, r8-r11 accumulators, r12 bytes of a weight word, lr
 * end of the column.  Stack: 0 column, 4 zero point, 8 the last 4-channel block's end, 12 the last block's end, 16 out, 20
 * correction, 24 entry of the 4-channel loop: two steps of 150 bytes, an odd number of them enters at the second. */
MCUGEN_SHARED void mcugen_matvec_int4_s8_dsp(const struct mcugen_matvec_int4_s8_dsp *m)
{
    register const struct mcugen_matvec_int4_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #28\n\t"
        "ldm r0, {r1-r8}\n\t" /* weights, end4, end, column, column end, out, correction, zero point */
        "str r4, [sp, #0]\n\t"
        "str r8, [sp, #4]\n\t"
        "str r2, [sp, #8]\n\t"
        "str r3, [sp, #12]\n\t"
        "str r6, [sp, #16]\n\t"
        "str r7, [sp, #20]\n\t"
        "mov r0, r1\n\t"
        "mov lr, r5\n\t"
        "sub r2, r5, r4\n\t"
        "ubfx r2, r2, #4, #1\n\t"
        "mov r3, #150\n\t"
        "adr.w r4, 1f\n\t"
        "mla r2, r2, r3, r4\n\t"
        "orr r2, r2, #1\n\t"
        "str r2, [sp, #24]\n\t"
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept 2\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_FIRST("r2", "r8")
        MCUGEN_INT4_FIRST("r3", "r9")
        MCUGEN_INT4_FIRST("r4", "r10")
        MCUGEN_INT4_FIRST("r5", "r11")
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_LAST("r2", "r8")
        MCUGEN_INT4_LAST("r3", "r9")
        MCUGEN_INT4_LAST("r4", "r10")
        MCUGEN_INT4_LAST("r5", "r11")
        ".endr\n\t"
        "cmp r1, lr\n\t"
        "bne.w 1b\n\t"
        "ldr r6, [sp, #4]\n\t"
        "ldr r7, [sp, #16]\n\t"
        "ldm r0!, {r2-r5}\n\t"
        MCUGEN_ASM_REQUANTIZE4("r7")
        "str r7, [sp, #16]\n"
        "2:\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r6, [sp, #8]\n\t"
        "ldr r7, [sp, #20]\n\t"
        "cmp r0, r6\n\t"
        "beq.n 4f\n\t"
        "ldr r6, [sp, #24]\n\t"
        "ldm r0!, {r8-r11}\n\t"
        "sub r8, r8, r7\n\t"
        "sub r9, r9, r7\n\t"
        "sub r10, r10, r7\n\t"
        "sub r11, r11, r7\n\t"
        "bx r6\n"

        "3:\n\t"
        "ldr.w r2, [r0], #4\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_FIRST("r2", "r8")
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_LAST("r2", "r8")
        "cmp r1, lr\n\t"
        "bne.n 3b\n\t"
        "ldr.w r2, [r0], #4\n\t"
        "ldr r6, [sp, #4]\n\t"
        "ldr r7, [sp, #16]\n\t"
        "smmlar r8, r8, r2, r6\n\t"
        "ssat r8, #8, r8\n\t"
        "strb r8, [r7], #1\n\t"
        "str r7, [sp, #16]\n"
        "4:\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r6, [sp, #12]\n\t"
        "ldr r7, [sp, #20]\n\t"
        "cmp r0, r6\n\t"
        "beq.n 5f\n\t"
        "ldr.w r8, [r0], #4\n\t"
        "sub r8, r8, r7\n\t"
        "b.n 3b\n"
        "5:\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* acc + 128 * sum(w * x) for the 4 inputs of one half of a weight word, given the two bytes of each */
static MCUGEN_INLINE int32_t mcugen_int4_half(uint32_t bytes, uint32_t first, uint32_t second, int32_t acc)
{
    return mcugen_smlad(bytes & 0x000f000fu, second, mcugen_smlad(bytes, first, acc));
}

/* One block of `rows` channels; returns what follows it. */
static MCUGEN_INLINE const uint32_t *mcugen_matvec_block_int4_s8_dsp(const struct mcugen_matvec_int4_s8_dsp *m,
                                                                     const uint32_t *w, int32_t rows, int8_t *out)
{
    int32_t acc[4];
    for (int32_t r = 0; r < rows; ++r) {
        acc[r] = (int32_t)(*w++ - (uint32_t)m->correction);
    }
    for (const uint32_t *x = m->column; x != m->column_end; x += 4) {
        for (int32_t r = 0; r < rows; ++r) {
            acc[r] = mcugen_int4_half(mcugen_sxtb16(*w), x[0], x[1], acc[r]);
            acc[r] = mcugen_int4_half(mcugen_sxtb16_ror8(*w++), x[2], x[3], acc[r]);
        }
    }
    for (int32_t r = 0; r < rows; ++r) {
        out[r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[r], (int32_t)*w++, m->zero_point));
    }
    return w;
}

/* The C twin of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_matvec_int4_s8_dsp(const struct mcugen_matvec_int4_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    while (w != m->weights_end4) {
        w = mcugen_matvec_block_int4_s8_dsp(m, w, 4, out);
        out += 4;
    }
    while (w != m->weights_end) {
        w = mcugen_matvec_block_int4_s8_dsp(m, w, 1, out);
        out += 1;
    }
}

#endif

#endif /* MCUGEN_MATVEC_INT4_S8_DSP_H */

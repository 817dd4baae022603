/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer, int8, any weights and requantization, for cores with the DSP instructions: 4 (or 1) outputs at
 * a time, no scratch.  The faster choice for very few outputs, and the only one beyond the range of
 * fully_connected_s8_dsp.h. */
#ifndef MCUGEN_FULLY_CONNECTED_PLAIN_S8_DSP_H
#define MCUGEN_FULLY_CONNECTED_PLAIN_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "clamp_s8.h"
#include "fixed_point.h"
#include "mcugen.h"
#include "simd.h"

/* Groups of 4 inputs in one turn of the loops over 4 and over 1 channels; powers of two. 86 and 32 bytes of code
 * each. */
#ifndef MCUGEN_MATVEC_PLAIN_UNROLL4
#define MCUGEN_MATVEC_PLAIN_UNROLL4 4
#endif
#ifndef MCUGEN_MATVEC_PLAIN_UNROLL1
#define MCUGEN_MATVEC_PLAIN_UNROLL1 4
#endif

/* in [in_c], out [out_c]; up to 3 bytes behind the input are read where in_c is no multiple of 4.
 * Weights: out_c / 4 blocks of 4 channels, then out_c % 4 of 1:
 *   int32 initial[n]; then for every 4 inputs: uint32 W[n], four int8 each; then int32 shift[n], multiplier[n] */
struct mcugen_fully_connected_plain_s8_dsp {
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

struct mcugen_matvec_plain_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end4; /* behind the last block of 4 channels */
    const uint32_t *weights_end;  /* behind the last block of 1 channel; at least one block in all */
    const int8_t *in;             /* 4 * steps bytes */
    int8_t *out;                  /* one value a channel */
    int32_t steps;                /* groups of 4 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 inputs, r2-r5 weight words, r6 input word, r7 its bytes 1 and 3, lr those of a weight word, r8-r11
 * accumulators, r12 end of the inputs.
 * Stack: 0 inputs, 4 zero point, 8 entry of the 4-channel loop, 12 its last block's end, 16 entry of the 1-channel
 * loop, 20 its last block's end, 24 out. */
MCUGEN_SHARED void mcugen_matvec_plain_s8_dsp(const struct mcugen_matvec_plain_s8_dsp *m)
{
    register const struct mcugen_matvec_plain_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #28\n\t"
        "ldm r0, {r1-r7}\n\t" /* weights, end4, end, in, out, steps, zero point */
        "str r4, [sp, #0]\n\t"
        "str r7, [sp, #4]\n\t"
        "str r2, [sp, #12]\n\t"
        "str r3, [sp, #20]\n\t"
        "str r5, [sp, #24]\n\t"
        "mov r0, r1\n\t"
        "add r12, r4, r6, lsl #2\n\t"
        /* The loops are entered in their middle, so that the steps need not be a multiple of the unrolling. */
        "rsb r6, r6, #0\n\t"
        MCUGEN_ASM_ENTRY("1f", MCUGEN_MATVEC_PLAIN_UNROLL4, "86", "r6", "8")
        "and r2, r6, #(" MCUGEN_TEXT(MCUGEN_MATVEC_PLAIN_UNROLL1) " - 1)\n\t"
        "adr.w r4, 3f\n\t"
        "add r2, r4, r2, lsl #5\n\t"
        "orr r2, r2, #1\n\t"
        "str r2, [sp, #16]\n\t"
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATVEC_PLAIN_UNROLL4) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr.w r6, [r1], #4\n\t"
        "sxtb16 r7, r6, ror #8\n\t"
        "sxtb16 r6, r6\n\t"
        "sxtb16 lr, r2, ror #8\n\t"
        "sxtb16 r2, r2\n\t"
        "smlad r8, lr, r7, r8\n\t"
        "smlad r8, r2, r6, r8\n\t"
        "sxtb16 lr, r3, ror #8\n\t"
        "sxtb16 r3, r3\n\t"
        "smlad r9, lr, r7, r9\n\t"
        "smlad r9, r3, r6, r9\n\t"
        "sxtb16 lr, r4, ror #8\n\t"
        "sxtb16 r4, r4\n\t"
        "smlad r10, lr, r7, r10\n\t"
        "smlad r10, r4, r6, r10\n\t"
        "sxtb16 lr, r5, ror #8\n\t"
        "sxtb16 r5, r5\n\t"
        "smlad r11, lr, r7, r11\n\t"
        "smlad r11, r5, r6, r11\n\t"
        ".endr\n\t"
        "cmp r1, r12\n\t"
        "bne.w 1b\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "lsl r8, r8, r2\n\t"
        "lsl r9, r9, r3\n\t"
        "lsl r10, r10, r4\n\t"
        "lsl r11, r11, r5\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr r6, [sp, #4]\n\t"
        "ldr r7, [sp, #24]\n\t"
        MCUGEN_ASM_REQUANTIZE4("r7")
        "str r7, [sp, #24]\n"
        "2:\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r6, [sp, #12]\n\t"
        "cmp r0, r6\n\t"
        "beq.n 4f\n\t"
        "ldr r7, [sp, #8]\n\t"
        "ldr.w r9, [r0, #4]\n\t"
        "ldr.w r10, [r0, #8]\n\t"
        "ldr.w r11, [r0, #12]\n\t"
        "ldr.w r8, [r0], #16\n\t"
        "bx r7\n\t"

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATVEC_PLAIN_UNROLL1) "\n\t"
        "ldr.w r2, [r0], #4\n\t"
        "ldr.w r6, [r1], #4\n\t"
        "sxtb16 r7, r6, ror #8\n\t"
        "sxtb16 r6, r6\n\t"
        "sxtb16 lr, r2, ror #8\n\t"
        "sxtb16 r2, r2\n\t"
        "smlad r8, lr, r7, r8\n\t"
        "smlad r8, r2, r6, r8\n\t"
        ".endr\n\t"
        "cmp r1, r12\n\t"
        "bne.n 3b\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        "ldr r6, [sp, #4]\n\t"
        "ldr r7, [sp, #24]\n\t"
        "lsl r8, r8, r2\n\t"
        "smmlar r8, r8, r3, r6\n\t"
        "ssat r8, #8, r8\n\t"
        "strb r8, [r7], #1\n\t"
        "str r7, [sp, #24]\n"
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

static MCUGEN_INLINE const uint32_t *mcugen_matvec_plain_block(const struct mcugen_matvec_plain_s8_dsp *m,
                                                               const uint32_t *w, int32_t rows, int8_t *out)
{
    int32_t acc[4];
    for (int32_t r = 0; r < rows; ++r) {
        acc[r] = (int32_t)w[r];
    }
    w += rows;
    for (int32_t i = 0; i < 4 * m->steps; i += 4) {
        const uint32_t x = mcugen_load32(m->in + i);
        for (int32_t r = 0; r < rows; ++r) {
            acc[r] = mcugen_smlad(mcugen_sxtb16_ror8(w[r]), mcugen_sxtb16_ror8(x), acc[r]);
            acc[r] = mcugen_smlad(mcugen_sxtb16(w[r]), mcugen_sxtb16(x), acc[r]);
        }
        w += rows;
    }
    for (int32_t r = 0; r < rows; ++r) {
        out[r] = mcugen_requantize_s8(acc[r], (int32_t)w[rows + r], (int32_t)w[r], m->zero_point, -128, 127);
    }
    return w + 2 * rows;
}

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matvec_plain_s8_dsp(const struct mcugen_matvec_plain_s8_dsp *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    while (w != m->weights_end4) {
        w = mcugen_matvec_plain_block(m, w, 4, out);
        out += 4;
    }
    while (w != m->weights_end) {
        w = mcugen_matvec_plain_block(m, w, 1, out);
        out += 1;
    }
}

#endif

static MCUGEN_INLINE void mcugen_fully_connected_plain_s8_dsp(const struct mcugen_fully_connected_plain_s8_dsp *p,
                                                              const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_c + 3) >> 2;
    const struct mcugen_matvec_plain_s8_dsp m = {
        .weights = p->weights,
        .weights_end4 = p->weights + (p->out_c & ~3) * (steps + 3),
        .weights_end = p->weights + p->out_c * (steps + 3),
        .in = in,
        .out = out,
        .steps = steps,
        .zero_point = p->out_zero_point,
    };
    (void)scratch;
    mcugen_matvec_plain_s8_dsp(&m);
    mcugen_clamp_s8(out, p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_FULLY_CONNECTED_PLAIN_S8_DSP_H */

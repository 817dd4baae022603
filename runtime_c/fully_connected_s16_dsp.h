/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer with int8 weights over one vector that reads or writes int16, for cores with the DSP instructions:
 * 4 channels at a time. */
#ifndef MCUGEN_FULLY_CONNECTED_S16_DSP_H
#define MCUGEN_FULLY_CONNECTED_S16_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "clamp_s16.h"

/* Groups of 4 inputs in one turn of the loop; a power of two. 80 bytes of code each. */
#ifndef MCUGEN_MATVEC_S16_UNROLL
#define MCUGEN_MATVEC_S16_UNROLL 4
#endif

#if MCUGEN_HAVE_DSP

/* Four sums of products into acc, which holds their initial values: for every 4 inputs at `in` four words W of
 * matmul_s16_dsp.h.  steps at least 1; returns the word behind the weights.
 * r0 weights, r1 in, r2-r5 weight words, r6 r7 inputs, r8-r11 accumulators, r12 lr unpacked weights. Stack: 0 end, 4 acc. */
MCUGEN_SHARED const uint32_t *mcugen_matvec_s16_dsp(const uint32_t *weights, const int8_t *in, int32_t *acc, int32_t steps)
{
    register const uint32_t *r0 __asm__("r0") = weights;
    register const int8_t *r1 __asm__("r1") = in;
    register int32_t *r2 __asm__("r2") = acc;
    register int32_t r3 __asm__("r3") = steps;
    __asm__ volatile(
        "push {r2, r4-r11, lr}\n\t"
        "sub sp, sp, #8\n\t"
        "str r2, [sp, #4]\n\t"
        "ldm r2, {r8-r11}\n\t"
        "add r4, r1, r3, lsl #3\n\t"
        "str r4, [sp, #0]\n\t"
        "rsb r3, r3, #0\n\t"
        "and r3, r3, #(" MCUGEN_TEXT(MCUGEN_MATVEC_S16_UNROLL) " - 1)\n\t"
        "mov r4, #80\n\t"
        "adr.w r5, 1f\n\t"
        "mla r3, r3, r4, r5\n\t"
        "orr r3, r3, #1\n\t"
        "bx r3\n\t"
        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATVEC_S16_UNROLL) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        "sxtb16 r12, r2\n\t"
        "sxtb16 lr, r3\n\t"
        "smlad r8, r12, r7, r8\n\t"
        "smlad r9, lr, r7, r9\n\t"
        "sxtb16 r12, r4\n\t"
        "sxtb16 lr, r5\n\t"
        "smlad r10, r12, r7, r10\n\t"
        "smlad r11, lr, r7, r11\n\t"
        "sxtb16 r2, r2, ror #8\n\t"
        "sxtb16 r3, r3, ror #8\n\t"
        "sxtb16 r4, r4, ror #8\n\t"
        "sxtb16 r5, r5, ror #8\n\t"
        "smlad r8, r2, r6, r8\n\t"
        "smlad r9, r3, r6, r9\n\t"
        "smlad r10, r4, r6, r10\n\t"
        "smlad r11, r5, r6, r11\n\t"
        ".endr\n\t"
        "ldr r12, [sp, #0]\n\t"
        "cmp r1, r12\n\t"
        "bne.w 1b\n\t"
        "ldr r2, [sp, #4]\n\t"
        "stm r2, {r8-r11}\n\t"
        "add sp, sp, #8\n\t"
        "pop {r2, r4-r11, lr}\n\t"
        : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
        :
        : "r12", "cc", "memory");
    return r0;
}

#else

/* The C twin of the assembly. */
MCUGEN_SHARED const uint32_t *mcugen_matvec_s16_dsp(const uint32_t *weights, const int8_t *in, int32_t *acc, int32_t steps)
{
    for (; steps > 0; --steps) {
        const uint32_t first = mcugen_load32(in);
        const uint32_t second = mcugen_load32(in + 4);
        in += 8;
        for (int32_t r = 0; r < 4; ++r) {
            acc[r] = mcugen_smlad(mcugen_sxtb16(weights[r]), second, acc[r]);
            acc[r] = mcugen_smlad(mcugen_sxtb16_ror8(weights[r]), first, acc[r]);
        }
        weights += 4;
    }
    return weights;
}

#endif

/* in [in_c], out [out_c].  Weights, for every 4 channels (the last ones filled up): int32 initial[4]; for every 4 inputs (filled
 * up with zeros) W[4] as in matmul_s16_dsp.h; int32 multiplier[4]; of int8 the inputs 1 and 2 of a group change places.
 * int8 inputs count 2^in_shift times.  Scratch: of int8 inputs 2 bytes for each, in groups of four.  Up to 6 bytes behind int16
 * and 3 behind int8 inputs are read. */
struct mcugen_fully_connected_s16_dsp {
    int32_t in_bytes, store;
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    int32_t in_shift;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_fully_connected_s16_dsp(const struct mcugen_fully_connected_s16_dsp *p, const int8_t *in,
                                                         int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_c + 3) >> 2;
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const uint32_t *w = p->weights;
    const int8_t *from = in;
    if (p->in_bytes == 1) {
        uint32_t *wide = (uint32_t *)scratch;
        for (int32_t i = 0; i < steps; ++i) {
            const uint32_t a = mcugen_load32(in + 4 * i);
            wide[2 * i] = mcugen_shift_pair(mcugen_sxtb16(a), p->in_shift);
            wide[2 * i + 1] = mcugen_shift_pair(mcugen_sxtb16_ror8(a), p->in_shift);
        }
        from = (const int8_t *)scratch;
    }
    for (int32_t oc = 0; oc < p->out_c; oc += 4) {
        int32_t acc[4] = {(int32_t)w[0], (int32_t)w[1], (int32_t)w[2], (int32_t)w[3]};
        w = mcugen_matvec_s16_dsp(w + 4, from, acc, steps);
        for (int32_t r = 0; r < 4; ++r) {
            const int32_t value = mcugen_smmlar(acc[r], (int32_t)w[r], p->out_zero_point);
            if (oc + r < p->out_c) {
                mcugen_put(out, oc + r, mcugen_saturate_stored(value, p->store), bytes);
            }
        }
        w += 4;
    }
    mcugen_clamp_stored(out, p->out_c, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_FULLY_CONNECTED_S16_DSP_H */

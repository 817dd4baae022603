/* SPDX-License-Identifier: Apache-2.0 */
/* Fully connected layer with weights of 4 bits over one vector that reads or writes int16, for cores with the DSP instructions:
 * 4 channels at a time. */
#ifndef MCUGEN_FULLY_CONNECTED_INT4_S16_DSP_H
#define MCUGEN_FULLY_CONNECTED_INT4_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "clamp_s16.h"
#include "codes_s16_dsp.h"

/* Groups of 8 inputs in one turn of the loop; a power of two.  150 bytes of code each. */
#ifndef MCUGEN_MATVEC_INT4_S16_UNROLL
#define MCUGEN_MATVEC_INT4_S16_UNROLL 2
#endif

#if MCUGEN_HAVE_DSP

#define MCUGEN_INT4_S16_FOUR(shift, inputs)                                                                            \
    "and.w r12, lr, r2" shift "\n\t"                                                                                   \
    "smlad r8, r12, " inputs ", r8\n\t"                                                                                \
    "and.w r12, lr, r3" shift "\n\t"                                                                                   \
    "smlad r9, r12, " inputs ", r9\n\t"                                                                                \
    "and.w r12, lr, r4" shift "\n\t"                                                                                   \
    "smlad r10, r12, " inputs ", r10\n\t"                                                                              \
    "and.w r12, lr, r5" shift "\n\t"                                                                                   \
    "smlad r11, r12, " inputs ", r11\n\t"

/* Four sums of products into acc, which holds their initial values: for every 8 inputs at `in` four words W of
 * matmul_int4_s16_dsp.h.  steps at least 1; returns the word behind the weights.
 * r0 weights, r1 in, r2-r5 weight words, r6 r7 inputs, r8-r11 accumulators, r12 weights, lr mask. Stack: 0 end, 4 acc. */
MCUGEN_SHARED const uint32_t *mcugen_matvec_int4_s16_dsp(const uint32_t *weights, const int8_t *in, int32_t *acc,
                                                         int32_t steps)
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
        "add r4, r1, r3, lsl #4\n\t"
        "str r4, [sp, #0]\n\t"
        "mov.w lr, #0x000f000f\n\t"
        "rsb r3, r3, #0\n\t"
        "and r3, r3, #(" MCUGEN_TEXT(MCUGEN_MATVEC_INT4_S16_UNROLL) " - 1)\n\t"
        "mov r4, #150\n\t"
        "adr.w r5, 1f\n\t"
        "mla r3, r3, r4, r5\n\t"
        "orr r3, r3, #1\n\t"
        "bx r3\n\t"
        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATVEC_INT4_S16_UNROLL) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.n r5, [r0, #12]\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_S16_FOUR("", "r6")
        MCUGEN_INT4_S16_FOUR(", lsr #4", "r7")
        "ldr.n r7, [r1, #4]\n\t"
        "ldr.w r6, [r1], #8\n\t"
        MCUGEN_INT4_S16_FOUR(", lsr #8", "r6")
        MCUGEN_INT4_S16_FOUR(", lsr #12", "r7")
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
MCUGEN_SHARED const uint32_t *mcugen_matvec_int4_s16_dsp(const uint32_t *weights, const int8_t *in, int32_t *acc,
                                                         int32_t steps)
{
    for (; steps > 0; --steps) {
        for (int32_t k = 0; k < 4; ++k) {
            const uint32_t inputs = mcugen_load32(in);
            for (int32_t r = 0; r < 4; ++r) {
                acc[r] = mcugen_smlad((weights[r] >> (4 * k)) & 0x000f000fu, inputs, acc[r]);
            }
            in += 4;
        }
        weights += 4;
    }
    return weights;
}

#endif

/* in [in_c], out [out_c].  Weights, for every 4 channels (the last ones filled up): int32 initial[4]; for every 8 inputs (filled up
 * with zeros) W[4] as in matmul_int4_s16_dsp.h; int32 multiplier[4].  shift may be null: all zero.
 * Scratch: 16 * ceil(in_c / 8) bytes where inputs are int8 or in_c is no multiple of 8. */
struct mcugen_fully_connected_int4_s16_dsp {
    int32_t in_bytes, store;
    int32_t in_c, out_c;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
    const uint8_t *shift;
};

/* The sum of `words` pairs of int16. */
static MCUGEN_INLINE int32_t mcugen_sum_s16_dsp(const int8_t *in, int32_t words)
{
    int32_t sum = 0;
    for (; words > 0; words -= 4, in += 16) {
        sum = mcugen_smlad(mcugen_load32(in), 0x00010001u, mcugen_smlad(mcugen_load32(in + 4), 0x00010001u, sum));
        sum = mcugen_smlad(mcugen_load32(in + 8), 0x00010001u, mcugen_smlad(mcugen_load32(in + 12), 0x00010001u, sum));
    }
    return sum;
}

static MCUGEN_INLINE void mcugen_fully_connected_int4_s16_dsp(const struct mcugen_fully_connected_int4_s16_dsp *p,
                                                              const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t steps = (p->in_c + 7) >> 3;
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const bool in_place = p->in_bytes == 2 && (p->in_c & 7) == 0;
    const int8_t *from = in_place ? in : (const int8_t *)scratch;
    const int32_t sum = in_place ? mcugen_sum_s16_dsp(in, 4 * steps)
                                 : mcugen_vector_column_s16_dsp(in, p->in_c, p->in_bytes, (uint32_t *)scratch, steps, 0);
    const uint32_t offset = 8u * (uint32_t)sum;
    const uint32_t *w = p->weights;
    for (int32_t oc = 0; oc < p->out_c; oc += 4) {
        int32_t acc[4] = {(int32_t)(w[0] - offset), (int32_t)(w[1] - offset), (int32_t)(w[2] - offset),
                          (int32_t)(w[3] - offset)};
        w = mcugen_matvec_int4_s16_dsp(w + 4, from, acc, steps);
        for (int32_t r = 0; r < 4; ++r) {
            if (oc + r < p->out_c) {
                const int32_t shift = p->shift ? p->shift[oc + r] : 0;
                const int32_t value = mcugen_requantize(acc[r], (int32_t)w[r], shift, p->out_zero_point);
                mcugen_put(out, oc + r, mcugen_saturate_stored(value, p->store), bytes);
            }
        }
        w += 4;
    }
    mcugen_clamp_stored(out, p->out_c, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_FULLY_CONNECTED_INT4_S16_DSP_H */

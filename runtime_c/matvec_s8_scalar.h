/* SPDX-License-Identifier: Apache-2.0 */
/* Products of one column and a matrix, 2 channels at a time; the arithmetic is that of matmul_s8_scalar.h.
 *
 * Weight stream, for every 2 channels: int32 bias[2]; for every 4 inputs uint32 W[2]; uint32 m[2]; an odd last channel
 * is followed by one without weights.
 * Column, for every 4 inputs: {x0 + 2^16 * x2, x1 + 2^16 * x3}.
 */
#ifndef MCUGEN_MATVEC_S8_SCALAR_H
#define MCUGEN_MATVEC_S8_SCALAR_H

#include <stdint.h>

#include "matmul_s8_scalar.h"

struct mcugen_matvec_s8_scalar {
    const uint32_t *weights;
    const uint32_t *column; /* 2 * steps words */
    int32_t steps;          /* groups of 4 inputs, at least 1 */
    int8_t *out;
    int8_t *out_end; /* behind the last channel */
    int32_t unused;
    int32_t rounding; /* mcugen_scalar_rounding */
};

#if MCUGEN_USE_THUMB

/* r0 column, r1 weights, r2 r3 activations, r4 W, r5 operand, r6 r7 accumulators of the two channels; r8 r9 constants,
 * r10 end of the column, r11 where the loop is entered, r12 rounding, lr out.  Stack: 0 column, 4 end of out.
 * One turn over 4 inputs takes 31 cycles on Armv6-M. */
MCUGEN_SHARED void mcugen_matvec_s8_scalar(const struct mcugen_matvec_s8_scalar *m)
{
    register const struct mcugen_matvec_s8_scalar *p __asm__("r0") = m;
    __asm__ volatile(
        MCUGEN_SCALAR_SAVE
        MCUGEN_SCALAR_CONSTANTS
        "ldmia.n r0!, {r1-r7}\n\t"
        "mov lr, r4\n\t"
        "mov r12, r7\n\t"
        "str r2, [sp, #0]\n\t"
        "str r5, [sp, #4]\n\t"
        "lsls r0, r3, #3\n\t"
        "adds r0, r0, r2\n\t"
        "mov r10, r0\n\t"
        /* The loop is entered in its middle where the steps are no multiple of 4: 54 bytes a step. */
        "rsbs r3, r3, #0\n\t"
        "movs r4, #3\n\t"
        "ands r3, r4\n\t"
        "movs r4, #54\n\t"
        "muls r3, r4, r3\n\t"
        "adr r4, 2f\n\t"
        "adds r3, r3, r4\n\t"
        "adds r3, r3, #1\n\t"
        "mov r11, r3\n"
        "1:\n\t"
        "ldmia.n r1!, {r6, r7}\n\t"
        "ldr r0, [sp, #0]\n\t"
        "bx r11\n\t"
        ".balign 4\n"
        "2:\n\t"
        ".rept 4\n\t"
        "ldmia.n r0!, {r2, r3}\n\t"
        "ldmia.n r1!, {r4}\n\t"
        MCUGEN_SCALAR_UNPACK
        MCUGEN_SCALAR_ADD("r6", "r5", "r2")
        MCUGEN_SCALAR_ADD("r6", "r4", "r3")
        "ldmia.n r1!, {r4}\n\t"
        MCUGEN_SCALAR_UNPACK
        MCUGEN_SCALAR_ADD("r7", "r5", "r2")
        MCUGEN_SCALAR_ADD("r7", "r4", "r3")
        ".endr\n\t"
        "cmp r0, r10\n\t"
        "bne 2b\n\t"
        "ldmia.n r1!, {r4}\n\t"
        "lsrs r5, r4, #8\n\t"
        MCUGEN_SCALAR_REQUANTIZE("r6", "5f", "3")
        "ldmia.n r1!, {r4}\n\t"
        "lsrs r5, r4, #8\n\t"
        MCUGEN_SCALAR_REQUANTIZE("r7", "6f", "4")
        "subs r6, r6, #128\n\t"
        "subs r7, r7, #128\n\t"
        "mov r0, lr\n\t"
        "ldr r2, [sp, #4]\n\t"
        "strb r6, [r0]\n\t"
        "adds r0, r0, #1\n\t"
        "cmp r0, r2\n\t"
        "beq 7f\n\t"
        "strb r7, [r0]\n\t"
        "adds r0, r0, #1\n\t"
        "mov lr, r0\n\t"
        "cmp r0, r2\n\t"
        "beq 7f\n\t"
        "b 1b\n"
        MCUGEN_SCALAR_SATURATE("r6", "5", "3b")
        MCUGEN_SCALAR_SATURATE("r7", "6", "4b")
        "7:\n\t"
        MCUGEN_SCALAR_RESTORE
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly. */
MCUGEN_SHARED void mcugen_matvec_s8_scalar(const struct mcugen_matvec_s8_scalar *m)
{
    const uint32_t *w = m->weights;
    const uint32_t *end = m->column + 2 * m->steps;
    for (int8_t *out = m->out; out != m->out_end;) {
        int32_t a = (int32_t)*w++;
        int32_t b = (int32_t)*w++;
        for (const uint32_t *x = m->column; x != end; x += 2) {
            const struct mcugen_weights_scalar v = mcugen_unpack_scalar(*w++);
            const struct mcugen_weights_scalar u = mcugen_unpack_scalar(*w++);
            a += mcugen_upper_half(x[0] * v.even) + mcugen_upper_half(x[1] * v.odd);
            b += mcugen_upper_half(x[0] * u.even) + mcugen_upper_half(x[1] * u.odd);
        }
        *out++ = mcugen_requantize_scalar(a, w[0], m->rounding);
        if (out != m->out_end) {
            *out++ = mcugen_requantize_scalar(b, w[1], m->rounding);
        }
        w += 2;
    }
}

#endif

#endif /* MCUGEN_MATVEC_S8_SCALAR_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of 8 output channels with weights of 4 bits, for cores without packed arithmetic: two products a multiplication.
 *
 * A word holds the weights of 8 channels for one input x, each as u = w + 8 in [0, 15].  AND with 0x000f000f leaves two of them,
 * 16 bits apart, and one multiplication adds u0 * x to the lower and u4 * x to the upper half of a sum.  Sums of 16 products fit
 * 16 bits: |u * x| <= 15 * 128.  Then the halves are added to 32-bit sums.  8 times the sum of all inputs, which is the same for
 * all channels, is for the caller to take away.
 * The nibbles of a word, the lowest first, are those of channels 0, 1, 2, 3, 4, 5, 6, 7.
 */
#ifndef MCUGEN_INT4_S8_SCALAR_H
#define MCUGEN_INT4_S8_SCALAR_H

#include <stdint.h>

#include "matmul_s8_scalar.h"

/* Weights and input come out behind what was read. */
struct mcugen_int4_s8_scalar {
    const uint32_t *weights;
    const int8_t *in;
    int32_t count;  /* inputs, at least 1 */
    int32_t acc[8]; /* of channels 0, 4, 1, 5, 2, 6, 3, 7 */
};

#if MCUGEN_USE_THUMB

/* r6 = two weights of the word r3, times the input r4, added to `sum` */
#define MCUGEN_INT4_SCALAR_ADD(sum)                                                                                    \
    "ands r6, r5\n\t"                                                                                                  \
    "muls r6, r4, r6\n\t"                                                                                              \
    "add " sum ", r6\n\t"
#define MCUGEN_INT4_SCALAR_FLUSH(sum, low, high)                                                                       \
    "mov r6, " sum "\n\t"                                                                                              \
    "sxth r3, r6\n\t"                                                                                                  \
    "subs r6, r6, r3\n\t"                                                                                              \
    "asrs r6, r6, #16\n\t"                                                                                             \
    "ldr r4, [r2, #" low "]\n\t"                                                                                       \
    "adds r4, r4, r3\n\t"                                                                                              \
    "str r4, [r2, #" low "]\n\t"                                                                                       \
    "ldr r4, [r2, #" high "]\n\t"                                                                                      \
    "adds r4, r4, r6\n\t"                                                                                              \
    "str r4, [r2, #" high "]\n\t"

/* r0 weights, r1 end of these inputs, r2 the input's place before it, r3 weight word, r4 input, r5 mask, r6 weights, r8-r11 sums
 * of two channels each, r12 inputs left.  Stack: 0 the structure.  One input takes 23 cycles on Armv6-M. */
MCUGEN_SHARED void mcugen_int4_s8_scalar(struct mcugen_int4_s8_scalar *m)
{
    register struct mcugen_int4_s8_scalar *p __asm__("r0") = m;
    __asm__ volatile(
        MCUGEN_SCALAR_SAVE
        "str r0, [sp, #0]\n\t"
        "movs r5, #15\n\t"
        "lsls r6, r5, #16\n\t"
        "orrs r5, r6\n\t"
        "ldr r3, [r0, #8]\n\t"
        "mov r12, r3\n\t"
        "ldr r1, [r0, #4]\n\t"
        "ldr r0, [r0, #0]\n"
        "1:\n\t"
        "mov r3, r12\n\t"
        "movs r2, #16\n\t"
        "cmp r3, r2\n\t"
        "bge 2f\n\t"
        "mov r2, r3\n"
        "2:\n\t"
        "subs r3, r3, r2\n\t"
        "mov r12, r3\n\t"
        "adds r1, r1, r2\n\t"
        "rsbs r2, r2, #0\n\t"
        "movs r3, #0\n\t"
        "mov r8, r3\n\t"
        "mov r9, r3\n\t"
        "mov r10, r3\n\t"
        "mov r11, r3\n"
        "3:\n\t"
        "ldmia r0!, {r3}\n\t"
        "ldrsb r4, [r1, r2]\n\t"
        "mov r6, r3\n\t"
        MCUGEN_INT4_SCALAR_ADD("r8")
        "lsrs r6, r3, #4\n\t"
        MCUGEN_INT4_SCALAR_ADD("r9")
        "lsrs r6, r3, #8\n\t"
        MCUGEN_INT4_SCALAR_ADD("r10")
        "lsrs r6, r3, #12\n\t"
        MCUGEN_INT4_SCALAR_ADD("r11")
        "adds r2, r2, #1\n\t"
        "bne 3b\n\t"
        "ldr r2, [sp, #0]\n\t"
        "adds r2, r2, #12\n\t"
        MCUGEN_INT4_SCALAR_FLUSH("r8", "0", "4")
        MCUGEN_INT4_SCALAR_FLUSH("r9", "8", "12")
        MCUGEN_INT4_SCALAR_FLUSH("r10", "16", "20")
        MCUGEN_INT4_SCALAR_FLUSH("r11", "24", "28")
        "mov r3, r12\n\t"
        "cmp r3, #0\n\t"
        "bne 1b\n\t"
        "ldr r2, [sp, #0]\n\t"
        "str r0, [r2, #0]\n\t"
        "str r1, [r2, #4]\n\t"
        MCUGEN_SCALAR_RESTORE
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly. */
MCUGEN_SHARED void mcugen_int4_s8_scalar(struct mcugen_int4_s8_scalar *m)
{
    for (int32_t left = m->count; left > 0; left -= 16) {
        uint32_t sum[4] = {0, 0, 0, 0};
        for (int32_t i = 0; i < left && i < 16; ++i) {
            const uint32_t w = *m->weights++;
            const uint32_t x = (uint32_t)(int32_t)*m->in++;
            for (int32_t k = 0; k < 4; ++k) {
                sum[k] += ((w >> (4 * k)) & 0x000f000fu) * x;
            }
        }
        for (int32_t k = 0; k < 4; ++k) {
            const int32_t low = (int32_t)(int16_t)(uint16_t)sum[k];
            m->acc[2 * k] += low;
            m->acc[2 * k + 1] += (int32_t)(sum[k] - (uint32_t)low) >> 16;
        }
    }
}

#endif

#endif /* MCUGEN_INT4_S8_SCALAR_H */

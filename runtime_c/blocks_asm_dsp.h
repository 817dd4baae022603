/* SPDX-License-Identifier: Apache-2.0 */
/* Assembly that the inner blocks of several DSP kernels share, as text for their asm statements.  r0 is always the weight
 * stream, which is read on; labels, registers and numbers in arguments are strings. */
#ifndef MCUGEN_BLOCKS_ASM_DSP_H
#define MCUGEN_BLOCKS_ASM_DSP_H

#include "mcugen.h"

#define MCUGEN_TEXT2(x) #x
#define MCUGEN_TEXT(x) MCUGEN_TEXT2(x)

/* To the stack at `slot`: where to enter the loop at `loop`, `unroll` (a power of two) times `bytes` of code, so that it may run a
 * number of steps that is no multiple of the unrolling.  In: the register minus_steps.  Lost: r2-r4. */
#define MCUGEN_ASM_ENTRY(loop, unroll, bytes, minus_steps, slot)                                                       \
    "and r2, " minus_steps ", #(" MCUGEN_TEXT(unroll) " - 1)\n\t"                                                      \
    "mov r3, #" bytes "\n\t"                                                                                           \
    "adr.w r4, " loop "\n\t"                                                                                           \
    "mla r2, r2, r3, r4\n\t"                                                                                           \
    "orr r2, r2, #1\n\t"                                                                                               \
    "str r2, [sp, #" slot "]\n\t"

/* ---- 3 (or 2) channels of 2 pixels: accumulators r7-r9 of the first pixel, r10-r12 of the second (without r9 and r12) ----
 * Stack: 0 zero point, 4 out, 8 out stride, 12 column; of the loops over 3 and over 2 channels 16 and 24 the entry, 20 and 28 the
 * end of the weights. */

/* Out: multipliers r2-r4, zero point r5, out r6, out stride r1. */
#define MCUGEN_ASM_MULTIPLIERS3                                                                                        \
    "ldr.n r3, [r0, #4]\n\t"                                                                                           \
    "ldr.n r4, [r0, #8]\n\t"                                                                                           \
    "ldr.w r2, [r0], #12\n\t"                                                                                          \
    "ldr r5, [sp, #0]\n\t"                                                                                             \
    "ldr r6, [sp, #4]\n\t"                                                                                             \
    "ldr r1, [sp, #8]\n\t"
#define MCUGEN_ASM_MULTIPLIERS2                                                                                        \
    "ldr.n r3, [r0, #4]\n\t"                                                                                           \
    "ldr.w r2, [r0], #8\n\t"                                                                                           \
    "ldr r5, [sp, #0]\n\t"                                                                                             \
    "ldr r6, [sp, #4]\n\t"                                                                                             \
    "ldr r1, [sp, #8]\n\t"

/* The accumulators, scaled by what MCUGEN_ASM_MULTIPLIERS loaded. */
#define MCUGEN_ASM_SCALE3                                                                                              \
    "smmlar r7, r7, r2, r5\n\t"                                                                                        \
    "smmlar r8, r8, r3, r5\n\t"                                                                                        \
    "smmlar r9, r9, r4, r5\n\t"                                                                                        \
    "smmlar r10, r10, r2, r5\n\t"                                                                                      \
    "smmlar r11, r11, r3, r5\n\t"                                                                                      \
    "smmlar r12, r12, r4, r5\n\t"
#define MCUGEN_ASM_SCALE2                                                                                              \
    "smmlar r7, r7, r2, r5\n\t"                                                                                        \
    "smmlar r8, r8, r3, r5\n\t"                                                                                        \
    "smmlar r10, r10, r2, r5\n\t"                                                                                      \
    "smmlar r11, r11, r3, r5\n\t"

/* The accumulators, saturated: `saturate` ssat or usat. */
#define MCUGEN_ASM_SATURATE3(saturate, bits)                                                                           \
    saturate " r7, #" bits ", r7\n\t"                                                                                  \
    saturate " r8, #" bits ", r8\n\t"                                                                                  \
    saturate " r9, #" bits ", r9\n\t"                                                                                  \
    saturate " r10, #" bits ", r10\n\t"                                                                                \
    saturate " r11, #" bits ", r11\n\t"                                                                                \
    saturate " r12, #" bits ", r12\n\t"
#define MCUGEN_ASM_SATURATE2(saturate, bits)                                                                           \
    saturate " r7, #" bits ", r7\n\t"                                                                                  \
    saturate " r8, #" bits ", r8\n\t"                                                                                  \
    saturate " r10, #" bits ", r10\n\t"                                                                                \
    saturate " r11, #" bits ", r11\n\t"

/* The accumulators to out r6, with out stride r1, and the new out to the stack: `store` strb or strh, `size` its bytes.  The second
 * pixel first: where the stride is 0 the first overwrites it. */
#define MCUGEN_ASM_STORE3(store, size)                                                                                 \
    store " r10, [r6, r1]\n\t"                                                                                         \
    store " r7, [r6], #" size "\n\t"                                                                                   \
    store " r11, [r6, r1]\n\t"                                                                                         \
    store " r8, [r6], #" size "\n\t"                                                                                   \
    store " r12, [r6, r1]\n\t"                                                                                         \
    store " r9, [r6], #" size "\n\t"                                                                                   \
    "str r6, [sp, #4]\n\t"
#define MCUGEN_ASM_STORE2(store, size)                                                                                 \
    store " r10, [r6, r1]\n\t"                                                                                         \
    store " r7, [r6], #" size "\n\t"                                                                                   \
    store " r11, [r6, r1]\n\t"                                                                                         \
    store " r8, [r6], #" size "\n\t"                                                                                   \
    "str r6, [sp, #4]\n\t"

/* Go to `done` behind the last block, else with the initial accumulators into the loop.  Out: column r1.  Lost: r5 r6. */
#define MCUGEN_ASM_NEXT3(done)                                                                                         \
    "ldr r1, [sp, #12]\n\t"                                                                                            \
    "ldr r5, [sp, #20]\n\t"                                                                                            \
    "cmp r0, r5\n\t"                                                                                                   \
    "beq.w " done "\n\t"                                                                                               \
    "ldr r6, [sp, #16]\n\t"                                                                                            \
    "ldr.w r8, [r0, #4]\n\t"                                                                                           \
    "ldr.w r9, [r0, #8]\n\t"                                                                                           \
    "ldr.w r7, [r0], #12\n\t"                                                                                          \
    "mov r11, r8\n\t"                                                                                                  \
    "mov r12, r9\n\t"                                                                                                  \
    "mov r10, r7\n\t"                                                                                                  \
    "bx r6\n\t"
#define MCUGEN_ASM_NEXT2(done)                                                                                         \
    "ldr r1, [sp, #12]\n\t"                                                                                            \
    "ldr r5, [sp, #28]\n\t"                                                                                            \
    "cmp r0, r5\n\t"                                                                                                   \
    "beq.w " done "\n\t"                                                                                               \
    "ldr r6, [sp, #24]\n\t"                                                                                            \
    "ldr.w r8, [r0, #4]\n\t"                                                                                           \
    "ldr.w r7, [r0], #8\n\t"                                                                                           \
    "mov r11, r8\n\t"                                                                                                  \
    "mov r10, r7\n\t"                                                                                                  \
    "bx r6\n\t"

/* ---- 4 (or 1) channels of one column: accumulators r8-r11 (r8) ----
 * Stack: 0 column, 4 zero point; of the loops over 4 and over 1 channels 8 and 16 the entry, 12 and 20 the end of the weights. */

/* The accumulators, scaled by the multipliers r2-r5 with zero point r6 and saturated, to the register `out`, which moves on. */
#define MCUGEN_ASM_REQUANTIZE4(out)                                                                                    \
    "smmlar r8, r8, r2, r6\n\t"                                                                                        \
    "smmlar r9, r9, r3, r6\n\t"                                                                                        \
    "smmlar r10, r10, r4, r6\n\t"                                                                                      \
    "smmlar r11, r11, r5, r6\n\t"                                                                                      \
    "ssat r8, #8, r8\n\t"                                                                                              \
    "ssat r9, #8, r9\n\t"                                                                                              \
    "ssat r10, #8, r10\n\t"                                                                                            \
    "ssat r11, #8, r11\n\t"                                                                                            \
    "strb r8, [" out "], #1\n\t"                                                                                       \
    "strb r9, [" out "], #1\n\t"                                                                                       \
    "strb r10, [" out "], #1\n\t"                                                                                      \
    "strb r11, [" out "], #1\n\t"

/* Four multipliers of 24 bits (words24.h) to r2-r5, the zero point to r6; the accumulators lose what is below 256. */
#define MCUGEN_ASM_MULTIPLIERS4_24                                                                                     \
    "ldr.n r3, [r0, #4]\n\t"                                                                                           \
    "ldr.n r4, [r0, #8]\n\t"                                                                                           \
    "ldr.w r2, [r0], #12\n\t"                                                                                          \
    "ldr r6, [sp, #4]\n\t"                                                                                             \
    "uxtb r5, r4\n\t"                                                                                                  \
    "lsls r5, r5, #16\n\t"                                                                                             \
    "bfi r5, r3, #8, #8\n\t"                                                                                           \
    "bfi r5, r2, #0, #8\n\t"                                                                                           \
    "lsrs r2, r2, #8\n\t"                                                                                              \
    "lsrs r3, r3, #8\n\t"                                                                                              \
    "lsrs r4, r4, #8\n\t"                                                                                              \
    "bic r8, r8, #255\n\t"                                                                                             \
    "bic r9, r9, #255\n\t"                                                                                             \
    "bic r10, r10, #255\n\t"                                                                                           \
    "bic r11, r11, #255\n\t"

/* Go to `done` behind the last block, else with the initial accumulators, of 24 bits, into the loop.  Out: column r1.
 * Lost: r6 r7. */
#define MCUGEN_ASM_NEXT4_24(done)                                                                                      \
    "ldr r1, [sp, #0]\n\t"                                                                                             \
    "ldr r6, [sp, #12]\n\t"                                                                                            \
    "cmp r0, r6\n\t"                                                                                                   \
    "beq.n " done "\n\t"                                                                                               \
    "ldr r7, [sp, #8]\n\t"                                                                                             \
    "ldr.w r9, [r0, #4]\n\t"                                                                                           \
    "ldr.w r10, [r0, #8]\n\t"                                                                                          \
    "ldr.w r8, [r0], #12\n\t"                                                                                          \
    "lsl r11, r10, #24\n\t"                                                                                            \
    "bfi r11, r9, #16, #8\n\t"                                                                                         \
    "bfi r11, r8, #8, #8\n\t"                                                                                          \
    "bx r7\n\t"

/* The same for one channel, of 32 bits. */
#define MCUGEN_ASM_NEXT1(done)                                                                                         \
    "ldr r1, [sp, #0]\n\t"                                                                                             \
    "ldr r6, [sp, #20]\n\t"                                                                                            \
    "cmp r0, r6\n\t"                                                                                                   \
    "beq.n " done "\n\t"                                                                                               \
    "ldr r7, [sp, #16]\n\t"                                                                                            \
    "ldr.w r8, [r0], #4\n\t"                                                                                           \
    "bx r7\n\t"

#endif /* MCUGEN_BLOCKS_ASM_DSP_H */

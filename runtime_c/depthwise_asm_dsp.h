/* SPDX-License-Identifier: Apache-2.0 */
/* Assembly that the 3x3 depthwise kernels without scratch share, as text for their asm statements. */
#ifndef MCUGEN_DEPTHWISE_ASM_DSP_H
#define MCUGEN_DEPTHWISE_ASM_DSP_H

#include "mcugen.h"

/* The next record (depthwise_rows_s8_dsp.h) from r0, which is kept at stack 0: weights of two rows to r5-r7, the third row's first
 * two to r8, its last one to r9 with the pixel step, which is in r5, in the high half; bias r12, multiplier r10.  Labels 5 and 6.
 * Lost: r0 r2-r4. */
#define MCUGEN_ASM_DEPTHWISE_RECORD                                                                                    \
    "ldm r0!, {r2, r3, r4, r12}\n\t"                                                                                   \
    "ldr r10, [r0], #4\n\t"                                                                                            \
    "str r0, [sp, #0]\n\t"                                                                                             \
    "ubfx r0, r4, #8, #8\n\t"                                                                                          \
    "sxtb r9, r4\n\t"                                                                                                  \
    "lsl r9, r9, r0\n\t"                                                                                               \
    "pkhbt r9, r9, r5, lsl #16\n\t"                                                                                    \
    "sxtb16 r5, r2\n\t"                                                                                                \
    "sxtb16 r6, r2, ror #8\n\t"                                                                                        \
    "sxtb16 r7, r3\n\t"                                                                                                \
    "sxtb16 r8, r3, ror #8\n\t"                                                                                        \
    "cbz r0, 6f\n"                                                                                                     \
    "5:\n\t"                                                                                                           \
    "sadd16 r5, r5, r5\n\t"                                                                                            \
    "sadd16 r6, r6, r6\n\t"                                                                                            \
    "sadd16 r7, r7, r7\n\t"                                                                                            \
    "sadd16 r8, r8, r8\n\t"                                                                                            \
    "subs r0, r0, #1\n\t"                                                                                              \
    "bne.n 5b\n"                                                                                                       \
    "6:\n\t"

#endif /* MCUGEN_DEPTHWISE_ASM_DSP_H */

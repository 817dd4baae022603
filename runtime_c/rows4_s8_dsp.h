/* SPDX-License-Identifier: Apache-2.0 */
/* What the DSP kernels share that take 4 rows at a time against a column, in pairs of groups of 4 inputs (gates_s8_dsp.h,
 * sums_s8_dsp.h). The arithmetic and the words W, X, Y are those of matmul_s8_dsp.h. */
#ifndef MCUGEN_ROWS4_S8_DSP_H
#define MCUGEN_ROWS4_S8_DSP_H

#include "column_s8_dsp.h"

/* Words of the column of so many inputs. */
static MCUGEN_INLINE int32_t mcugen_rows4_words(int32_t depth)
{
    return (depth + 7) / 8 * 4;
}

/* Before the first column: words that no input fills meet weights of zero, whatever they hold. */
static MCUGEN_INLINE void mcugen_rows4_clear(uint32_t *columns, int32_t words)
{
    for (int32_t i = 0; i < words; ++i) {
        columns[i] = 0;
    }
}

/* The column of in[depth]. Up to 3 bytes behind the input are read. */
static MCUGEN_INLINE void mcugen_rows4_column(const int8_t *in, uint32_t *column, int32_t depth)
{
    mcugen_column_s8_dsp(in, column, (depth + 3) / 4);
}

/* Two groups of 4 inputs for 4 rows, and the test for the end: r0 weights, r1 column, r2-r5 weight words, r6 X, r7 Y, r8-r11
 * accumulators, r12 end of the column. */
#define MCUGEN_ROWS4_TURN                                                                                              \
    ".rept 2\n\t"                                                                                                      \
    "ldr.n r3, [r0, #4]\n\t"                                                                                           \
    "ldr.n r4, [r0, #8]\n\t"                                                                                           \
    "ldr.n r5, [r0, #12]\n\t"                                                                                          \
    "ldr.w r2, [r0], #16\n\t"                                                                                          \
    "ldr.n r7, [r1, #4]\n\t"                                                                                           \
    "ldr.w r6, [r1], #8\n\t"                                                                                           \
    "smlad r8, r2, r6, r8\n\t"                                                                                         \
    "smlad r9, r3, r6, r9\n\t"                                                                                         \
    "smlad r10, r4, r6, r10\n\t"                                                                                       \
    "smlad r11, r5, r6, r11\n\t"                                                                                       \
    "sxtb16 r2, r2\n\t"                                                                                                \
    "sxtb16 r3, r3\n\t"                                                                                                \
    "sxtb16 r4, r4\n\t"                                                                                                \
    "sxtb16 r5, r5\n\t"                                                                                                \
    "smlad r8, r2, r7, r8\n\t"                                                                                         \
    "smlad r9, r3, r7, r9\n\t"                                                                                         \
    "smlad r10, r4, r7, r10\n\t"                                                                                       \
    "smlad r11, r5, r7, r11\n\t"                                                                                       \
    ".endr\n\t"                                                                                                        \
    "cmp r1, r12\n\t"

#endif /* MCUGEN_ROWS4_S8_DSP_H */

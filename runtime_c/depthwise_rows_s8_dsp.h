/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of the 3x3 depthwise convolution with stride 1 on cores with the DSP instructions: a few rows of one channel.
 *
 * The channel's input lies unpacked in a strip: 8 rows of one channel, column after column, each column four words, each word
 * two vertical neighbours as int16 (row 2k low, row 2k + 1 high).  Two channels share a strip, so a column takes 8 words, 4 for
 * each.  A column of a 3x3 window is then one word, for two taps in one SMLAD, and one halfword for the third tap: an output row
 * that begins at an even row reads {word k, low half of word k + 1}, one that begins at an odd row {word k + 1, high half of
 * word k}, with the weights paired accordingly.  Each column is loaded once for the three outputs that it belongs to; two
 * partial sums travel along the row.
 *
 * Weights, 5 words a channel, w[ky][kx]: bytes {w00 w01 w10 w11}, {w02 w20 w12 w21}, {w22 shift 0 0}; bias * 2^shift; multiplier.
 */
#ifndef MCUGEN_DEPTHWISE_ROWS_S8_DSP_H
#define MCUGEN_DEPTHWISE_ROWS_S8_DSP_H

#include "mcugen.h"
#include "simd.h"

#define MCUGEN_DEPTHWISE_RECORD_WORDS 5
#define MCUGEN_DEPTHWISE_COLUMN_WORDS 8

struct mcugen_depthwise_rows_s8_dsp {
    const uint32_t *weights; /* the channel's record */
    const uint32_t *strip;   /* the channel's first word */
    int8_t *out;
    int32_t out_columns;     /* at least 1 */
    int32_t out_column_step; /* bytes, less than 65536 */
    int32_t out_row_step;    /* bytes */
    int32_t out_rows;        /* 1 to 6 */
    int32_t out_zero_point;
};

/* Two rows of two channels into one word a column of each channel's strip; a step of 0 repeats a padding value.
 * `upper`, `lower`: bytes {channel 0, channel 1}, at least one column. */
#if MCUGEN_HAVE_DSP

MCUGEN_SHARED void mcugen_depthwise_unpack_s8_dsp(uint32_t *strip, const int8_t *upper, const int8_t *lower,
                                                  int32_t upper_step, int32_t lower_step, int32_t columns)
{
    register uint32_t *to __asm__("r0") = strip;
    register const int8_t *up __asm__("r1") = upper;
    register const int8_t *low __asm__("r2") = lower;
    register int32_t up_step __asm__("r3") = upper_step;
    register int32_t low_step __asm__("r4") = lower_step;
    register int32_t left __asm__("r5") = columns - 4;
    __asm__ volatile(
        ".macro mcugen_unpack u, v, at\n\t"
        "pkhbt \\u, \\u, \\v, lsl #16\n\t"
        "sxtb16 \\v, \\u\n\t"
        "sxtb16 \\u, \\u, ror #8\n\t"
        "str.w \\v, [r0, #\\at]\n\t"
        "str.w \\u, [r0, #\\at + 16]\n\t"
        ".endm\n\t"
        "cmp r5, #0\n\t"
        "blt.n 2f\n"
        "1:\n\t"
        "ldrh.w r6, [r1]\n\t"
        "ldrh.w r8, [r2]\n\t"
        "ldrh.w r9, [r1, r3]\n\t"
        "ldrh.w r10, [r2, r4]\n\t"
        "add.w r1, r1, r3, lsl #1\n\t"
        "add.w r2, r2, r4, lsl #1\n\t"
        "mcugen_unpack r6, r8, 0\n\t"
        "ldrh.w r6, [r1]\n\t"
        "ldrh.w r8, [r2]\n\t"
        "ldrh.w r12, [r1, r3]\n\t"
        "ldrh.w lr, [r2, r4]\n\t"
        "add.w r1, r1, r3, lsl #1\n\t"
        "add.w r2, r2, r4, lsl #1\n\t"
        "mcugen_unpack r9, r10, 32\n\t"
        "mcugen_unpack r6, r8, 64\n\t"
        "mcugen_unpack r12, lr, 96\n\t"
        "add.w r0, r0, #128\n\t"
        "subs r5, r5, #4\n\t"
        "bge.n 1b\n"
        "2:\n\t"
        "adds r5, r5, #4\n\t"
        "beq.n 4f\n"
        "3:\n\t"
        "ldrh.w r6, [r1]\n\t"
        "ldrh.w r8, [r2]\n\t"
        "add.w r1, r1, r3\n\t"
        "add.w r2, r2, r4\n\t"
        "mcugen_unpack r6, r8, 0\n\t"
        "add.w r0, r0, #32\n\t"
        "subs r5, r5, #1\n\t"
        "bne.n 3b\n"
        "4:\n\t"
        ".purgem mcugen_unpack\n\t"
        : "+r"(to), "+r"(up), "+r"(low), "+r"(left)
        : "r"(up_step), "r"(low_step)
        : "r6", "r8", "r9", "r10", "r12", "lr", "cc", "memory");
}

#else

MCUGEN_SHARED void mcugen_depthwise_unpack_s8_dsp(uint32_t *strip, const int8_t *upper, const int8_t *lower,
                                                  int32_t upper_step, int32_t lower_step, int32_t columns)
{
    for (int32_t x = 0; x < columns; ++x) {
        uint16_t u;
        uint16_t v;
        __builtin_memcpy(&u, upper, sizeof u);
        __builtin_memcpy(&v, lower, sizeof v);
        const uint32_t both = mcugen_pkhbt(u, v);
        strip[0] = mcugen_sxtb16(both);
        strip[4] = mcugen_sxtb16_ror8(both);
        strip += MCUGEN_DEPTHWISE_COLUMN_WORDS;
        upper += upper_step;
        lower += lower_step;
    }
}

#endif

#if MCUGEN_HAVE_DSP

/* r0 column, r1 pair of taps, r2 third tap, r3 r4 partial sums, r5-r7 the three columns' weight pairs, r8 the third row's first
 * two weights, r9 its last one and the output's column step in the high half, r10 multiplier, r11 zero point, r12 out, lr bias.
 * Stack: 0 end of the row, 4 entry of the loop, 8 outputs of the first, incomplete turn, 12 row, 16 out row, 20 step from an
 * output row to the next of its parity, 24 rows left, 28 odd rows, 32 bytes of a row, 36 strip, 40 out. */
#define MCUGEN_DEPTHWISE_ENTER                                                                                         \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "sub sp, sp, #44\n\t"                                                                                              \
    "ldm r0, {r1-r8}\n\t" /* weights, strip, out, columns, column step, row step, rows, zero point */                 \
    "str r2, [sp, #12]\n\t"                                                                                            \
    "str r3, [sp, #16]\n\t"                                                                                            \
    "mov r11, r8\n\t"

/* The record r1 into the weight registers; r5 is the column step. */
#define MCUGEN_DEPTHWISE_WEIGHTS                                                                                       \
    "ldm r1, {r1, r2, r3, r4, r10}\n\t"                                                                                \
    "mov lr, r4\n\t"                                                                                                   \
    "ubfx r4, r3, #8, #8\n\t"                                                                                          \
    "sxtb r9, r3\n\t"                                                                                                  \
    "lsl r9, r9, r4\n\t"                                                                                               \
    "pkhbt r9, r9, r5, lsl #16\n\t"                                                                                    \
    "sxtb16 r5, r1\n\t"                                                                                                \
    "sxtb16 r6, r1, ror #8\n\t"                                                                                        \
    "sxtb16 r7, r2\n\t"                                                                                                \
    "sxtb16 r8, r2, ror #8\n\t"                                                                                        \
    "cmp r4, #0\n\t"                                                                                                   \
    "beq.w 6f\n"                                                                                                       \
    "5:\n\t"                                                                                                           \
    "sadd16 r5, r5, r5\n\t"                                                                                            \
    "sadd16 r6, r6, r6\n\t"                                                                                            \
    "sadd16 r7, r7, r7\n\t"                                                                                            \
    "sadd16 r8, r8, r8\n\t"                                                                                            \
    "subs r4, r4, #1\n\t"                                                                                              \
    "bne.w 5b\n"                                                                                                       \
    "6:\n\t"

/* mcugen_step: one column: the last of sum f, whose output is stored, the middle of sum m, the first of the next sum; 48 bytes.
 * mcugen_pass: all output rows of one parity; the loop's odd steps have the sums' roles exchanged. */
#define MCUGEN_DEPTHWISE_MACROS                                                                                        \
    ".macro mcugen_step f, m, third\n\t"                                                                               \
    "ldr.w r1, [r0], #32\n\t"                                                                                          \
    "ldrsh.w r2, [r0, #\\third]\n\t"                                                                                  \
    "smlad \\f, r1, r7, \\f\n\t"                                                                                      \
    "smlabb \\f, r2, r9, \\f\n\t"                                                                                     \
    "smlad \\m, r1, r6, \\m\n\t"                                                                                      \
    "smlabt \\m, r2, r8, \\m\n\t"                                                                                     \
    "smmlar \\f, \\f, r10, r11\n\t"                                                                                  \
    "ssat \\f, #8, \\f\n\t"                                                                                          \
    "strb.w \\f, [r12]\n\t"                                                                                          \
    "smlad \\f, r1, r5, lr\n\t"                                                                                      \
    "smlabb \\f, r2, r8, \\f\n\t"                                                                                     \
    "uxtah r12, r12, r9, ror #16\n\t"                                                                                 \
    ".endm\n\t"                                                                                                       \
    ".macro mcugen_pass third\n"                                                                                      \
    "1:\n\t"                                                                                                          \
    "ldr r1, [sp, #32]\n\t"                                                                                           \
    "ldr r0, [sp, #12]\n\t"                                                                                           \
    "ldr r12, [sp, #16]\n\t"                                                                                          \
    "add r1, r1, r0\n\t"                                                                                              \
    "str r1, [sp, #0]\n\t"                                                                                            \
    "ldr.w r1, [r0], #32\n\t"                                                                                         \
    "ldrsh.w r2, [r0, #\\third]\n\t"                                                                                 \
    "smlad r3, r1, r5, lr\n\t"                                                                                        \
    "smlabb r3, r2, r8, r3\n\t"                                                                                       \
    "ldr.w r1, [r0], #32\n\t"                                                                                         \
    "ldrsh.w r2, [r0, #\\third]\n\t"                                                                                 \
    "smlad r3, r1, r6, r3\n\t"                                                                                        \
    "smlabt r3, r2, r8, r3\n\t"                                                                                       \
    "smlad r4, r1, r5, lr\n\t"                                                                                        \
    "smlabb r4, r2, r8, r4\n\t"                                                                                       \
    "ldr r1, [sp, #4]\n\t"                                                                                            \
    "ldr r2, [sp, #8]\n\t"                                                                                            \
    "tst r2, #1\n\t"                                                                                                  \
    "ittt ne\n\t"                                                                                                     \
    "movne r2, r3\n\t"                                                                                                \
    "movne r3, r4\n\t"                                                                                                \
    "movne r4, r2\n\t"                                                                                                \
    "bx r1\n\t"                                                                                                       \
    ".balign 4\n"                                                                                                     \
    "2:\n\t"                                                                                                          \
    ".rept 4\n\t"                                                                                                     \
    "mcugen_step r3, r4, \\third\n\t"                                                                                \
    "mcugen_step r4, r3, \\third\n\t"                                                                                \
    ".endr\n\t"                                                                                                       \
    "ldr r1, [sp, #0]\n\t"                                                                                            \
    "cmp r0, r1\n\t"                                                                                                  \
    "bne.w 2b\n\t"                                                                                                    \
    "ldr r0, [sp, #12]\n\t"                                                                                           \
    "ldr r1, [sp, #16]\n\t"                                                                                           \
    "ldr r2, [sp, #20]\n\t"                                                                                           \
    "ldr r3, [sp, #24]\n\t"                                                                                           \
    "add r0, r0, #4\n\t"                                                                                              \
    "add r1, r1, r2\n\t"                                                                                              \
    "str r0, [sp, #12]\n\t"                                                                                           \
    "str r1, [sp, #16]\n\t"                                                                                           \
    "subs r3, r3, #1\n\t"                                                                                             \
    "str r3, [sp, #24]\n\t"                                                                                           \
    "bne.w 1b\n\t"                                                                                                    \
    ".endm\n\t"
#define MCUGEN_DEPTHWISE_PURGE                                                                                         \
    ".purgem mcugen_step\n\t"                                                                                         \
    ".purgem mcugen_pass\n\t"

/* The entry of a loop of 8 steps at label `turn`, for a number of outputs that is no multiple of 8; uses r2, r3, r4. */
#define MCUGEN_DEPTHWISE_ENTRY(turn)                                                                                   \
    "ldr r2, [sp, #8]\n\t"                                                                                             \
    "mov r3, #48\n\t"                                                                                                  \
    "adr.w r4, " turn "\n\t"                                                                                           \
    "mla r2, r2, r3, r4\n\t"                                                                                           \
    "orr r2, r2, #1\n\t"                                                                                               \
    "str r2, [sp, #4]\n\t"

MCUGEN_SHARED void mcugen_depthwise_rows_s8_dsp(const struct mcugen_depthwise_rows_s8_dsp *rows)
{
    register const struct mcugen_depthwise_rows_s8_dsp *p __asm__("r0") = rows;
    __asm__(MCUGEN_DEPTHWISE_MACROS);
    __asm__ volatile(
        MCUGEN_DEPTHWISE_ENTER
        "add r3, r3, r6\n\t"
        "add r2, r2, #4\n\t"
        "str r2, [sp, #36]\n\t"
        "str r3, [sp, #40]\n\t"
        "lsl r6, r6, #1\n\t"
        "str r6, [sp, #20]\n\t"
        "lsr r2, r7, #1\n\t"
        "str r2, [sp, #28]\n\t"
        "sub r7, r7, r2\n\t"
        "str r7, [sp, #24]\n\t"
        "add r2, r4, #2\n\t"
        "lsl r2, r2, #5\n\t"
        "str r2, [sp, #32]\n\t"
        "rsb r4, r4, #0\n\t"
        "and r4, r4, #7\n\t"
        "str r4, [sp, #8]\n\t"
        MCUGEN_DEPTHWISE_ENTRY("2f")
        MCUGEN_DEPTHWISE_WEIGHTS
        "mcugen_pass -28\n\t"
        "ldr r2, [sp, #28]\n\t"
        "cmp r2, #0\n\t"
        "beq.w 9f\n\t"
        "str r2, [sp, #24]\n\t"
        "ldr r0, [sp, #36]\n\t"
        "ldr r1, [sp, #40]\n\t"
        "str r0, [sp, #12]\n\t"
        "str r1, [sp, #16]\n\t"
        MCUGEN_DEPTHWISE_ENTRY("2f")
        /* {w00 w10} {w01 w11} {w02 w12} {w20 w21} {w22} -> {w10 w20} {w11 w21} {w12 w22} {w00 w01} {w02} */
        "lsr r1, r5, #16\n\t"
        "lsr r3, r7, #16\n\t"
        "pkhbt r1, r1, r8, lsl #16\n\t"
        "pkhtb r2, r8, r6, asr #16\n\t"
        "pkhbt r3, r3, r9, lsl #16\n\t"
        "pkhbt r8, r5, r6, lsl #16\n\t"
        "pkhbt r9, r7, r9\n\t"
        "mov r5, r1\n\t"
        "mov r6, r2\n\t"
        "mov r7, r3\n\t"
        "mcugen_pass -34\n\t"
        "9:\n\t"
        "add sp, sp, #44\n\t"
        "pop {r4-r11, lr}\n\t"
        MCUGEN_DEPTHWISE_PURGE
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#undef MCUGEN_DEPTHWISE_ENTER
#undef MCUGEN_DEPTHWISE_WEIGHTS
#undef MCUGEN_DEPTHWISE_MACROS
#undef MCUGEN_DEPTHWISE_PURGE
#undef MCUGEN_DEPTHWISE_ENTRY

#else

/* The C twin of the assembly: the same reads and writes. */
static MCUGEN_INLINE int32_t mcugen_depthwise_strip_value(const uint32_t *strip, int32_t row, int32_t column)
{
    const uint32_t word = strip[column * MCUGEN_DEPTHWISE_COLUMN_WORDS + (row >> 1)];
    return (row & 1) ? mcugen_high16(word) : mcugen_low16(word);
}

MCUGEN_SHARED void mcugen_depthwise_rows_s8_dsp(const struct mcugen_depthwise_rows_s8_dsp *rows)
{
    static const uint8_t place[9] = {0, 1, 4, 2, 3, 6, 5, 7, 8};
    const uint32_t *record = rows->weights;
    const int32_t shift = (int32_t)((record[2] >> 8) & 255u);
    for (int32_t y = 0; y < rows->out_rows; ++y) {
        for (int32_t x = 0; x < rows->out_columns; ++x) {
            int32_t acc = (int32_t)record[3];
            for (int32_t tap = 0; tap < 9; ++tap) {
                const uint32_t byte = record[place[tap] >> 2] >> (8 * (place[tap] & 3));
                const int32_t weight = (int32_t)(int8_t)(uint8_t)byte * (int32_t)((uint32_t)1 << shift);
                const int32_t value = mcugen_depthwise_strip_value(rows->strip, y + tap / 3, x + tap % 3);
                acc = mcugen_wrap_add(acc, weight * value, 0);
            }
            const int32_t scaled = mcugen_smmlar(acc, (int32_t)record[4], rows->out_zero_point);
            rows->out[(ptrdiff_t)y * rows->out_row_step + (ptrdiff_t)x * rows->out_column_step] = (int8_t)mcugen_ssat8(scaled);
        }
    }
}

#endif

#endif /* MCUGEN_DEPTHWISE_ROWS_S8_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of 3x3 convolution by Winograd's F(2x2, 3x3) on cores with the DSP instructions.
 *
 * A tile of 2x2 outputs comes from 4x4 inputs d by Y = A^T ((G g G^T) * (B^T d B)) A, where * is element by element and a sum
 * over the input channels: 16 products instead of 36 (A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks",
 * 2016, after S. Winograd).  G holds halves: the weights are transformed with 2 G when the layer is compiled, so that all numbers
 * are integers and the sums are exactly 4 times those of the direct form.  Transformed weights stay below 1153 in magnitude,
 * transformed inputs below 511; both are held as int16, and SMLAD takes two channels at a time.  Sums wrap modulo 2^32; only 4
 * times the accumulator has to fit.
 *
 * Layouts, with P the number of input channels rounded up to 16:
 *   inputs  [16 positions][P / 2 pairs of channels][2 tiles] words; channels 4q, 4q + 2 are a pair, 4q + 1, 4q + 3 the next;
 *   weights [blocks of 4 output channels][16 positions][P / 2 pairs][4] words;
 *   sums    [16 positions][4 output channels][2 tiles] int32. */
#ifndef MCUGEN_WINOGRAD_S8_DSP_H
#define MCUGEN_WINOGRAD_S8_DSP_H

#include "fixed_point.h"
#include "winograd_input_s8_dsp.h"

#define MCUGEN_WINOGRAD_SUMS 128

struct mcugen_winograd_output_s8_dsp {
    const int32_t *sums;
    const int32_t *requantization; /* 4 * bias[4], multiplier[4] of the four output channels */
    int32_t out_zero_point;
    int32_t pixel_step, row_step; /* bytes */
    int32_t channels;             /* of these four, how many there are */
    int8_t *out;                  /* two tiles: 2 rows of 4 pixels */
};

#if MCUGEN_HAVE_DSP

/* A^T (...) A and requantization of four output channels of two tiles to outputs of `size` bytes, by `store` (strb or strh).
 * r0 sums, r1-r4 a column of them, r5-r8 outputs, r9 bias, r10 multiplier, r11 zero point, r12 out, lr row step.
 * Stack: 0 requantization, 4 channels left, 8 out, 12 pixel step; loaded into r0-r6 are sums, requantization, zero point, pixel
 * step, row step, channels, out. */
#define MCUGEN_ASM_WINOGRAD_OUTPUT(bits, store, size)                                                                  \
    ".macro mcugen_sums_column at\n\t"                                                                                 \
    "ldr r1, [r0, #\\at]\n\t"                                                                                          \
    "ldr r2, [r0, #\\at + 128]\n\t"                                                                                    \
    "ldr r3, [r0, #\\at + 256]\n\t"                                                                                    \
    "ldr r4, [r0, #\\at + 384]\n\t"                                                                                    \
    ".endm\n\t"                                                                                                        \
    ".macro mcugen_tile at\n\t"                                                                                        \
    "mcugen_sums_column \\at\n\t"                                                                                      \
    "add r5, r9, r1\n\t"                                                                                               \
    "add r7, r9, r2\n\t"                                                                                               \
    "add r5, r5, r2\n\t"                                                                                               \
    "sub r7, r7, r3\n\t"                                                                                               \
    "add r5, r5, r3\n\t"                                                                                               \
    "sub r7, r7, r4\n\t"                                                                                               \
    "mcugen_sums_column \\at + 32\n\t"                                                                                 \
    "add r1, r1, r2\n\t"                                                                                               \
    "sub r2, r2, r3\n\t"                                                                                               \
    "add r1, r1, r3\n\t"                                                                                               \
    "sub r2, r2, r4\n\t"                                                                                               \
    "add r5, r5, r1\n\t"                                                                                               \
    "add r6, r9, r1\n\t"                                                                                               \
    "add r7, r7, r2\n\t"                                                                                               \
    "add r8, r9, r2\n\t"                                                                                               \
    "mcugen_sums_column \\at + 64\n\t"                                                                                 \
    "add r1, r1, r2\n\t"                                                                                               \
    "sub r2, r2, r3\n\t"                                                                                               \
    "add r1, r1, r3\n\t"                                                                                               \
    "sub r2, r2, r4\n\t"                                                                                               \
    "add r5, r5, r1\n\t"                                                                                               \
    "sub r6, r6, r1\n\t"                                                                                               \
    "add r7, r7, r2\n\t"                                                                                               \
    "sub r8, r8, r2\n\t"                                                                                               \
    "mcugen_sums_column \\at + 96\n\t"                                                                                 \
    "sub r6, r6, r1\n\t"                                                                                               \
    "sub r8, r8, r2\n\t"                                                                                               \
    "sub r6, r6, r2\n\t"                                                                                               \
    "add r8, r8, r3\n\t"                                                                                               \
    "sub r6, r6, r3\n\t"                                                                                               \
    "add r8, r8, r4\n\t"                                                                                               \
    "smmlar r5, r5, r10, r11\n\t"                                                                                      \
    "smmlar r6, r6, r10, r11\n\t"                                                                                      \
    "smmlar r7, r7, r10, r11\n\t"                                                                                      \
    "smmlar r8, r8, r10, r11\n\t"                                                                                      \
    "ssat r5, #" bits ", r5\n\t"                                                                                       \
    "ssat r6, #" bits ", r6\n\t"                                                                                       \
    "ssat r7, #" bits ", r7\n\t"                                                                                       \
    "ssat r8, #" bits ", r8\n\t"                                                                                       \
    "ldr r1, [sp, #12]\n\t"                                                                                            \
    store " r5, [r12]\n\t"                                                                                             \
    store " r7, [r12, lr]\n\t"                                                                                         \
    "add r12, r12, r1\n\t"                                                                                             \
    store " r6, [r12]\n\t"                                                                                             \
    store " r8, [r12, lr]\n\t"                                                                                         \
    "add r12, r12, r1\n\t"                                                                                             \
    ".endm\n\t"                                                                                                        \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "sub sp, sp, #20\n\t"                                                                                              \
    "ldm r0, {r0-r6}\n\t"                                                                                              \
    "mov r11, r2\n\t"                                                                                                  \
    "str r3, [sp, #12]\n\t"                                                                                            \
    "mov lr, r4\n"                                                                                                     \
    "1:\n\t"                                                                                                           \
    "str r5, [sp, #4]\n\t"                                                                                             \
    "str r6, [sp, #8]\n\t"                                                                                             \
    "ldr r10, [r1, #16]\n\t"                                                                                           \
    "ldr r9, [r1], #4\n\t"                                                                                             \
    "str r1, [sp, #0]\n\t"                                                                                             \
    "mov r12, r6\n\t"                                                                                                  \
    "mcugen_tile 0\n\t"                                                                                                \
    "mcugen_tile 4\n\t"                                                                                                \
    "ldr r1, [sp, #0]\n\t"                                                                                             \
    "ldr r5, [sp, #4]\n\t"                                                                                             \
    "ldr r6, [sp, #8]\n\t"                                                                                             \
    "add r0, r0, #8\n\t"                                                                                               \
    "add r6, r6, #" size "\n\t"                                                                                        \
    "subs r5, r5, #1\n\t"                                                                                              \
    "bne.w 1b\n\t"                                                                                                     \
    "add sp, sp, #20\n\t"                                                                                              \
    "pop {r4-r11, lr}\n\t"                                                                                             \
    ".purgem mcugen_tile\n\t"                                                                                          \
    ".purgem mcugen_sums_column\n\t"

MCUGEN_SHARED void mcugen_winograd_output_s8_dsp(const struct mcugen_winograd_output_s8_dsp *output)
{
    register const struct mcugen_winograd_output_s8_dsp *p __asm__("r0") = output;
    __asm__ volatile(
        MCUGEN_ASM_WINOGRAD_OUTPUT("8", "strb", "1")
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

/* The sums of one block of 4 output channels: `weights` of the block, `inputs` of two tiles, position_words = P.
 * r0 weights, r1 inputs, r2 r3 two weight words, r12 lr the tiles' input words, r4-r11 sums.
 * Stack: 0 sums, 4 their end, 8 end of the position's inputs, 12 bytes of a position's inputs. */
MCUGEN_SHARED void mcugen_winograd_sums_s8_dsp(const uint32_t *weights, const uint32_t *inputs, int32_t *sums,
                                               int32_t position_words)
{
    register const uint32_t *w __asm__("r0") = weights;
    register const uint32_t *v __asm__("r1") = inputs;
    register int32_t *m __asm__("r2") = sums;
    register int32_t words __asm__("r3") = position_words;
    __asm__ volatile(
        ".macro mcugen_pair first\n\t"
        "ldr.w r2, [r0], #16\n\t"
        "ldr r3, [r0, #-12]\n\t"
        "ldr.w r12, [r1], #8\n\t"
        "ldr lr, [r1, #-4]\n\t"
        ".if \\first\n\t"
        "smuad r4, r2, r12\n\t"
        "smuad r5, r2, lr\n\t"
        "smuad r6, r3, r12\n\t"
        "smuad r7, r3, lr\n\t"
        ".else\n\t"
        "smlad r4, r2, r12, r4\n\t"
        "smlad r5, r2, lr, r5\n\t"
        "smlad r6, r3, r12, r6\n\t"
        "smlad r7, r3, lr, r7\n\t"
        ".endif\n\t"
        "ldr r2, [r0, #-8]\n\t"
        "ldr r3, [r0, #-4]\n\t"
        ".if \\first\n\t"
        "smuad r8, r2, r12\n\t"
        "smuad r9, r2, lr\n\t"
        "smuad r10, r3, r12\n\t"
        "smuad r11, r3, lr\n\t"
        ".else\n\t"
        "smlad r8, r2, r12, r8\n\t"
        "smlad r9, r2, lr, r9\n\t"
        "smlad r10, r3, r12, r10\n\t"
        "smlad r11, r3, lr, r11\n\t"
        ".endif\n\t"
        ".endm\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #20\n\t"
        "str r2, [sp, #0]\n\t"
        "add r2, r2, #512\n\t"
        "str r2, [sp, #4]\n\t"
        "cmp r3, #16\n\t"
        "beq.w 5f\n\t"
        "lsl r3, r3, #2\n\t"
        "str r3, [sp, #12]\n"
        "1:\n\t"
        "add r3, r3, r1\n\t"
        "str r3, [sp, #8]\n\t"
        "mcugen_pair 1\n"
        "2:\n\t"
        ".rept 7\n\t"
        "mcugen_pair 0\n\t"
        ".endr\n\t"
        "ldr r2, [sp, #8]\n\t"
        "cmp r1, r2\n\t"
        "bne.n 3f\n\t"
        "ldr r2, [sp, #0]\n\t"
        "ldr r12, [sp, #4]\n\t"
        "ldr r3, [sp, #12]\n\t"
        "stm r2!, {r4-r11}\n\t"
        "str r2, [sp, #0]\n\t"
        "cmp r2, r12\n\t"
        "bne.w 1b\n\t"
        "b.w 4f\n"
        "3:\n\t"
        "mcugen_pair 0\n\t"
        "b.w 2b\n"
        "5:\n\t" /* 16 channels: one turn a position */
        "mcugen_pair 1\n\t"
        ".rept 7\n\t"
        "mcugen_pair 0\n\t"
        ".endr\n\t"
        "ldr r2, [sp, #0]\n\t"
        "ldr r12, [sp, #4]\n\t"
        "stm r2!, {r4-r11}\n\t"
        "str r2, [sp, #0]\n\t"
        "cmp r2, r12\n\t"
        "bne.w 5b\n"
        "4:\n\t"
        "add sp, sp, #20\n\t"
        "pop {r4-r11, lr}\n\t"
        ".purgem mcugen_pair\n\t"
        : "+r"(w), "+r"(v), "+r"(m), "+r"(words)
        :
        : "r12", "cc", "memory");
}

#else

/* The C twins of the assembly: the same reads and writes. */

/* A^T (...) A of one tile: y[0] y[1] its upper row, y[2] y[3] its lower. */
static MCUGEN_INLINE void mcugen_winograd_tile(const int32_t *m, uint32_t bias, uint32_t *y)
{
    uint32_t y00 = bias;
    uint32_t y01 = bias;
    uint32_t y10 = bias;
    uint32_t y11 = bias;
    for (int32_t x = 0; x < 4; ++x) {
        const uint32_t m0 = (uint32_t)m[8 * x];
        const uint32_t m1 = (uint32_t)m[8 * x + 32];
        const uint32_t m2 = (uint32_t)m[8 * x + 64];
        const uint32_t m3 = (uint32_t)m[8 * x + 96];
        const uint32_t s0 = m0 + m1 + m2;
        const uint32_t s1 = m1 - m2 - m3;
        y00 += x < 3 ? s0 : 0u;
        y10 += x < 3 ? s1 : 0u;
        y01 += x == 1 ? s0 : (x > 1 ? 0u - s0 : 0u);
        y11 += x == 1 ? s1 : (x > 1 ? 0u - s1 : 0u);
    }
    y[0] = y00;
    y[1] = y01;
    y[2] = y10;
    y[3] = y11;
}

MCUGEN_SHARED void mcugen_winograd_output_s8_dsp(const struct mcugen_winograd_output_s8_dsp *p)
{
    const int32_t zero_point = p->out_zero_point;
    for (int32_t k = 0; k < p->channels; ++k) {
        const uint32_t bias = (uint32_t)p->requantization[k];
        const int32_t multiplier = p->requantization[4 + k];
        for (int32_t tile = 0; tile < 2; ++tile) {
            const int32_t *m = p->sums + 2 * k + tile;
            int8_t *out = p->out + 2 * tile * p->pixel_step + k;
            uint32_t y[4];
            mcugen_winograd_tile(m, bias, y);
            out[0] = (int8_t)mcugen_ssat8(mcugen_smmlar((int32_t)y[0], multiplier, zero_point));
            out[p->pixel_step] = (int8_t)mcugen_ssat8(mcugen_smmlar((int32_t)y[1], multiplier, zero_point));
            out += p->row_step;
            out[0] = (int8_t)mcugen_ssat8(mcugen_smmlar((int32_t)y[2], multiplier, zero_point));
            out[p->pixel_step] = (int8_t)mcugen_ssat8(mcugen_smmlar((int32_t)y[3], multiplier, zero_point));
        }
    }
}

MCUGEN_SHARED void mcugen_winograd_sums_s8_dsp(const uint32_t *weights, const uint32_t *inputs, int32_t *sums,
                                               int32_t position_words)
{
    for (int32_t position = 0; position < 16; ++position) {
        int32_t acc[8] = {0};
        for (int32_t pair = 0; pair < position_words >> 1; ++pair) {
            for (int32_t k = 0; k < 4; ++k) {
                acc[2 * k] = mcugen_smlad(weights[k], inputs[0], acc[2 * k]);
                acc[2 * k + 1] = mcugen_smlad(weights[k], inputs[1], acc[2 * k + 1]);
            }
            weights += 4;
            inputs += 2;
        }
        for (int32_t i = 0; i < 8; ++i) {
            *sums++ = acc[i];
        }
    }
}

#endif

#endif /* MCUGEN_WINOGRAD_S8_DSP_H */

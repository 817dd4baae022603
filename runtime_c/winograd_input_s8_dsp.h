/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs' transform of winograd_s8_dsp.h, which has the layouts. */
#ifndef MCUGEN_WINOGRAD_INPUT_S8_DSP_H
#define MCUGEN_WINOGRAD_INPUT_S8_DSP_H

#include <stdint.h>

#include "mcugen.h"
#include "simd.h"

#if MCUGEN_HAVE_DSP

/* B^T d B of two tiles: 4 rows of 6 pixels at `in`, `row_step` bytes apart, `channels` (a multiple of 4) each.
 * First B^T d of 4 channels, column after column, on the stack: r0 in, r1 row step, r2 pixel step, r3 three rows, r4-r7 the even
 * channels, r8-r11 the odd, lr to.  Then its rows times B: r0 from, r4-r9 a row, r10 r11 the tiles' results, r12 to, lr bytes of
 * a position.  Stack: 192 in, 196 inputs, 200 channels left, 204 bytes of a position, 208 row step, 212 pixel step. */
MCUGEN_SHARED void mcugen_winograd_input_s8_dsp(const int8_t *in, int32_t row_step, int32_t channels, uint32_t *inputs,
                                                int32_t position_words)
{
    register const int8_t *from __asm__("r0") = in;
    register int32_t rows __asm__("r1") = row_step;
    register int32_t pixels __asm__("r2") = channels;
    register uint32_t *to __asm__("r3") = inputs;
    register int32_t words __asm__("r12") = position_words;
    __asm__ volatile(
        ".macro mcugen_results first, second, op, third, fourth\n\t"
        "\\op r10, \\first, \\second\n\t"
        "\\op r11, \\third, \\fourth\n\t"
        "str r10, [r12]\n\t"
        "str r11, [r12, #4]\n\t"
        "add r12, r12, lr\n\t"
        ".endm\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #220\n\t"
        "lsl r12, r12, #2\n\t"
        "str r3, [sp, #196]\n\t"
        "str r2, [sp, #200]\n\t"
        "str r12, [sp, #204]\n\t"
        "str r1, [sp, #208]\n\t"
        "str r2, [sp, #212]\n"
        "1:\n\t"
        "str r0, [sp, #192]\n\t"
        "ldr r1, [sp, #208]\n\t"
        "ldr r2, [sp, #212]\n\t"
        "add r3, r1, r1, lsl #1\n\t"
        "mov lr, sp\n"
        "2:\n\t"
        ".rept 2\n\t"
        "ldr r4, [r0]\n\t"
        "ldr r5, [r0, r1]\n\t"
        "ldr r6, [r0, r1, lsl #1]\n\t"
        "ldr r7, [r0, r3]\n\t"
        "add r0, r0, r2\n\t"
        "sxtb16 r8, r4, ror #8\n\t"
        "sxtb16 r9, r5, ror #8\n\t"
        "sxtb16 r10, r6, ror #8\n\t"
        "sxtb16 r11, r7, ror #8\n\t"
        "sxtb16 r4, r4\n\t"
        "sxtb16 r5, r5\n\t"
        "sxtb16 r6, r6\n\t"
        "sxtb16 r7, r7\n\t"
        "ssub16 r4, r4, r6\n\t"
        "ssub16 r7, r5, r7\n\t"
        "sadd16 r12, r5, r6\n\t"
        "ssub16 r6, r6, r5\n\t"
        "ssub16 r8, r8, r10\n\t"
        "ssub16 r11, r9, r11\n\t"
        "sadd16 r5, r9, r10\n\t"
        "ssub16 r10, r10, r9\n\t"
        "str r4, [lr], #32\n\t"
        "str r12, [lr, #-28]\n\t"
        "str r6, [lr, #-24]\n\t"
        "str r7, [lr, #-20]\n\t"
        "str r8, [lr, #-16]\n\t"
        "str r5, [lr, #-12]\n\t"
        "str r10, [lr, #-8]\n\t"
        "str r11, [lr, #-4]\n\t"
        ".endr\n\t"
        "add r12, sp, #192\n\t"
        "cmp lr, r12\n\t"
        "bne.w 2b\n\t"
        "ldr r12, [sp, #196]\n\t"
        "ldr lr, [sp, #204]\n\t"
        "mov r0, sp\n"
        "3:\n\t"
        ".rept 4\n\t"
        "ldr r5, [r0, #32]\n\t"
        "ldr r6, [r0, #64]\n\t"
        "ldr r7, [r0, #96]\n\t"
        "ldr r8, [r0, #128]\n\t"
        "ldr r9, [r0, #160]\n\t"
        "ldr r4, [r0], #4\n\t"
        "mcugen_results r4, r6, ssub16, r6, r8\n\t"
        "mcugen_results r5, r6, sadd16, r7, r8\n\t"
        "mcugen_results r6, r5, ssub16, r8, r7\n\t"
        "mcugen_results r5, r7, ssub16, r7, r9\n\t"
        ".endr\n\t"
        "add r3, sp, #16\n\t"
        "sub r12, r12, lr, lsl #4\n\t"
        "add r12, r12, #8\n\t"
        "cmp r0, r3\n\t"
        "beq.w 3b\n\t"
        "ldr r0, [sp, #192]\n\t"
        "ldr r3, [sp, #200]\n\t"
        "str r12, [sp, #196]\n\t"
        "add r0, r0, #4\n\t"
        "subs r3, r3, #4\n\t"
        "str r3, [sp, #200]\n\t"
        "bne.w 1b\n\t"
        "add sp, sp, #220\n\t"
        "pop {r4-r11, lr}\n\t"
        ".purgem mcugen_results\n\t"
        : "+r"(from), "+r"(rows), "+r"(pixels), "+r"(to), "+r"(words)
        :
        : "cc", "memory");
}

#else

/* The C twin of the assembly: the same reads and writes. */

/* One row of B^T d of two tiles, t[0..5], times B: 4 positions a tile. */
static MCUGEN_INLINE void mcugen_winograd_row(const uint32_t *t, uint32_t *to, int32_t position_words)
{
    for (int32_t tile = 0; tile < 2; ++tile) {
        to[tile] = mcugen_ssub16(t[2 * tile], t[2 * tile + 2]);
        to[tile + position_words] = mcugen_sadd16(t[2 * tile + 1], t[2 * tile + 2]);
        to[tile + 2 * position_words] = mcugen_ssub16(t[2 * tile + 2], t[2 * tile + 1]);
        to[tile + 3 * position_words] = mcugen_ssub16(t[2 * tile + 1], t[2 * tile + 3]);
    }
}

/* Two channels of a word of four. */
static MCUGEN_INLINE uint32_t mcugen_winograd_half(const int8_t *word, int32_t half)
{
    const uint32_t v = mcugen_load32(word);
    return half ? mcugen_sxtb16_ror8(v) : mcugen_sxtb16(v);
}

static MCUGEN_INLINE void mcugen_winograd_halves(const int8_t *in, int32_t row_step, int32_t channels, uint32_t *to,
                                                 int32_t position_words, int32_t half)
{
    uint32_t t[6];
    uint32_t s[6];
    for (int32_t x = 0; x < 6; ++x) {
        const int8_t *d = in + x * channels;
        t[x] = mcugen_ssub16(mcugen_winograd_half(d, half), mcugen_winograd_half(d + 2 * row_step, half));
    }
    mcugen_winograd_row(t, to, position_words);
    for (int32_t x = 0; x < 6; ++x) {
        const int8_t *d = in + x * channels + row_step;
        const uint32_t d1 = mcugen_winograd_half(d, half);
        const uint32_t d2 = mcugen_winograd_half(d + row_step, half);
        t[x] = mcugen_sadd16(d1, d2);
        s[x] = mcugen_ssub16(d2, d1);
    }
    mcugen_winograd_row(t, to + 4 * position_words, position_words);
    mcugen_winograd_row(s, to + 8 * position_words, position_words);
    for (int32_t x = 0; x < 6; ++x) {
        const int8_t *d = in + x * channels + row_step;
        t[x] = mcugen_ssub16(mcugen_winograd_half(d, half), mcugen_winograd_half(d + 2 * row_step, half));
    }
    mcugen_winograd_row(t, to + 12 * position_words, position_words);
}

MCUGEN_SHARED void mcugen_winograd_input_s8_dsp(const int8_t *in, int32_t row_step, int32_t channels, uint32_t *inputs,
                                                int32_t position_words)
{
    for (int32_t c = 0; c < channels; c += 4) {
        mcugen_winograd_halves(in, row_step, channels, inputs, position_words, 0);
        mcugen_winograd_halves(in, row_step, channels, inputs + 2, position_words, 1);
        in += 4;
        inputs += 4;
    }
}

#endif

#endif /* MCUGEN_WINOGRAD_INPUT_S8_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 convolution with stride 1 from int8 to int16 by Winograd's F(2x2, 3x3), for cores with the DSP instructions. */
#ifndef MCUGEN_CONV2D_WINOGRAD_S16_DSP_H
#define MCUGEN_CONV2D_WINOGRAD_S16_DSP_H

#include "clamp_s16.h"
#include "conv2d_winograd_s8_dsp.h"

#if MCUGEN_HAVE_DSP

/* A^T (...) A and requantization of four output channels of two tiles.
 * r0 sums, r1-r4 a column of them, r5-r8 outputs, r9 bias, r10 multiplier, r11 zero point, r12 out, lr row step.
 * Stack: 0 requantization, 4 channels left, 8 out, 12 pixel step. */
MCUGEN_SHARED void mcugen_winograd_output_s16_dsp(const struct mcugen_winograd_output_s8_dsp *output)
{
    register const struct mcugen_winograd_output_s8_dsp *p __asm__("r0") = output;
    __asm__ volatile(
        ".macro mcugen_sums_column at\n\t"
        "ldr r1, [r0, #\\at]\n\t"
        "ldr r2, [r0, #\\at + 128]\n\t"
        "ldr r3, [r0, #\\at + 256]\n\t"
        "ldr r4, [r0, #\\at + 384]\n\t"
        ".endm\n\t"
        ".macro mcugen_tile at\n\t"
        "mcugen_sums_column \\at\n\t"
        "add r5, r9, r1\n\t"
        "add r7, r9, r2\n\t"
        "add r5, r5, r2\n\t"
        "sub r7, r7, r3\n\t"
        "add r5, r5, r3\n\t"
        "sub r7, r7, r4\n\t"
        "mcugen_sums_column \\at + 32\n\t"
        "add r1, r1, r2\n\t"
        "sub r2, r2, r3\n\t"
        "add r1, r1, r3\n\t"
        "sub r2, r2, r4\n\t"
        "add r5, r5, r1\n\t"
        "add r6, r9, r1\n\t"
        "add r7, r7, r2\n\t"
        "add r8, r9, r2\n\t"
        "mcugen_sums_column \\at + 64\n\t"
        "add r1, r1, r2\n\t"
        "sub r2, r2, r3\n\t"
        "add r1, r1, r3\n\t"
        "sub r2, r2, r4\n\t"
        "add r5, r5, r1\n\t"
        "sub r6, r6, r1\n\t"
        "add r7, r7, r2\n\t"
        "sub r8, r8, r2\n\t"
        "mcugen_sums_column \\at + 96\n\t"
        "sub r6, r6, r1\n\t"
        "sub r8, r8, r2\n\t"
        "sub r6, r6, r2\n\t"
        "add r8, r8, r3\n\t"
        "sub r6, r6, r3\n\t"
        "add r8, r8, r4\n\t"
        "smmlar r5, r5, r10, r11\n\t"
        "smmlar r6, r6, r10, r11\n\t"
        "smmlar r7, r7, r10, r11\n\t"
        "smmlar r8, r8, r10, r11\n\t"
        "ssat r5, #16, r5\n\t"
        "ssat r6, #16, r6\n\t"
        "ssat r7, #16, r7\n\t"
        "ssat r8, #16, r8\n\t"
        "ldr r1, [sp, #12]\n\t"
        "strh r5, [r12]\n\t"
        "strh r7, [r12, lr]\n\t"
        "add r12, r12, r1\n\t"
        "strh r6, [r12]\n\t"
        "strh r8, [r12, lr]\n\t"
        "add r12, r12, r1\n\t"
        ".endm\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #20\n\t"
        "ldm r0, {r0-r6}\n\t" /* sums, requantization, zero point, pixel step, row step, channels, out */
        "mov r11, r2\n\t"
        "str r3, [sp, #12]\n\t"
        "mov lr, r4\n"
        "1:\n\t"
        "str r5, [sp, #4]\n\t"
        "str r6, [sp, #8]\n\t"
        "ldr r10, [r1, #16]\n\t"
        "ldr r9, [r1], #4\n\t"
        "str r1, [sp, #0]\n\t"
        "mov r12, r6\n\t"
        "mcugen_tile 0\n\t"
        "mcugen_tile 4\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r5, [sp, #4]\n\t"
        "ldr r6, [sp, #8]\n\t"
        "add r0, r0, #8\n\t"
        "add r6, r6, #2\n\t"
        "subs r5, r5, #1\n\t"
        "bne.w 1b\n\t"
        "add sp, sp, #20\n\t"
        "pop {r4-r11, lr}\n\t"
        ".purgem mcugen_tile\n\t"
        ".purgem mcugen_sums_column\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE void mcugen_winograd_put_s16(int8_t *out, int32_t value)
{
    mcugen_put(out, 0, mcugen_saturate_stored(value, MCUGEN_STORE_S16), 2);
}

MCUGEN_SHARED void mcugen_winograd_output_s16_dsp(const struct mcugen_winograd_output_s8_dsp *p)
{
    const int32_t zero_point = p->out_zero_point;
    for (int32_t k = 0; k < p->channels; ++k) {
        const uint32_t bias = (uint32_t)p->requantization[k];
        const int32_t multiplier = p->requantization[4 + k];
        for (int32_t tile = 0; tile < 2; ++tile) {
            const int32_t *m = p->sums + 2 * k + tile;
            int8_t *out = p->out + 2 * tile * p->pixel_step + 2 * k;
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
            mcugen_winograd_put_s16(out, mcugen_smmlar((int32_t)y00, multiplier, zero_point));
            mcugen_winograd_put_s16(out + p->pixel_step, mcugen_smmlar((int32_t)y01, multiplier, zero_point));
            out += p->row_step;
            mcugen_winograd_put_s16(out, mcugen_smmlar((int32_t)y10, multiplier, zero_point));
            mcugen_winograd_put_s16(out + p->pixel_step, mcugen_smmlar((int32_t)y11, multiplier, zero_point));
        }
    }
}

#endif

/* As conv2d_winograd_s8_dsp, out int16; scratch: 64 * P bytes with P the input channels rounded up to 16, and the larger of a
 * patch of 24 * in_c bytes and of 512 bytes of sums and 16 bytes for each output channel, rounded up to 4. */
struct mcugen_conv2d_winograd_s16_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
    const int32_t *requantization;
};

static MCUGEN_INLINE void mcugen_conv2d_winograd_s16_dsp(const struct mcugen_conv2d_winograd_s16_dsp *p, const int8_t *in,
                                                         int8_t *out, void *scratch)
{
    const struct mcugen_conv2d_winograd_s8_dsp narrow = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .in_zero_point = p->in_zero_point,
    };
    const int32_t position_words = (p->in_c + 15) & ~15;
    const int32_t pixel = 2 * p->out_c;
    const int32_t out_row = p->out_w * pixel;
    uint32_t *inputs = (uint32_t *)scratch;
    int8_t *patch = (int8_t *)(inputs + 16 * position_words);
    int32_t *sums = (int32_t *)(inputs + 16 * position_words);
    int8_t *tiles = (int8_t *)(sums + MCUGEN_WINOGRAD_SUMS);
    struct mcugen_winograd_output_s8_dsp output = {.sums = sums, .out_zero_point = p->out_zero_point, .pixel_step = pixel};
    for (int32_t i = 0; i < 16 * position_words; ++i) {
        inputs[i] = 0; /* the channels up to the multiple of 16 */
    }
    for (int32_t oy = 0; oy < p->out_h; oy += 2) {
        for (int32_t ox = 0; ox < p->out_w; ox += 4) {
            const int32_t y = oy - p->pad_top;
            const int32_t x = ox - p->pad_left;
            const int8_t *from = in;
            int32_t row_step = p->in_w * p->in_c;
            if (y < 0 || y + 4 > p->in_h || x < 0 || x + 6 > p->in_w) {
                mcugen_winograd_patch_s8_dsp(&narrow, in, y, x, patch);
                from = patch;
                row_step = 6 * p->in_c;
            } else {
                from += ((ptrdiff_t)y * p->in_w + x) * p->in_c;
            }
            mcugen_winograd_input_s8_dsp(from, row_step, p->in_c, inputs, position_words);
            const bool whole = oy + 2 <= p->out_h && ox + 4 <= p->out_w;
            int8_t *to = out + (ptrdiff_t)oy * out_row + (ptrdiff_t)ox * pixel;
            const uint32_t *weights = p->weights;
            output.row_step = whole ? out_row : 4 * pixel;
            for (int32_t k = 0; k < p->out_c; k += 4) {
                mcugen_winograd_sums_s8_dsp(weights, inputs, sums, position_words);
                output.requantization = p->requantization + 2 * k;
                output.channels = p->out_c - k < 4 ? p->out_c - k : 4;
                output.out = (whole ? to : tiles) + 2 * k;
                mcugen_winograd_output_s16_dsp(&output);
                weights += 32 * position_words;
            }
            if (!whole) {
                const int32_t rows = p->out_h - oy < 2 ? p->out_h - oy : 2;
                const int32_t columns = p->out_w - ox < 4 ? p->out_w - ox : 4;
                mcugen_winograd_copy_s8_dsp(tiles, 4 * pixel, to, out_row, rows, columns * pixel);
            }
        }
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max, MCUGEN_STORE_S16);
}

#endif /* MCUGEN_CONV2D_WINOGRAD_S16_DSP_H */

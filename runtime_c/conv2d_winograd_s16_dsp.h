/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 convolution with stride 1 from int8 to int16 by Winograd's F(2x2, 3x3), for cores with the DSP instructions. */
#ifndef MCUGEN_CONV2D_WINOGRAD_S16_DSP_H
#define MCUGEN_CONV2D_WINOGRAD_S16_DSP_H

#include "clamp_s16.h"
#include "conv2d_winograd_s8_dsp.h"

#if MCUGEN_HAVE_DSP

/* As mcugen_winograd_output_s8_dsp, to int16. */
MCUGEN_SHARED void mcugen_winograd_output_s16_dsp(const struct mcugen_winograd_output_s8_dsp *output)
{
    register const struct mcugen_winograd_output_s8_dsp *p __asm__("r0") = output;
    __asm__ volatile(
        MCUGEN_ASM_WINOGRAD_OUTPUT("16", "strh", "2")
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
            uint32_t y[4];
            mcugen_winograd_tile(m, bias, y);
            mcugen_winograd_put_s16(out, mcugen_smmlar((int32_t)y[0], multiplier, zero_point));
            mcugen_winograd_put_s16(out + p->pixel_step, mcugen_smmlar((int32_t)y[1], multiplier, zero_point));
            out += p->row_step;
            mcugen_winograd_put_s16(out, mcugen_smmlar((int32_t)y[2], multiplier, zero_point));
            mcugen_winograd_put_s16(out + p->pixel_step, mcugen_smmlar((int32_t)y[3], multiplier, zero_point));
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

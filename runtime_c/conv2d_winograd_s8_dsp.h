/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 convolution, stride 1, int8, by Winograd's F(2x2, 3x3), for cores with the DSP instructions; bit-exact with the direct
 * form, see winograd_s8_dsp.h. */
#ifndef MCUGEN_CONV2D_WINOGRAD_S8_DSP_H
#define MCUGEN_CONV2D_WINOGRAD_S8_DSP_H

#include <stdbool.h>

#include "clamp_s8.h"
#include "winograd_s8_dsp.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c]; in_c a multiple of 4.  weights: as winograd_s8_dsp.h says; requantization:
 * for every 4 output channels 4 * bias[4], multiplier[4].  Two tiles, 2 rows of 4 output pixels, at a time.
 * scratch, with P = in_c rounded up to 16: 64 * P bytes, then the larger of 24 * in_c and 512 + 8 * out_c rounded up to 4. */
struct mcugen_conv2d_winograd_s8_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
    const int32_t *requantization;
};

/* `words` words, or as often the word at `from` where the step is 0; returns the place behind them. */
static MCUGEN_INLINE int8_t *mcugen_winograd_words(int8_t *to, const int8_t *from, int32_t words, int32_t step)
{
    for (; words >= 4; words -= 4) {
        const uint32_t a = mcugen_load32(from);
        const uint32_t b = mcugen_load32(from + step);
        const uint32_t c = mcugen_load32(from + 2 * step);
        const uint32_t d = mcugen_load32(from + 3 * step);
        mcugen_store32(to, a);
        mcugen_store32(to + 4, b);
        mcugen_store32(to + 8, c);
        mcugen_store32(to + 12, d);
        from += 4 * step;
        to += 16;
    }
    for (; words > 0; --words) {
        mcugen_store32(to, mcugen_load32(from));
        from += step;
        to += 4;
    }
    return to;
}

/* 4 rows of 6 pixels from (y, x) into `patch`; pixels beside the image are zero points. */
MCUGEN_SHARED void mcugen_winograd_patch_s8_dsp(const struct mcugen_conv2d_winograd_s8_dsp *p, const int8_t *in, int32_t y,
                                                int32_t x, int8_t *patch)
{
    const uint32_t zero_points = (uint32_t)(uint8_t)p->in_zero_point * 0x01010101u;
    const int8_t *padding = (const int8_t *)&zero_points;
    const int32_t pixel = p->in_c >> 2;
    const int32_t left = x < 0 ? -x : 0;
    const int32_t end = p->in_w - x < 6 ? p->in_w - x : 6;
    for (int32_t i = y; i < y + 4; ++i) {
        if (i < 0 || i >= p->in_h || end <= left) {
            patch = mcugen_winograd_words(patch, padding, 6 * pixel, 0);
        } else {
            const int8_t *from = in + ((ptrdiff_t)i * p->in_w + x + left) * p->in_c;
            patch = mcugen_winograd_words(patch, padding, left * pixel, 0);
            patch = mcugen_winograd_words(patch, from, (end - left) * pixel, 4);
            patch = mcugen_winograd_words(patch, padding, (6 - end) * pixel, 0);
        }
    }
}

/* `rows` times `bytes` bytes. */
MCUGEN_SHARED void mcugen_winograd_copy_s8_dsp(const int8_t *from, int32_t from_step, int8_t *to, int32_t to_step,
                                               int32_t rows, int32_t bytes)
{
    for (; rows > 0; --rows) {
        int32_t i = 0;
        for (; i + 4 <= bytes; i += 4) {
            mcugen_store32(to + i, mcugen_load32(from + i));
        }
        for (; i < bytes; ++i) {
            to[i] = from[i];
        }
        from += from_step;
        to += to_step;
    }
}

static MCUGEN_INLINE void mcugen_conv2d_winograd_s8_dsp(const struct mcugen_conv2d_winograd_s8_dsp *p, const int8_t *in,
                                                        int8_t *out, void *scratch)
{
    const int32_t position_words = (p->in_c + 15) & ~15;
    uint32_t *inputs = (uint32_t *)scratch;
    int8_t *patch = (int8_t *)(inputs + 16 * position_words);
    int32_t *sums = (int32_t *)(inputs + 16 * position_words);
    int8_t *tiles = (int8_t *)(sums + MCUGEN_WINOGRAD_SUMS);
    const int32_t out_row = p->out_w * p->out_c;
    struct mcugen_winograd_output_s8_dsp output = {.sums = sums, .out_zero_point = p->out_zero_point, .pixel_step = p->out_c};
    for (int32_t i = 0; i < 16 * position_words; ++i) {
        inputs[i] = 0; /* the channels up to the multiple of 16 */
    }
    for (int32_t oy = 0; oy < p->out_h; oy += 2) {
        for (int32_t ox = 0; ox < p->out_w; ox += 4) {
            const int32_t y = oy - p->pad_top;
            const int32_t x = ox - p->pad_left;
            const int8_t *from = in + ((ptrdiff_t)y * p->in_w + x) * p->in_c;
            int32_t row_step = p->in_w * p->in_c;
            if (y < 0 || y + 4 > p->in_h || x < 0 || x + 6 > p->in_w) {
                mcugen_winograd_patch_s8_dsp(p, in, y, x, patch);
                from = patch;
                row_step = 6 * p->in_c;
            }
            mcugen_winograd_input_s8_dsp(from, row_step, p->in_c, inputs, position_words);
            const bool whole = oy + 2 <= p->out_h && ox + 4 <= p->out_w;
            int8_t *to = out + (ptrdiff_t)oy * out_row + ox * p->out_c;
            const uint32_t *weights = p->weights;
            output.row_step = whole ? out_row : 4 * p->out_c;
            for (int32_t k = 0; k < p->out_c; k += 4) {
                mcugen_winograd_sums_s8_dsp(weights, inputs, sums, position_words);
                output.requantization = p->requantization + 2 * k;
                output.channels = p->out_c - k < 4 ? p->out_c - k : 4;
                output.out = (whole ? to : tiles) + k;
                mcugen_winograd_output_s8_dsp(&output);
                weights += 32 * position_words;
            }
            if (!whole) {
                const int32_t rows = p->out_h - oy < 2 ? p->out_h - oy : 2;
                const int32_t columns = p->out_w - ox < 4 ? p->out_w - ox : 4;
                mcugen_winograd_copy_s8_dsp(tiles, 4 * p->out_c, to, out_row, rows, columns * p->out_c);
            }
        }
    }
    mcugen_clamp_s8(out, p->out_h * out_row, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_WINOGRAD_S8_DSP_H */

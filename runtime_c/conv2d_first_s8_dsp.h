/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with few input channels, int8, for cores with the DSP instructions: a kernel row is one short run of
 * bytes, which is unpacked straight from the image; 3 channels of 2 pixels are computed at a time.
 * Weights in [-127, 127], |accumulator| < 2^23, multipliers multiples of 256 (see matmul_s8_dsp.h). */
#ifndef MCUGEN_CONV2D_FIRST_S8_DSP_H
#define MCUGEN_CONV2D_FIRST_S8_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s8.h"
#include "column_s8_dsp.h"
#include "matmul_s8_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c], out_c >= 2.  Weights: the stream of matmul_s8_dsp.h with blocks3
 * blocks of 3 channels, the others of 2.  A kernel row of kernel_w * in_c bytes is row_head (0 or 1) single bytes and
 * then row_words <= 4 words; bytes of the last word that are behind the row have zero weights.  The single bytes of up
 * to 4 rows make one word, the last of them its lowest byte, which stands before the words of its row; the last row
 * ends a word, the fifth to last, and so on. Scratch, with S words a window: 16 * S bytes for each of `batch` pairs of
 * pixels, and kernel_h * row_bytes bytes, row_bytes = row_head + 4 * row_words rounded up to 4.  Up to 3 bytes behind
 * the input are read where a row's last word is not full. */
struct mcugen_conv2d_first_s8_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t row_head, row_words;
    int32_t blocks3;
    int32_t batch;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_column_put(uint32_t *column, uint32_t word)
{
    column[0] = mcugen_column_y(word);
    column[1] = mcugen_column_x(word);
}

/* `rows` rows, `pitch` bytes apart, into one pixel's half of a column. */
static MCUGEN_INLINE void mcugen_column_short_rows(const int8_t *in, int32_t pitch, uint32_t *column, int32_t rows,
                                                   int32_t head, int32_t words)
{
    uint32_t heads = 0;
    MCUGEN_UNROLL
    for (int32_t left = rows; left > 0; --left) {
        const int8_t *row = in + head;
        const uint32_t a = words > 0 ? mcugen_load32(row) : 0;
        const uint32_t b = words > 1 ? mcugen_load32(row + 4) : 0;
        const uint32_t c = words > 2 ? mcugen_load32(row + 8) : 0;
        const uint32_t d = words > 3 ? mcugen_load32(row + 12) : 0;
        if (head) {
            heads = heads << 8 | (uint8_t)in[0];
            if ((left & 3) == 1) {
                mcugen_column_put(column, heads);
                column += 4;
                heads = 0;
            }
        }
        if (words > 0) {
            mcugen_column_put(column, a);
        }
        if (words > 1) {
            mcugen_column_put(column + 4, b);
        }
        if (words > 2) {
            mcugen_column_put(column + 8, c);
        }
        if (words > 3) {
            mcugen_column_put(column + 12, d);
        }
        column += 4 * words;
        in += pitch;
    }
}

static MCUGEN_INLINE void mcugen_conv2d_first_s8_dsp(const struct mcugen_conv2d_first_s8_dsp *p, const int8_t *in,
                                                     int8_t *out, void *scratch)
{
    const int32_t steps = p->kernel_h * p->row_words + (p->row_head ? (p->kernel_h + 3) >> 2 : 0);
    uint32_t *columns = (uint32_t *)scratch;
    int8_t *bytes = (int8_t *)(columns + 4 * steps * p->batch);
    struct mcugen_matmul_s8_dsp m =
        mcugen_matmul_start(p->weights, p->blocks3, p->out_c, steps, p->out_zero_point, columns, out);
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point,
        .row_bytes = (p->row_head + 4 * p->row_words + 3) & ~3,
    };
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    int32_t filled = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            const int8_t *from = bytes;
            int32_t pitch = w.row_bytes;
            if (row_inside && x >= 0 && x <= x_last) {
                from = in + (y * p->in_w + x) * p->in_c;
                pitch = p->dilation_h * p->in_w * p->in_c;
            } else {
                mcugen_window_s8(&w, in, y, x, bytes);
            }
            mcugen_column_short_rows(from, pitch, mcugen_matmul_slot(columns, steps, filled), p->kernel_h, p->row_head,
                                     p->row_words);
            filled = mcugen_matmul_filled(&m, filled + 1, p->batch);
        }
    }
    mcugen_matmul_finish(&m, filled);
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_FIRST_S8_DSP_H */

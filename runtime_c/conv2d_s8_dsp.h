/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation and padding, for cores with the DSP instructions: every output
 * pixel's window is unpacked into a column, and 3 channels of 2 pixels are computed at a time.
 * Weights in [-127, 127], |accumulator| < 2^23, multipliers multiples of 256 (see matmul_s8_dsp.h). */
#ifndef MCUGEN_CONV2D_S8_DSP_H
#define MCUGEN_CONV2D_S8_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s8.h"
#include "column_s8_dsp.h"
#include "matmul_s8_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c], out_c >= 2.  Weights: the stream of matmul_s8_dsp.h with blocks3
 * blocks of 3 channels, the others of 2, inputs in the order [kernel_h][kernel_w][in_c].  Padded taps read
 * in_zero_point. Scratch, with K = kernel_h * kernel_w * in_c rounded up to 4: 4 * K bytes for each of `batch` pairs of
 * pixels, and K bytes more where in_c is no multiple of 4.  Up to 3 bytes behind the input are read where kernel_h is
 * 1. */
struct mcugen_conv2d_s8_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t blocks3;
    int32_t batch;
    const uint32_t *weights;
};

/* The window at (y, x) into one pixel's half of a column; in_c a multiple of 4. */
static MCUGEN_INLINE void mcugen_window_words_s8_dsp(const struct mcugen_conv2d_s8_dsp *p, const int8_t *in, int32_t y,
                                                     int32_t x, uint32_t *column)
{
    const int32_t tap = p->in_c >> 2;
    const int32_t taps = p->dilation_w == 1 ? p->kernel_w : 1;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        for (int32_t kx = 0; kx < p->kernel_w; kx += taps) {
            const int32_t first = x + kx * p->dilation_w;
            struct mcugen_span s = mcugen_row_span(first, taps, p->in_w);
            if (y < 0 || y >= p->in_h) {
                s.left = s.right = taps;
            }
            column = mcugen_column_constant_s8_dsp(p->in_zero_point, column, tap * s.left);
            if (s.right > s.left) {
                const int32_t steps = tap * (s.right - s.left);
                mcugen_column_rows_s8_dsp(in + (y * p->in_w + first + s.left) * p->in_c, 0, column, steps, 1);
                column += 4 * steps;
            }
            column = mcugen_column_constant_s8_dsp(p->in_zero_point, column, tap * (taps - s.right));
        }
    }
}

/* The window at (y, x) into one pixel's half of a column. */
static MCUGEN_INLINE void mcugen_window_s8_dsp(const struct mcugen_conv2d_s8_dsp *p, const int8_t *in, int32_t y,
                                               int32_t x, bool inside, uint32_t *column, int8_t *bytes)
{
    const int32_t run = p->kernel_w * p->in_c;
    if (inside && ((run & 3) == 0 || p->kernel_h == 1)) {
        const int32_t pitch = p->in_w * p->in_c;
        const int8_t *from = in + y * pitch + x * p->in_c;
        mcugen_column_rows_s8_dsp(from, p->dilation_h * pitch, column, (run + 3) >> 2, p->kernel_h);
    } else if ((p->in_c & 3) == 0) {
        mcugen_window_words_s8_dsp(p, in, y, x, column);
    } else {
        const struct mcugen_window_s8 w = {
            .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
            .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = run,
        };
        mcugen_window_s8(&w, in, y, x, bytes);
        mcugen_column_rows_s8_dsp(bytes, 0, column, (p->kernel_h * run + 3) >> 2, 1);
    }
}

static MCUGEN_INLINE void mcugen_conv2d_s8_dsp(const struct mcugen_conv2d_s8_dsp *p, const int8_t *in, int8_t *out,
                                               void *scratch)
{
    const int32_t steps = (p->kernel_h * p->kernel_w * p->in_c + 3) >> 2;
    uint32_t *columns = (uint32_t *)scratch;
    int8_t *bytes = (int8_t *)(columns + 4 * steps * p->batch);
    struct mcugen_matmul_s8_dsp m =
        mcugen_matmul_start(p->weights, p->blocks3, p->out_c, steps, p->out_zero_point, columns, out);
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    int32_t filled = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            const bool inside = row_inside && x >= 0 && x <= x_last;
            mcugen_window_s8_dsp(p, in, y, x, inside, mcugen_matmul_slot(columns, steps, filled), bytes);
            filled = mcugen_matmul_filled(&m, filled + 1, p->batch);
        }
    }
    mcugen_matmul_finish(&m, filled);
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_S8_DSP_H */

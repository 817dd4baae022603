/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation and padding, in_c a multiple of 4, for cores with the DSP
 * instructions: as conv2d_s8_dsp.h with half the scratch and a few more cycles.
 * Weights in [-127, 127], |accumulator| < 2^23, multipliers multiples of 256 (see matmul_s8_dsp.h). */
#ifndef MCUGEN_CONV2D_LEAN_S8_DSP_H
#define MCUGEN_CONV2D_LEAN_S8_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s8.h"
#include "matmul_lean_s8_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c], in_c a multiple of 4, out_c >= 2.  Weights as for conv2d_s8_dsp.h. 
 * Padded taps read in_zero_point.  Scratch: 2 * kernel_h * kernel_w * in_c bytes. */
struct mcugen_conv2d_lean_s8_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t blocks3;
    const uint32_t *weights;
};

/* `steps` words to every second word of `column`; returns the word behind them. */
static MCUGEN_INLINE uint32_t *mcugen_column_copy(const int8_t *in, uint32_t *column, int32_t steps)
{
    for (int32_t n = steps & 3; n > 0; --n) {
        column[0] = mcugen_load32(in);
        in += 4;
        column += 2;
    }
    for (int32_t n = steps >> 2; n > 0; --n) {
        const uint32_t a = mcugen_load32(in);
        const uint32_t b = mcugen_load32(in + 4);
        const uint32_t c = mcugen_load32(in + 8);
        const uint32_t d = mcugen_load32(in + 12);
        in += 16;
        column[0] = a;
        column[2] = b;
        column[4] = c;
        column[6] = d;
        column += 8;
    }
    return column;
}

static MCUGEN_INLINE uint32_t *mcugen_column_fill(int32_t value, uint32_t *column, int32_t steps)
{
    for (; steps > 0; --steps) {
        *column = (uint32_t)(uint8_t)value * 0x01010101u;
        column += 2;
    }
    return column;
}

/* The window at (y, x) into one pixel's half of a column. */
static MCUGEN_INLINE void mcugen_window_lean_s8_dsp(const struct mcugen_conv2d_lean_s8_dsp *p, const int8_t *in,
                                                    int32_t y, int32_t x, uint32_t *column)
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
            column = mcugen_column_fill(p->in_zero_point, column, tap * s.left);
            if (s.right > s.left) {
                const int8_t *from = in + (y * p->in_w + first + s.left) * p->in_c;
                column = mcugen_column_copy(from, column, tap * (s.right - s.left));
            }
            column = mcugen_column_fill(p->in_zero_point, column, tap * (taps - s.right));
        }
    }
}

static MCUGEN_INLINE void mcugen_conv2d_lean_s8_dsp(const struct mcugen_conv2d_lean_s8_dsp *p, const int8_t *in,
                                                    int8_t *out, void *scratch)
{
    const int32_t steps = (p->kernel_h * p->kernel_w * p->in_c) >> 2;
    uint32_t *column = (uint32_t *)scratch;
    struct mcugen_matmul_lean_s8_dsp m = {
        .weights = p->weights,
        .weights_end3 = p->weights + 3 * p->blocks3 * (steps + 2),
        .weights_end = p->weights + p->out_c * (steps + 2),
        .column = column,
        .out = out,
        .out_stride = p->out_c,
        .steps = steps,
        .zero_point = p->out_zero_point,
    };
    bool second = false;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            mcugen_window_lean_s8_dsp(p, in, y, x, second ? column + 1 : column);
            if (second) {
                mcugen_matmul_lean_s8_dsp(&m);
                m.out += 2 * p->out_c;
            }
            second = !second;
        }
    }
    if (second) {
        m.out_stride = 0;
        mcugen_matmul_lean_s8_dsp(&m);
    }
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_LEAN_S8_DSP_H */

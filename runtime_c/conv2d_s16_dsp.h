/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with int8 weights that reads or writes int16, channels-last, any kernel, stride, dilation and padding, for cores
 * with the DSP instructions: 3 (or 2) channels of 2 pixels at a time. */
#ifndef MCUGEN_CONV2D_S16_DSP_H
#define MCUGEN_CONV2D_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s16.h"
#include "matmul_s16_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c], stored as `store` says.  Weights: the stream of
 * matmul_s16_dsp.h, blocks3 blocks of 3 channels and the rest of 2, inputs in the order [kernel_h][kernel_w][in_c], in groups of
 * four; of int8 the inputs 1 and 2 of a group change places.  int8 inputs count 2^in_shift times.  Padded taps read
 * in_zero_point.  Scratch: `batch` columns of 16 bytes for every group of four inputs, and where in_c is no multiple of 4 or taps
 * are padded, one window, its size rounded up to groups of four. */
struct mcugen_conv2d_s16_dsp {
    int32_t in_bytes, store;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t in_shift;
    int32_t blocks3;
    int32_t batch;
    const uint32_t *weights;
};

/* Inputs into one pixel's half of a column of pairs: `groups` of four of each of `rows` rows, which begin `pitch` bytes apart. */
MCUGEN_SHARED void mcugen_column_s16_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t groups, int32_t rows)
{
    for (; rows > 0; --rows) {
        const int8_t *from = in;
        int32_t n = groups;
        if (n & 1) {
            const uint32_t a = mcugen_load32(from);
            const uint32_t b = mcugen_load32(from + 4);
            column[0] = a;
            column[1] = b;
            from += 8;
            column += 4;
        }
        for (n >>= 1; n > 0; --n) {
            const uint32_t a = mcugen_load32(from);
            const uint32_t b = mcugen_load32(from + 4);
            const uint32_t c = mcugen_load32(from + 8);
            const uint32_t d = mcugen_load32(from + 12);
            column[0] = a;
            column[1] = b;
            column[4] = c;
            column[5] = d;
            from += 16;
            column += 8;
        }
        in += pitch;
    }
}

/* The same from int8, as bytes 0 and 2, and 1 and 3. */
static MCUGEN_INLINE void mcugen_column_s8_s16_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t groups,
                                                   int32_t rows, int32_t shift)
{
    for (; rows > 0; --rows) {
        for (int32_t i = 0; i < groups; ++i) {
            const uint32_t a = mcugen_load32(in + 4 * i);
            column[0] = mcugen_shift_pair(mcugen_sxtb16(a), shift);
            column[1] = mcugen_shift_pair(mcugen_sxtb16_ror8(a), shift);
            column += 4;
        }
        in += pitch;
    }
}

static MCUGEN_INLINE void mcugen_fill_column_s16_dsp(const struct mcugen_conv2d_s16_dsp *p, const int8_t *in,
                                                     int32_t pitch, uint32_t *column, int32_t groups, int32_t rows)
{
    if (p->in_bytes == 2) {
        mcugen_column_s16_dsp(in, pitch, column, groups, rows);
    } else {
        mcugen_column_s8_s16_dsp(in, pitch, column, groups, rows, p->in_shift);
    }
}

static MCUGEN_INLINE void mcugen_conv2d_s16_dsp(const struct mcugen_conv2d_s16_dsp *p, const int8_t *in, int8_t *out,
                                                void *scratch)
{
    const int32_t pixel = p->in_c * p->in_bytes;
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t steps = (p->kernel_h * run + 3) >> 2;
    const int32_t out_bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    uint32_t *columns = (uint32_t *)scratch;
    int8_t *staged = (int8_t *)(columns + 4 * steps * p->batch);
    struct mcugen_matmul_s16_dsp m = {
        .weights = p->weights,
        .weights_end3 = p->weights + 3 * p->blocks3 * (steps + 2),
        .weights_end = p->weights + p->out_c * (steps + 2),
        .column = columns,
        .out = out,
        .out_stride = p->out_c * out_bytes,
        .steps = steps,
        .zero_point = p->out_zero_point,
        .store = p->store,
    };
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = pixel, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point,
        .row_bytes = run * p->in_bytes,
    };
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    const int32_t pitch = p->in_w * pixel;
    int32_t filled = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1 && (run & 3) == 0;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            uint32_t *column = columns + (filled >> 1) * 4 * steps + (filled & 1) * 2;
            const int8_t *from = staged;
            int32_t groups = steps;
            int32_t rows = 1;
            if (row_inside && x >= 0 && x <= x_last) {
                from = in + y * pitch + x * pixel;
                groups = run >> 2;
                rows = p->kernel_h;
            } else {
                mcugen_window_s8(&w, in, y, x, staged);
            }
            mcugen_fill_column_s16_dsp(p, from, p->dilation_h * pitch, column, groups, rows);
            if (++filled == 2 * p->batch) {
                m.pairs = p->batch;
                mcugen_matmul_s16_dsp(&m);
                m.out += 2 * p->batch * m.out_stride;
                filled = 0;
            }
        }
    }
    if (filled > 1) {
        m.pairs = filled >> 1;
        mcugen_matmul_s16_dsp(&m);
        m.out += 2 * m.pairs * m.out_stride;
    }
    if (filled & 1) {
        m.column += (filled >> 1) * 4 * steps;
        m.pairs = 1;
        m.out_stride = 0;
        mcugen_matmul_s16_dsp(&m);
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_CONV2D_S16_DSP_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation and padding, for cores without packed arithmetic: the windows of two
 * output pixels are unpacked into a column.  Conditions on the weights in matmul_s8_scalar.h. */
#ifndef MCUGEN_CONV2D_S8_SCALAR_H
#define MCUGEN_CONV2D_S8_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s8.h"
#include "matmul_s8_scalar.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c].  Weights: the stream of matmul_s8_scalar.h, inputs in the order
 * [kernel_h][kernel_w][in_c].  Padded taps read in_zero_point.  Scratch, with K = kernel_h * kernel_w * in_c rounded up
 * to 4: 4 * K bytes, and K more where in_c is no multiple of 4. */
struct mcugen_conv2d_s8_scalar {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

/* Whether the window at (y, x) lies in the image and its rows are runs of bytes. */
static MCUGEN_INLINE bool mcugen_window_inside(const struct mcugen_window_s8 *p, int32_t y, int32_t x)
{
    return p->dilation_w == 1 && y >= 0 && x >= 0 && x + p->kernel_w <= p->in_w &&
           y + (p->kernel_h - 1) * p->dilation_h < p->in_h;
}

/* The window whose first tap lies at (y, x) into one pixel's half of a column; in_c a multiple of 4. */
MCUGEN_SHARED void mcugen_window_words_s8_scalar(const struct mcugen_window_s8 *p, const int8_t *in, int32_t y,
                                                 int32_t x, uint32_t *column)
{
    const int32_t row = p->in_w * p->in_c;
    if (mcugen_window_inside(p, y, x)) {
        const int8_t *from = in + y * row + x * p->in_c;
        for (int32_t ky = p->kernel_h; ky > 0; --ky) {
            column = mcugen_column_s8_scalar(from, column, p->kernel_w * p->in_c, 4);
            from += p->dilation_h * row;
        }
        return;
    }
    const int32_t tap = p->in_c >> 2;
    const int32_t taps = p->dilation_w == 1 ? p->kernel_w : 1;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        for (int32_t kx = 0; kx < p->kernel_w; kx += taps) {
            const int32_t first = x + kx * p->dilation_w;
            struct mcugen_span s = mcugen_row_span(first, taps, p->in_w);
            if (y < 0 || y >= p->in_h) {
                s.left = s.right = taps;
            }
            column = mcugen_column_constant_s8_scalar(p->zero_point, column, tap * s.left, 4);
            if (s.right > s.left) {
                const int8_t *from = in + y * row + (first + s.left) * p->in_c;
                column = mcugen_column_s8_scalar(from, column, p->in_c * (s.right - s.left), 4);
            }
            column = mcugen_column_constant_s8_scalar(p->zero_point, column, tap * (taps - s.right), 4);
        }
    }
}

/* The same for any in_c, with room for the window's bytes. */
MCUGEN_SHARED void mcugen_window_bytes_s8_scalar(const struct mcugen_window_s8 *p, const int8_t *in, int32_t y,
                                                 int32_t x, uint32_t *column, int8_t *bytes)
{
    const int32_t row = p->in_w * p->in_c;
    int8_t *to = bytes;
    if (mcugen_window_inside(p, y, x)) {
        const int8_t *from = in + y * row + x * p->in_c;
        for (int32_t ky = p->kernel_h; ky > 0; --ky) {
            to = mcugen_copy_bytes(to, from, p->kernel_w * p->in_c);
            from += p->dilation_h * row;
        }
        mcugen_column_s8_scalar(bytes, column, (int32_t)(to - bytes), 4);
        return;
    }
    const int32_t taps = p->dilation_w == 1 ? p->kernel_w : 1;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        for (int32_t kx = 0; kx < p->kernel_w; kx += taps) {
            const int32_t first = x + kx * p->dilation_w;
            struct mcugen_span s = mcugen_row_span(first, taps, p->in_w);
            if (y < 0 || y >= p->in_h) {
                s.left = s.right = taps;
            }
            to = mcugen_fill_s8(to, p->zero_point, s.left * p->in_c);
            if (s.right > s.left) {
                const int8_t *from = in + y * row + (first + s.left) * p->in_c;
                to = mcugen_copy_bytes(to, from, (s.right - s.left) * p->in_c);
            }
            to = mcugen_fill_s8(to, p->zero_point, (taps - s.right) * p->in_c);
        }
    }
    mcugen_column_s8_scalar(bytes, column, (int32_t)(to - bytes), 4);
}

static MCUGEN_INLINE void mcugen_conv2d_s8_scalar(const struct mcugen_conv2d_s8_scalar *p, const int8_t *in,
                                                  int8_t *out, void *scratch)
{
    const int32_t steps = (p->kernel_h * p->kernel_w * p->in_c + 3) >> 2;
    uint32_t *column = (uint32_t *)scratch;
    int8_t *bytes = (int8_t *)(column + 4 * steps);
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = 0,
    };
    struct mcugen_matmul_s8_scalar m = {
        p->weights, column, steps, out, out + p->out_c, p->out_c, mcugen_scalar_rounding(p->out_zero_point),
    };
    const int32_t pixels = p->out_h * p->out_w;
    int32_t y = -p->pad_top;
    int32_t x = -p->pad_left;
    const int32_t x_end = x + p->out_w * p->stride_w;
    for (int32_t i = 0; i < pixels; ++i) {
        uint32_t *half = column + 2 * (i & 1);
        if ((p->in_c & 3) == 0) {
            mcugen_window_words_s8_scalar(&w, in, y, x, half);
        } else {
            mcugen_window_bytes_s8_scalar(&w, in, y, x, half, bytes);
        }
        x += p->stride_w;
        if (x == x_end) {
            x = -p->pad_left;
            y += p->stride_h;
        }
        if ((i & 1) != 0 || i + 1 == pixels) {
            if ((i & 1) == 0) {
                m.out_stride = 0;
            }
            mcugen_matmul_s8_scalar(&m);
            m.out += 2 * p->out_c;
            m.out_end += 2 * p->out_c;
        }
    }
    mcugen_clamp_s8(out, pixels * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_S8_SCALAR_H */

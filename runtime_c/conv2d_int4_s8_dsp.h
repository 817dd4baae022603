/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation and padding, with weights of 4 bits, for cores with the DSP instructions: 3
 * channels of 2 pixels at a time.  |accumulator| < 2^24, multipliers multiples of 128 (see matvec_int4_s8_dsp.h). */
#ifndef MCUGEN_CONV2D_INT4_S8_DSP_H
#define MCUGEN_CONV2D_INT4_S8_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s8.h"
#include "column_int4_s8_dsp.h"
#include "matmul_int4_s8_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c], out_c >= 2.  Weights: the stream of matmul_int4_s8_dsp.h with blocks3
 * blocks of 3 channels, the others of 2, inputs in the order [kernel_h][kernel_w][in_c].  Padded taps read in_zero_point.
 * Scratch: 8 + 32 * steps bytes, steps = ceil(kernel_h * kernel_w * in_c / 8), and 8 * steps more where kernel_h is not 1, the
 * taps of a row are apart or something is padded.  Up to 7 bytes behind the input are read where kernel_h is 1. */
struct mcugen_conv2d_int4_s8_dsp {
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

static MCUGEN_INLINE void mcugen_conv2d_int4_s8_dsp(const struct mcugen_conv2d_int4_s8_dsp *p, const int8_t *in,
                                                     int8_t *out, void *scratch)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t steps = (p->kernel_h * run + 7) >> 3;
    uint32_t *column = (uint32_t *)scratch;
    int8_t *bytes = (int8_t *)(column + 2 + 8 * steps);
    struct mcugen_matmul_int4_s8_dsp m = {
        .weights = p->weights,
        .weights_end3 = p->weights + 3 * p->blocks3 * (steps + 2),
        .weights_end = p->weights + p->out_c * (steps + 2),
        .column = column,
        .out = out,
        .out_stride = p->out_c,
        .steps = steps,
        .zero_point = p->out_zero_point,
    };
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = run,
    };
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    const int32_t pitch = p->in_w * p->in_c;
    int32_t second = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            int8_t *to = bytes;
            const int8_t *from = to;
            if (row_inside && x >= 0 && x <= x_last) {
                const int8_t *row = in + y * pitch + x * p->in_c;
                if (p->kernel_h == 1) {
                    from = row;
                } else {
                    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
                        to = mcugen_copy_s8(to, row, run);
                        row += p->dilation_h * pitch;
                    }
                }
            } else {
                mcugen_window_s8(&w, in, y, x, to);
            }
            column[second] = (uint32_t)mcugen_column_int4_s8_dsp(from, column + 2 + second, 2 * steps, 2);
            if (second) {
                mcugen_matmul_int4_s8_dsp(&m);
                m.out += 2 * p->out_c;
            }
            second ^= 1;
        }
    }
    if (second) {
        column[1] = column[0];
        m.out_stride = 0;
        mcugen_matmul_int4_s8_dsp(&m);
    }
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_INT4_S8_DSP_H */
